package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/facade/page"
)

const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller may do what a policy's words say: "inspect shop/", "evict shop/".
type caller struct {
	name  string
	words string // separated by commas
}

func (c caller) Name() string { return c.name }

func (c caller) May(verb auth.Verb, lock string) bool {
	if c.words == "" {
		return true
	}
	for words := range strings.SplitSeq(c.words, ",") {
		of, prefix, _ := strings.Cut(words, " ")
		if of == verb.String() && strings.HasPrefix(lock, prefix) {
			return true
		}
	}
	return false
}

// flaky is a store whose watch can be broken.
type flaky struct {
	*etcdstore.Store
	broken  atomic.Pointer[error]
	watches atomic.Int64

	mu     sync.Mutex
	break_ context.CancelCauseFunc
}

func (f *flaky) Watch(ctx context.Context, prefix string, send func(*etcdstore.News) error) error {
	f.watches.Add(1)
	if err := f.broken.Load(); err != nil {
		return *err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.mu.Lock()
	f.break_ = cancel
	f.mu.Unlock()
	return f.Store.Watch(ctx, prefix, send)
}

// site is a page that is served.
type site struct {
	t      *testing.T
	store  *flaky
	page   *page.Page
	http   *httptest.Server
	client *http.Client
	who    atomic.Pointer[caller]
	fault  atomic.Pointer[error]
}

func start(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, store: &flaky{Store: facadetest.Start(t).Store()}}
	s.as(caller{})
	s.page = page.New(page.Config{
		Store: s.store,
		Identify: func(*http.Request) (page.Caller, error) {
			if err := s.fault.Load(); err != nil {
				return nil, *err
			}
			return *s.who.Load(), nil
		},
		Evict: func(r *http.Request, lock string, token int64, reason string) (*etcdstore.Holder, error) {
			if !s.who.Load().May(auth.Evict, lock) {
				return nil, fmt.Errorf("%w: not you", auth.ErrPermissionDenied)
			}
			return s.store.Evict(r.Context(), lock, token, reason)
		},
	})
	s.http = httptest.NewServer(s.page)
	s.client = &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		s.page.Close()
		s.client.CloseIdleConnections()
		s.http.Close()
	})
	return s
}

// as has requests come from somebody.
func (s *site) as(who caller) { s.who.Store(&who) }

// ask makes a request, which change may change.
func (s *site) ask(method, path, body string, change func(*http.Request)) (status int, answer string, h http.Header) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// message is an event of the stream.
type message struct {
	kind     string
	First    bool
	Last     bool
	Revision string
	Left     int
	Down     string
	Gone     []string
	Rows     []struct {
		Name, Revision string
		Holder         *struct{ Label, Identity, Token string }
		Waiting        int
		Staged         int64
	}
}

// reader reads a stream, and keeps what it has been told.
type reader struct {
	t    *testing.T
	more chan message // closed at the end of the stream
	rows map[string]string
	last message
	stop context.CancelFunc
}

func (s *site) read() *reader {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.http.URL+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("the stream: %v, %+v", err, resp)
	}
	r := &reader{t: s.t, more: make(chan message, 1000), rows: map[string]string{}, stop: cancel}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(r.more)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 4<<20)
		var m message
		for lines.Scan() {
			if kind, is := strings.CutPrefix(lines.Text(), "event: "); is {
				m = message{kind: kind}
			} else if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				if err := json.Unmarshal([]byte(data), &m); err != nil {
					s.t.Errorf("%s: %v", data, err)
				}
				r.more <- m
			}
		}
	})
	s.t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
		reading.Wait()
	})
	return r
}

// until reads on until it is so. It reports whether the stream went on until then.
func (r *reader) until(what string, is func() bool) {
	r.t.Helper()
	late := time.After(patience)
	for !is() {
		select {
		case m, ok := <-r.more:
			if !ok {
				r.t.Fatalf("the stream ended before %s; rows: %v", what, r.rows)
			}
			r.take(m)
		case <-late:
			r.t.Fatalf("waited for %s; rows: %v", what, r.rows)
		}
	}
}

func (r *reader) take(m message) {
	if m.First {
		clear(r.rows)
	}
	for _, row := range m.Rows {
		text := fmt.Sprintf("waiting %d", row.Waiting)
		if row.Holder != nil {
			text = fmt.Sprintf("%s %s %s, ", row.Holder.Token, row.Holder.Label, row.Holder.Identity) + text
		}
		r.rows[row.Name] = text
	}
	for _, name := range m.Gone {
		delete(r.rows, name)
	}
	if m.kind != "beat" {
		r.last = m
	}
}

func (r *reader) names() []string { return slices.Sorted(maps.Keys(r.rows)) }

func TestStream(t *testing.T) {
	s := start(t)
	c := storetest.Begin(t, s.store, "cron@db-1:7\u202e")
	held := c.Acquire("shop/orders")
	r, other := s.read(), s.read()
	want := fmt.Sprintf(`%d cron@db-1:7\u202e , waiting 0`, held.Token)
	for _, r := range []*reader{r, other} {
		r.until("the state", func() bool { return r.rows["shop/orders"] == want && r.last.Down == "" && r.last.Revision != "0" })
	}
	if n := s.store.watches.Load(); n != 1 {
		t.Errorf("the store is watched %d times for two pages", n)
	}
	waiter := storetest.Begin(t, s.store, "next")
	pending := waiter.Queue("shop/orders")
	r.until("the waiter", func() bool { return strings.HasSuffix(r.rows["shop/orders"], "waiting 1") })
	c.Release(held)
	granted := pending.Granted()
	r.until("the grant", func() bool { return r.rows["shop/orders"] == fmt.Sprintf("%d next , waiting 0", granted.Token) })
	waiter.Release(granted)
	r.until("nothing to be held", func() bool { return len(r.rows) == 0 })
	began := time.Now()
	again := c.Acquire("shop/orders")
	r.until("the next grant", func() bool { return len(r.rows) == 1 })
	t.Logf("a grant was told within %v of its request", time.Since(began))
	c.Release(again)

	_, answer, _ := s.ask(http.MethodGet, "/api/lock?name=shop/orders", "", nil)
	for _, want := range []string{`"type":"released"`, `"type":"granted"`, `"type":"waiting"`, `"queue":[]`} {
		if !strings.Contains(answer, want) {
			t.Errorf("a lock's last events have no %s: %s", want, answer)
		}
	}
}

// TestWhoSeesWhat: a stream tells what its reader may see, and what it may see from now on.
func TestWhoSeesWhat(t *testing.T) {
	s := start(t)
	c := storetest.Begin(t, s.store, "")
	for _, lock := range []string{"shop/a", "shop/b", "vault/a"} {
		c.Acquire(lock)
	}
	s.as(caller{"guest", "inspect shop/"})
	r := s.read()
	r.until("what may be seen", func() bool { return slices.Equal(r.names(), []string{"shop/a", "shop/b"}) })
	c.Acquire("vault/b")
	c.Acquire("shop/c")
	r.until("what has come", func() bool { return len(r.rows) == 3 })
	s.as(caller{"guest", "inspect vault/,inspect shop/c"})
	r.until("what may be seen now", func() bool { return slices.Equal(r.names(), []string{"shop/c", "vault/a", "vault/b"}) })
	for path, want := range map[string]int{
		"/api/lock?name=vault/a": http.StatusOK, "/api/lock?name=shop/a": http.StatusForbidden, "/api/files?name=vault/a": http.StatusForbidden,
		"/api/lock?name=": http.StatusBadRequest, "/api/lock?name=%FF": http.StatusBadRequest, "/api/files?name=../x": http.StatusBadRequest,
	} {
		if status, answer, _ := s.ask(http.MethodGet, path, "", nil); status != want {
			t.Errorf("%s: %d %s; want %d", path, status, answer, want)
		}
	}
	if _, answer, _ := s.ask(http.MethodGet, "/api/locks?name=shop/a&name=shop/c", "", nil); strings.Contains(answer, "shop/a") || !strings.Contains(answer, "shop/c") {
		t.Errorf("the rows of two locks, one of which may be seen: %s", answer)
	}
	revoked := fmt.Errorf("%w: guest was revoked", auth.ErrUnauthenticated)
	s.fault.Store(&revoked)
	for m := range r.more {
		if r.take(m); m.kind == "end" {
			break
		}
	}
	if status, _, _ := s.ask(http.MethodGet, "/", "", nil); status != http.StatusUnauthorized {
		t.Errorf("a request of somebody who was revoked: %d", status)
	}
}

// TestFeedBroken breaks the watch: the page says that its figures are old, and is right again.
func TestFeedBroken(t *testing.T) {
	s := start(t)
	c := storetest.Begin(t, s.store, "")
	a := c.Acquire("a")
	r := s.read()
	r.until("the state", func() bool { return len(r.rows) == 1 && r.last.Down == "" })
	broken := etcdstore.ErrNoQuorum
	s.store.broken.Store(&broken)
	s.store.mu.Lock()
	s.store.break_(errors.New("broken"))
	s.store.mu.Unlock()
	r.until("that the figures are old", func() bool { return strings.Contains(r.last.Down, "quorum") })
	c.Release(a)
	c.Acquire("b")
	late := s.read()
	late.until("the old rows", func() bool { return slices.Equal(late.names(), []string{"a"}) && late.last.Down != "" })
	s.store.broken.Store(nil)
	r.until("what was missed", func() bool { return slices.Equal(r.names(), []string{"b"}) && r.last.Down == "" })
	late.until("what was missed", func() bool { return slices.Equal(late.names(), []string{"b"}) && late.last.Down == "" })
}

func TestEvict(t *testing.T) {
	s := start(t)
	c := storetest.Begin(t, s.store, "hung")
	held := c.Acquire("shop/orders")
	c.Append(held, "log", "x")
	body := func(lock string, token int64, reason string) string {
		return fmt.Sprintf(`{"lock":%q,"token":"%d","reason":%q}`, lock, token, reason)
	}
	good := body("shop/orders", held.Token, "it hangs")
	asJSON := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	with := func(key, value string) func(*http.Request) {
		return func(r *http.Request) {
			asJSON(r)
			r.Header.Set(key, value)
		}
	}
	for _, refused := range []struct {
		name, method, body string
		change             func(*http.Request)
		want               int
	}{
		{"as a form", http.MethodPost, good, with("Content-Type", "application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType},
		{"as text", http.MethodPost, good, with("Content-Type", "text/plain"), http.StatusUnsupportedMediaType},
		{"without a type", http.MethodPost, good, nil, http.StatusUnsupportedMediaType},
		{"from another site", http.MethodPost, good, with("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"from a sister site", http.MethodPost, good, with("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		{"from another origin", http.MethodPost, good, with("Origin", "https://example.org"), http.StatusForbidden},
		{"from no origin", http.MethodPost, good, with("Origin", "null"), http.StatusForbidden},
		{"under a stranger's name", http.MethodPost, good, func(r *http.Request) { asJSON(r); r.Host = "evil.example.org" }, http.StatusMisdirectedRequest},
		{"by GET", http.MethodGet, good, asJSON, http.StatusMethodNotAllowed},
		{"without a reason", http.MethodPost, body("shop/orders", held.Token, " \t"), asJSON, http.StatusBadRequest},
		{"with too long a reason", http.MethodPost, body("shop/orders", held.Token, strings.Repeat("x", 257)), asJSON, http.StatusBadRequest},
		{"without a token", http.MethodPost, body("shop/orders", 0, "whoever"), asJSON, http.StatusBadRequest},
		{"with a negative token", http.MethodPost, body("shop/orders", -1, "x"), asJSON, http.StatusBadRequest},
		{"with a token that is none", http.MethodPost, `{"lock":"shop/orders","token":"1e3","reason":"x"}`, asJSON, http.StatusBadRequest},
		{"with something else", http.MethodPost, `{"lock":"shop/orders","token":"7","reason":"x","all":true}`, asJSON, http.StatusBadRequest},
		{"twice", http.MethodPost, good + good, asJSON, http.StatusBadRequest},
		{"of nothing", http.MethodPost, "", asJSON, http.StatusBadRequest},
		{"that is too long", http.MethodPost, `{"lock":"` + strings.Repeat("x", 1<<20), asJSON, http.StatusBadRequest},
		{"of a name that none can have", http.MethodPost, body("../x", 7, "x"), asJSON, http.StatusBadRequest},
		{"by a token that never was", http.MethodPost, body("shop/orders", held.Token+1000, "x"), asJSON, http.StatusConflict},
		{"of a free lock", http.MethodPost, body("shop/free", held.Token, "x"), asJSON, http.StatusConflict},
	} {
		if status, answer, _ := s.ask(refused.method, "/api/evict", refused.body, refused.change); status != refused.want {
			t.Errorf("an eviction %s: %d %s; want %d", refused.name, status, answer, refused.want)
		}
	}
	s.as(caller{"guest", "inspect "})
	if status, answer, _ := s.ask(http.MethodPost, "/api/evict", good, asJSON); status != http.StatusForbidden {
		t.Errorf("by somebody who may not: %d %s", status, answer)
	}
	s.as(caller{})
	c.Append(held, "log", "y") // it still holds the lock
	if status, answer, _ := s.ask(http.MethodPost, "/api/evict", good, with("Sec-Fetch-Site", "same-origin")); status != http.StatusOK || !strings.Contains(answer, `"label":"hung"`) {
		t.Errorf("an eviction: %d %s", status, answer)
	}
	c.Lost(held)
	if status, answer, _ := s.ask(http.MethodPost, "/api/evict", good, asJSON); status != http.StatusConflict {
		t.Errorf("the same again: %d %s", status, answer)
	}
}

// TestHeaders: whatever is answered may be used by the page alone.
func TestHeaders(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/", "/page.js", "/page.css", "/icon.svg", "/api/locks", "/api/lock?name=x", "/api/files?name=..", "/nothing", "/static/page.js", "/index.html"} {
		status, answer, h := s.ask(http.MethodGet, path, "", nil)
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cache-Control") == "" {
			t.Errorf("%s: %d with %v", path, status, h)
		}
		if is := path == "/" || strings.HasPrefix(path, "/page") || path == "/icon.svg"; is != (status == http.StatusOK && !strings.HasPrefix(answer, "{")) {
			if strings.HasPrefix(path, "/api/") && status != http.StatusNotFound {
				continue
			}
			t.Errorf("%s: %d", path, status)
		}
		if tag := h.Get("ETag"); tag != "" {
			if status, _, _ := s.ask(http.MethodGet, path, "", func(r *http.Request) { r.Header.Set("If-None-Match", tag) }); status != http.StatusNotModified {
				t.Errorf("%s, which has not changed: %d", path, status)
			}
		}
	}
	for host, want := range map[string]int{
		"localhost:9090": 200, "127.0.0.1": 200, "[::1]:9090": 200, "dlm.localhost": 200, "rebind.example.org:9090": 421, "127.0.0.1.example.org": 421, "localhost.example.org": 421,
	} {
		if status, _, _ := s.ask(http.MethodGet, "/", "", func(r *http.Request) { r.Host = host }); status != want {
			t.Errorf("under the name %s: %d; want %d", host, status, want)
		}
	}
	s.as(caller{name: "alice"})
	if status, _, _ := s.ask(http.MethodGet, "/", "", func(r *http.Request) { r.Host = "dlm.example.org" }); status != http.StatusOK {
		t.Errorf("somebody who is known, under any name: %d", status)
	}
}

// TestTooManyStreams opens more pages than a server has room for. Those that are open go on.
func TestTooManyStreams(t *testing.T) {
	s := start(t)
	s.as(caller{name: "many"})
	var open []*reader
	for range 16 {
		open = append(open, s.read())
	}
	if status, _, h := s.ask(http.MethodGet, "/events", "", nil); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("one more of the same: %d", status)
	}
	s.as(caller{name: "other"})
	s.read()
	open[0].stop()
	s.as(caller{name: "many"})
	storetest.Eventually(t, "room for another", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.http.URL+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	s.page.Close()
	for range open[1].more { // which ends
	}
	if status, _, _ := s.ask(http.MethodGet, "/events", "", nil); status != http.StatusServiceUnavailable {
		t.Errorf("a stream of a page that is closed: %d", status)
	}
}

// TestManyChanges: a reader is told the newest of each row, not each change, and at last all.
func TestManyChanges(t *testing.T) {
	const locks, rounds = 20, 20
	s := start(t)
	r := s.read()
	var working sync.WaitGroup
	for i := range locks {
		c := storetest.Begin(t, s.store, fmt.Sprint(i))
		working.Go(func() {
			for range rounds {
				c.Release(c.Acquire(fmt.Sprintf("busy/%d", i)))
			}
			c.Acquire(fmt.Sprintf("busy/%d", i))
		})
	}
	working.Wait()
	told := 0
	r.until("all to be held", func() bool { told++; return len(r.rows) == locks })
	storetest.Eventually(t, "the page to be as the store is", func() bool {
		for len(r.more) > 0 {
			r.take(<-r.more)
		}
		for i := range locks {
			name := fmt.Sprintf("busy/%d", i)
			h, err := s.store.Holder(storetest.Bounded(t), name)
			if err != nil || h == nil || r.rows[name] != fmt.Sprintf("%d %s , waiting 0", h.Token, h.Label) {
				return false
			}
		}
		return true
	})
	if told > locks*rounds {
		t.Errorf("%d messages for %d changes", told, 2*locks*rounds)
	}
}
