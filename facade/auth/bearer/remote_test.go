package bearer_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

const patience = 30 * time.Second // of the tests themselves

// keyServer has a set of keys at a URL.
type keyServer struct {
	*httptest.Server
	ca    string // a file
	asked atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc
}

func serve(t *testing.T, answer http.HandlerFunc) *keyServer {
	t.Helper()
	s := &keyServer{answer: answer}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(discard.Handler(), slog.LevelError) // of handshakes that are to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	s.ca = write(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return s
}

func (s *keyServer) now(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *keyServer) issuer() bearer.Issuer {
	return bearer.Issuer{Issuer: issuer, Audience: audience, JWKS: s.URL + "/keys", CA: s.ca}
}

// say answers with a text.
func say(text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }
}

func fail(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }

// fetching returns a verifier that fetches keys this often.
func fetching(t *testing.T, i bearer.Issuer, log *slog.Logger, every, apart, patience time.Duration) *bearer.Verifier {
	t.Helper()
	opts := at()
	opts.Logger = log
	v, err := bearer.OpenAt([]bearer.Issuer{i}, opts, every, apart, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// verifies reports whether a token is good, and ends the test if anything but keys is wrong.
func verifies(t *testing.T, v *bearer.Verifier, token string) bool {
	t.Helper()
	_, err := v.Verify(token)
	if err != nil && !errors.Is(err, bearer.ErrKey) && !errors.Is(err, bearer.ErrNoKeys) {
		t.Fatal(err)
	}
	return err == nil
}

// Tokens by the tests' two keys.
func oldToken() string { return byHand(ecKey(), fields{"alg": "ES256", "kid": "old"}, claims()) }
func newToken() string { return byHand(otherKey(), fields{"alg": "ES256", "kid": "new"}, claims()) }
func oldSet() []byte   { return set(public("old", ecKey())) }
func newSet() []byte   { return set(public("new", otherKey())) }

func TestFirstKeysAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, say(oldSet()))
	v := fetching(t, s.issuer(), discard, time.Hour, time.Hour, patience)
	if !verifies(t, v, oldToken()) {
		t.Error("refused")
	}
}

func TestTokensAreRefusedUntilThereAreKeys(t *testing.T) {
	t.Parallel()
	s := serve(t, fail)
	v := fetching(t, s.issuer(), discard, time.Hour, 10*time.Millisecond, patience)
	if _, err := v.Verify(oldToken()); !errors.Is(err, bearer.ErrNoKeys) {
		t.Errorf("%v, want %v", err, bearer.ErrNoKeys)
	}
	s.now(say(oldSet()))
	await.Eventually(t, patience, "keys", func() bool { return verifies(t, v, oldToken()) })
}

func TestAnUnknownKeyIsFetchedAtOnceAndTheOldOneIsGone(t *testing.T) {
	t.Parallel()
	s := serve(t, say(oldSet()))
	v := fetching(t, s.issuer(), discard, time.Hour, time.Nanosecond, patience)
	old := oldToken()
	if !verifies(t, v, old) || verifies(t, v, newToken()) {
		t.Fatal("want the old key alone")
	}
	s.now(say(newSet()))
	if !verifies(t, v, newToken()) || verifies(t, v, old) {
		t.Error("want the new key alone")
	}
}

func TestUnknownKeysAreFetchedNoMoreOftenThanMayBe(t *testing.T) {
	t.Parallel()
	s := serve(t, say(oldSet()))
	v := fetching(t, s.issuer(), discard, time.Hour, time.Hour, patience)
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			for range 20 {
				_, _ = v.Verify(newToken())
			}
		})
	}
	callers.Wait()
	if asked := s.asked.Load(); asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	if !verifies(t, v, oldToken()) {
		t.Error("a known key does not count")
	}
}

func TestOneFetchServesAllWhoWaitForIt(t *testing.T) {
	t.Parallel()
	s := serve(t, say(oldSet()))
	v := fetching(t, s.issuer(), discard, time.Hour, time.Nanosecond, patience)
	if !verifies(t, v, oldToken()) {
		t.Fatal("refused")
	}
	going, arrived := make(chan struct{}), make(chan struct{}, 1)
	s.now(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-going
		say(newSet())(w, r)
	})
	const callers = 50
	good := make(chan bool, callers)
	token := newToken()
	for range callers {
		go func() {
			_, err := v.Verify(token)
			good <- err == nil
		}()
	}
	await.Receive(t, patience, "the fetch", arrived)
	close(going)
	for range callers {
		if !await.Receive(t, patience, "an answer", good) {
			t.Error("refused")
		}
	}
	if asked := s.asked.Load(); asked != 2 {
		t.Errorf("asked %d times, want twice", asked)
	}
}

func TestKeysAreFetchedFromTimeToTime(t *testing.T) {
	t.Parallel()
	s := serve(t, say(oldSet()))
	v := fetching(t, s.issuer(), discard, 10*time.Millisecond, 0, patience)
	old := oldToken()
	if !verifies(t, v, old) {
		t.Fatal("refused")
	}
	s.now(say(newSet()))
	await.Eventually(t, patience, "the old key to be gone", func() bool { return !verifies(t, v, old) })
}

func TestACallerWaitsNoLongerThanItsPatience(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	v := fetching(t, s.issuer(), discard, time.Hour, time.Hour, 10*time.Millisecond)
	if _, err := v.Verify(oldToken()); !errors.Is(err, bearer.ErrNoKeys) {
		t.Errorf("%v, want %v", err, bearer.ErrNoKeys)
	}
	// Close does not wait for the fetch to come to its end either, and ends who waits.
	closed := make(chan struct{})
	go func() { defer close(closed); v.Close(); v.Close() }()
	await.Receive(t, 4*time.Second, "Close", closed)
}

func TestTheLastGoodKeysAreKeptAndAFailureIsToldOnce(t *testing.T) {
	t.Parallel()
	var log await.Text
	count := func(part string) int { return strings.Count(log.String(), part) }
	s := serve(t, say(oldSet()))
	v := fetching(t, s.issuer(), slog.New(slog.NewTextHandler(&log, nil)), time.Millisecond, time.Millisecond, patience)
	token := oldToken()
	if !verifies(t, v, token) {
		t.Fatal("refused")
	}
	for n, bad := range map[string]http.HandlerFunc{
		"status 503": fail,
		"not a set":  say([]byte("<html>")),
		"is empty":   say([]byte(`{"keys":[]}`)),
		"none of 1":  say([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)),
		"more than":  say(append(newSet(), bytes.Repeat([]byte(" "), 1<<20)...)),
		"leads": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"unexpected EO": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9") },
	} {
		well := count("can be read again")
		s.now(bad)
		await.Eventually(t, patience, "a complaint of "+n, func() bool { return count(n) > 0 })
		more := s.asked.Load() + 3
		await.Eventually(t, patience, "more fetches", func() bool { return s.asked.Load() >= more })
		if told := count(n); told != 1 || !verifies(t, v, token) {
			t.Errorf("%s: told %d times, want once; and the old key to count", n, told)
		}
		s.now(say(oldSet()))
		await.Eventually(t, patience, "all to be well", func() bool { return count("can be read again") > well })
	}
}

func TestKeysThatAreLeftOutAreToldOfOnce(t *testing.T) {
	t.Parallel()
	var log await.Text
	count := func(part string) int { return strings.Count(log.String(), part) }
	s := serve(t, say(mixedKeys()))
	v := fetching(t, s.issuer(), slog.New(slog.NewTextHandler(&log, nil)), time.Millisecond, 0, patience)
	await.Eventually(t, patience, "fetches", func() bool { return s.asked.Load() > 3 })
	v.Close()
	if n := count("leaving out"); n != 2 {
		t.Errorf("%d lines, want 2: of the key for encryption, and of the symmetric one", n)
	}
	if count("MDEyMzQ1Njc4OWFi") != 0 {
		t.Error("the symmetric key is in the log")
	}
}

func TestNobodyIsFollowedElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, say(oldSet()))
	s := serve(t, nil)
	i := s.issuer()
	i.CA = write(t, append(must(os.ReadFile(s.ca)), must(os.ReadFile(elsewhere.ca))...))
	for _, c := range []struct {
		name, to string
		followed bool
		asked    int64
	}{
		{"to another host", elsewhere.URL, false, 1},
		{"in a circle", "/keys", false, 4},
		{"within the host", "/moved", true, 2},
	} {
		s.asked.Store(0)
		s.now(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				say(oldSet())(w, r)
				return
			}
			http.Redirect(w, r, c.to, http.StatusTemporaryRedirect)
		})
		v := fetching(t, i, discard, time.Hour, time.Hour, patience)
		if got := verifies(t, v, oldToken()); got != c.followed || s.asked.Load() != c.asked || elsewhere.asked.Load() != 0 {
			t.Errorf("%s: followed %v, asked %d times, and the other host %d times; want %v, %d times, never",
				c.name, got, s.asked.Load(), elsewhere.asked.Load(), c.followed, c.asked)
		}
		v.Close()
	}
}

func TestTheTokenAndTheAuthoritiesAreThoseOfTheMoment(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		say(oldSet())(w, r)
	})
	i := s.issuer()
	i.CA, i.TokenFile = write(t, []byte("none")), write(t, []byte("wrong\n"))
	v := fetching(t, i, discard, time.Hour, time.Nanosecond, patience)
	if verifies(t, v, oldToken()) || s.asked.Load() != 0 {
		t.Error("a server was asked that nobody vouches for")
	}
	if err := os.WriteFile(i.CA, must(os.ReadFile(s.ca)), 0o600); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, patience, "the wrong token to be shown", func() bool { return !verifies(t, v, oldToken()) && s.asked.Load() > 0 })
	if err := os.WriteFile(i.TokenFile, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, patience, "the right token to be shown", func() bool { return verifies(t, v, oldToken()) })
}

func TestTheSystemsAuthoritiesCountWithoutOthers(t *testing.T) {
	t.Parallel()
	s := serve(t, say(oldSet()))
	i := s.issuer()
	i.CA = ""
	v := fetching(t, i, discard, time.Hour, time.Hour, patience)
	if verifies(t, v, oldToken()) || s.asked.Load() != 0 {
		t.Error("a server was asked that nobody vouches for")
	}
}

func TestManyUseAVerifierWhileKeysChange(t *testing.T) {
	t.Parallel()
	s := serve(t, say(set(public("old", ecKey()), public("new", otherKey()))))
	v := fetching(t, s.issuer(), discard, time.Millisecond, 0, patience)
	if !verifies(t, v, oldToken()) {
		t.Fatal("refused")
	}
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			token := oldToken()
			for range 200 {
				if _, err := v.Verify(token); err != nil {
					t.Error(err)
					return
				}
			}
			s.now(say(set(public("old", ecKey()), public(fmt.Sprint("new ", n), otherKey()))))
		})
	}
	callers.Wait()
}

// No other test may use a proxy before: the environment is read once.
func TestTheProxyOfTheEnvironmentIsLeftAlone(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the proxy is asked to %s %s", r.Method, r.Host)
	}))
	defer proxy.Close()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	i := serve(t, fail).issuer()
	i.JWKS = "https://dlm.invalid/keys" // which no environment excepts, as it does with what is on this machine
	log := &await.Text{}
	fetching(t, i, slog.New(slog.NewTextHandler(log, nil)), time.Hour, time.Hour, time.Millisecond)
	await.Eventually(t, patience, "the failure", func() bool { return strings.Contains(log.String(), "lookup dlm.invalid") })
}
