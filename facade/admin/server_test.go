package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/facade/admin"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller may do something with the cluster if it is root.
type caller string

func (c caller) Name() string                      { return string(c) }
func (c caller) May(verb auth.Verb, _ string) bool { return c == "root" && verb == auth.Admin }

// byHeader knows a caller by what it says.
func byHeader(r *http.Request) (admin.Caller, error) {
	name := r.Header.Get("Who")
	if name == "" {
		return caller(""), fmt.Errorf("%w: nobody", auth.ErrUnauthenticated)
	}
	return caller(name), nil
}

// served is a server that serves.
type served struct {
	*admin.Server
	url, addr string
}

func serve(t *testing.T, cfg admin.Config) served {
	t.Helper()
	if cfg.Identify == nil {
		cfg.Identify = byHeader
	}
	if cfg.Ready == nil {
		cfg.Ready = func() []admin.Check { return nil }
	}
	if cfg.Metrics == nil {
		cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := served{admin.New(cfg), "http://" + l.Addr().String(), l.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Shutdown(ctx)
		serving.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// ask makes a request as somebody.
func (s served) ask(t *testing.T, who, method, path string) (code int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		req.Header.Set("Who", who)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // which follows nothing
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	var refused atomic.Int64
	s := serve(t, admin.Config{
		Pprof: true, Version: map[string]string{"version": "v1"},
		Refused: func(_ *http.Request, c admin.Caller, err error) {
			refused.Add(1)
			if c == nil || err == nil {
				t.Errorf("refused %v, %v", c, err)
			}
		},
	})
	for _, path := range []string{"/metrics", "/version", "/debug/pprof/", "/debug/pprof/goroutine", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		for who, want := range map[string]int{"": 401, "somebody": 403, "root": 200} {
			if code, body := s.ask(t, who, "GET", path); code != want {
				t.Errorf("%s as %q: %d, want %d\n%s", path, who, code, want, body)
			}
		}
	}
	if n := refused.Load(); n != 12 {
		t.Errorf("%d refusals were told, want 12", n)
	}
	for _, path := range []string{"/livez", "/readyz", "/readyz?verbose"} {
		if code, body := s.ask(t, "", "GET", path); code != 200 {
			t.Errorf("%s: %d, want 200\n%s", path, code, body)
		}
	}
}

// Whatever a path is written like, what is behind it is not reached without leave.
func TestTricksWithPaths(t *testing.T) {
	t.Parallel()
	s := serve(t, admin.Config{Pprof: true, Version: "secret"})
	s.Mount(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the page") }))
	for _, line := range []string{
		"GET //metrics HTTP/1.1", "GET /./metrics HTTP/1.1", "GET /livez/../metrics HTTP/1.1", "GET /livez/..%2fmetrics HTTP/1.1", "GET /%6detrics HTTP/1.1",
		"GET /metrics/ HTTP/1.1", "GET /metrics%00 HTTP/1.1", "GET /METRICS HTTP/1.1", "GET http://other/metrics HTTP/1.1", "POST /metrics HTTP/1.1",
		"HEAD /metrics HTTP/1.1", "CONNECT /metrics HTTP/1.1", "OPTIONS /metrics HTTP/1.1", "GET /debug/pprof//goroutine?debug=2 HTTP/1.1",
		"GET /debug/pprof/../pprof/heap HTTP/1.1", "GET /debug/vars HTTP/1.1", "GET /metrics;x HTTP/1.1", "GET /metrics?x=/livez HTTP/1.0",
		"CONNECT /debug/pprof/heap HTTP/1.1", "GET /livez/../debug/pprof/cmdline HTTP/1.1", "PRI * HTTP/2.0",
	} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%s\r\nHost: x\r\nConnection: close\r\n\r\n", line)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		if strings.Contains(body, "metrics\n") && strings.HasPrefix(string(answer), "HTTP/1.1 200") || body == "metrics" || strings.Contains(body, "secret") || strings.Contains(body, "goroutine 1 [") {
			t.Errorf("%s is answered\n%s", line, answer)
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	s := serve(t, admin.Config{Ready: func() []admin.Check {
		checks := []admin.Check{{Name: "quorum"}, {Name: "space", Err: errors.New("short"), Notice: true}}
		if broken.Load() {
			checks[0].Err = errors.New("no leader")
		}
		return checks
	}})
	for _, test := range []struct {
		broken bool
		path   string
		code   int
		body   string
	}{
		{false, "/readyz", 200, "ready\n"},
		{false, "/readyz?verbose", 200, "[+] quorum: ok\n[~] space: short\nready\n"},
		{true, "/readyz", 503, "not ready\n"},
		{true, "/readyz?verbose=1", 503, "[-] quorum: no leader\n[~] space: short\nnot ready\n"},
		{true, "/livez", 200, "ok\n"},
	} {
		broken.Store(test.broken)
		if code, body := s.ask(t, "", "GET", test.path); code != test.code || body != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.path, code, body, test.code, test.body)
		}
	}
}

func TestPageIsMountedLater(t *testing.T) {
	t.Parallel()
	s := serve(t, admin.Config{})
	if code, _ := s.ask(t, "", "GET", "/"); code != 503 {
		t.Errorf("before: %d, want 503", code)
	}
	s.Mount(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) }))
	if code, body := s.ask(t, "", "GET", "/events"); code != 200 || body != "page /events" {
		t.Errorf("%d %q, want the page", code, body)
	}
	if code, _ := s.ask(t, "", "GET", "/debug/x"); code != 404 {
		t.Errorf("what is not there of /debug: %d, want 404", code)
	}
	s.Mount(nil)
	if code, _ := s.ask(t, "", "GET", "/"); code != 404 {
		t.Errorf("without a page: %d, want 404", code)
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, admin.Config{})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("a", 1<<20)) // ends with the connection
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(line, "431") {
		t.Errorf("got %q, want 431, or the end", line)
	}
}

// Whoever opens connections and says nothing, or half of something, keeps nobody else out.
func TestHalfOpenConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, admin.Config{})
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range 400 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		if i%2 == 0 {
			_, _ = io.WriteString(c, "GET /livez HTT")
		}
	}
	for range 20 {
		if code, _ := s.ask(t, "", "GET", "/livez"); code != 200 {
			t.Fatalf("beside 400 half-open connections: %d, want 200", code)
		}
		http.DefaultClient.CloseIdleConnections()
	}
	_ = conns[0].SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conns[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first of them: %v, want that it was closed", err)
	}
}

func TestFloodOfScrapesIsRefused(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	s := serve(t, admin.Config{Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) })})
	began, refused := time.Now(), 0
	for range 300 {
		code, _ := s.ask(t, "root", "GET", "/metrics")
		if code == http.StatusTooManyRequests {
			refused++
		} else if code != 200 {
			t.Fatalf("a scrape: %d", code)
		}
	}
	if most := int64(21 + 20*time.Since(began).Seconds()); served.Load() > most {
		t.Errorf("%d of 300 scrapes were answered within %v, want at most %d", served.Load(), time.Since(began), most)
	}
	if code, _ := s.ask(t, "", "GET", "/livez"); code != 200 {
		t.Errorf("a probe beside it: %d", code)
	}
}

// What lasts is not ended by the bounds of what does not, and is by a shutdown.
func TestShutdownCutsOffWhatLasts(t *testing.T) {
	t.Parallel()
	s := serve(t, admin.Config{})
	var began, ended atomic.Bool
	s.Mount(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		began.Store(true)
		<-r.Context().Done()
		ended.Store(true)
	}))
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		resp, err := http.Get(s.url + "/events")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	await.Eventually(t, 20*time.Second, "the stream has begun", began.Load)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.Shutdown(ctx)
	await.Eventually(t, 20*time.Second, "the stream has ended", ended.Load)
	<-asked
}
