package client_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// front speaks TLS before a server that does not. It ends each connection when the certificate does
// that the client has shown.
type front struct {
	addr    string
	running sync.WaitGroup

	mu     sync.Mutex
	conns  []net.Conn
	shown  []string // the serial number of what each connection has shown; empty: nothing
	late   int      // connections that outlasted what was shown
	closed bool
}

func newFront(t testing.TB, to string, pair certstest.Pair) *front {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair.TLS(t)}, ClientAuth: tls.RequestClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
	})
	must(t, err)
	f := &front{addr: l.Addr().String()}
	f.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.serve(conn.(*tls.Conn), to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		f.closed = true
		for _, conn := range f.conns {
			_ = conn.Close()
		}
		f.mu.Unlock()
		f.running.Wait()
	})
	return f
}

// keep has connections closed with the front.
func (f *front) keep(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, conns...)
	if f.closed {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}

func (f *front) serve(conn *tls.Conn, to string) {
	f.keep(conn)
	defer conn.Close()
	if conn.Handshake() != nil {
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	f.keep(server)
	defer server.Close()
	serial := ""
	if shown := conn.ConnectionState().PeerCertificates; len(shown) > 0 {
		serial = shown[0].SerialNumber.String()
		end := time.AfterFunc(time.Until(shown[0].NotAfter), func() {
			f.mu.Lock()
			f.late++
			f.mu.Unlock()
			_ = server.Close()
			_ = conn.NetConn().Close()
		})
		defer end.Stop()
	}
	f.mu.Lock()
	f.shown = append(f.shown, serial)
	f.mu.Unlock()
	f.running.Go(func() {
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	})
	_, _ = io.Copy(conn, server)
}

// serials are what the connections have shown, and how many had to be ended.
func (f *front) serials() (shown []string, outlasted int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.shown...), f.late
}

// party is an authority, a front with a certificate of it, and files of a client.
type party struct {
	*front
	authority     *certstest.Authority
	dir           string
	ca, cert, key string
}

func newParty(t testing.TB, to string) *party {
	t.Helper()
	p := &party{authority: certstest.New(t), dir: t.TempDir()}
	p.front = newFront(t, to, p.authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}))
	p.ca = p.authority.WriteTo(t, p.dir)
	return p
}

// rotate gives the client another certificate, and returns its serial number.
func (p *party) rotate(t testing.TB, life time.Duration) string {
	t.Helper()
	pair := p.authority.Issue(t, certstest.Spec{CN: "client", NotBefore: time.Now().Add(-time.Second), NotAfter: time.Now().Add(life)})
	p.cert, p.key = pair.WriteTo(t, p.dir)
	return pair.Leaf.SerialNumber.String()
}

func (p *party) config(t testing.TB) client.Config {
	t.Helper()
	cfg, err := client.TLSFromFiles(p.ca, p.cert, p.key)
	must(t, err)
	return client.Config{Endpoints: []string{p.addr}, TLS: cfg}
}

// Certificates that end soon are replaced time and again, and the server ends connections when
// theirs do. Nobody notices.
func TestRotationIsNotNoticed(t *testing.T) {
	t.Parallel()
	life, every, all := 15*time.Second, 5*time.Second, 30*time.Second
	if testing.Short() {
		life, every, all = 5*time.Second, time.Second, 8*time.Second
	}
	const workers = 4
	n := facadetest.Start(t)
	p := newParty(t, n.Addr())
	p.rotate(t, life)
	cfg := p.config(t)
	cfg.TTL, cfg.Linger = 10*time.Second, 2*time.Second
	c := open(t, cfg)
	plain := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	l := lock(t, c, name)
	session := state(t, plain, name).GetHolder().GetSession()

	over := time.NewTimer(all)
	defer over.Stop()
	stop := make(chan struct{})
	var cycles atomic.Int64
	var running sync.WaitGroup
	for w := range workers {
		own := fmt.Sprintf("%s/%d", name, w)
		running.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				err := func() error {
					l, err := c.Lock(t.Context(), own)
					if err != nil {
						return err
					}
					if err := l.Append(t.Context(), "f", []byte("x")); err != nil {
						return err
					}
					return l.Unlock(t.Context())
				}()
				if err != nil {
					t.Errorf("cycle %d of worker %d: %v", n, w, err)
					return
				}
				cycles.Add(1)
				if got, err := c.Read(t.Context(), own, "f"); err != nil || len(got) != n {
					t.Errorf("after cycle %d of worker %d: read %d bytes, %v", n, w, len(got), err)
					return
				}
				select { // a few a second: more would only make the file long
				case <-time.After(20 * time.Millisecond):
				case <-stop:
				}
			}
		})
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for going := true; going; {
		select {
		case <-tick.C:
			p.rotate(t, life)
		case <-over.C:
			going = false
		}
	}
	close(stop)
	running.Wait()
	must(t, l.Context().Err())
	if got := state(t, plain, name).GetHolder(); got.GetSession() != session || got.GetToken() != l.Token() {
		t.Errorf("held by %v, want session %s", got, session)
	}
	must(t, l.Unlock(t.Context()))
	shown, late := p.serials()
	t.Logf("%d cycles, %d connections", cycles.Load(), len(shown))
	if late > 0 {
		t.Errorf("%d connections were there still when their certificates ended", late)
	}
	if least := int(all/life) + 1; len(shown) < least || len(shown) > 3*int(all/every) {
		t.Errorf("%d connections were made, want %d at least, and not many more", len(shown), least)
	}
}

// Where no new certificate comes, the old connection goes on to its end. It is not left for one
// that ends no later, and when its end has come, and the new certificate, the session is there
// still.
func TestLateRotation(t *testing.T) {
	t.Parallel()
	const life = 5 * time.Second
	n := facadetest.Start(t)
	p := newParty(t, n.Addr())
	old := p.rotate(t, life)
	ends := time.Now().Add(life)
	cfg := p.config(t)
	cfg.TTL = 30 * time.Second
	c := open(t, cfg)
	name := fresh(t)
	l := lock(t, c, name)
	for time.Now().Before(ends.Add(-1500 * time.Millisecond)) {
		must(t, l.Append(t.Context(), "f", []byte("x")))
		<-time.After(10 * time.Millisecond)
	}
	shown, _ := p.serials()
	if len(shown) < 2 || len(shown) > 4 {
		t.Errorf("%d connections were made before the end, want an attempt or a few to replace the first", len(shown))
	}
	storetest.Eventually(t, "the end of the connection", func() bool { _, late := p.serials(); return late > 0 })
	renewed := p.rotate(t, time.Hour)
	must(t, l.Append(t.Context(), "f", []byte("x")))
	must(t, l.Unlock(t.Context()))
	shown, _ = p.serials()
	if got := shown[len(shown)-1]; got != renewed || shown[0] != old {
		t.Errorf("serial numbers %q were shown, want the first to be %s and the last %s", shown, old, renewed)
	}
}

func jwt(exp time.Time, id string) []byte {
	encode := base64.RawURLEncoding.EncodeToString
	return []byte(encode([]byte(`{"alg":"none"}`)) + "." + encode(fmt.Appendf(nil, `{"exp":%d,"jti":%q}`, exp.Unix(), id)) + ".x\n")
}

// A token is shown with each connection, and the connection replaced before it ends. An answer that
// is owed meanwhile comes over the new one.
func TestConnectionIsReplacedBeforeItsTokenEnds(t *testing.T) {
	t.Parallel()
	owing := make(chan struct{})
	s := startScripted(t, when(isRead, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		select {
		case <-owing:
			return nil
		default:
			return silence
		}
	}))
	first, second := jwt(time.Now().Add(3*time.Second), "1"), jwt(time.Now().Add(time.Hour), "2")
	file := certstest.Write(t, filepath.Join(t.TempDir(), "token"), first)
	c := open(t, client.Config{Endpoints: []string{s.addr}, BearerFile: file, TTL: 10 * time.Second})
	l := lock(t, c, "a")
	certstest.Write(t, file, second)
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(t.Context(), "a", "f")
		read <- err
	}()
	storetest.Eventually(t, "the Read", func() bool { return len(s.received(isRead)) > 0 })
	close(owing)
	must(t, <-read)
	must(t, l.Unlock(t.Context()))
	want := []string{"Bearer " + strings.TrimSpace(string(first)), "Bearer " + strings.TrimSpace(string(second))}
	if got := s.tokens(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("streams were opened with %q, want %q", got, want)
	}
}

// A new connection that the server refuses does not take the place of the old one.
func TestRefusedConnectionReplacesNothing(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(s *scripted, bad *atomic.Bool){
		"its stream": func(s *scripted, _ *atomic.Bool) {
			s.refuse(asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED")))
		},
		"its words": func(_ *scripted, bad *atomic.Bool) { bad.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bad atomic.Bool
			// A question names no request, and the heartbeats of the session do.
			isQuestion := func(r *dlmv1.StreamRequest) bool { return isHeartbeat(r) && r.GetHeartbeat().GetHighestRequest() == 0 }
			s := startScripted(t, when(isQuestion, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
				if bad.Load() {
					return refusal(codes.PermissionDenied, "PERMISSION_DENIED")
				}
				return nil
			}))
			file := certstest.Write(t, filepath.Join(t.TempDir(), "token"), jwt(time.Now().Add(4*time.Second), "1"))
			c := open(t, client.Config{Endpoints: []string{s.addr}, BearerFile: file, TTL: 10 * time.Second})
			l := lock(t, c, "a")
			certstest.Write(t, file, jwt(time.Now().Add(time.Hour), "2"))
			refuse(s, &bad)
			storetest.Eventually(t, "a second stream", func() bool { return s.opened() >= 2 })
			must(t, l.Append(t.Context(), "f", nil))
			must(t, l.Context().Err())
			bad.Store(false)
			s.refuse(nil)
			storetest.Eventually(t, "a third stream", func() bool { return s.opened() >= 3 })
			must(t, l.Unlock(t.Context()))
		})
	}
}

// A server that begins to refuse what it was shown is shown what the file has by then.
func TestRefusedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	var revoked atomic.Bool
	s := startScripted(t, nil)
	s.answer = when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if revoked.Load() && s.opened() == 1 {
			return refusal(codes.Unauthenticated, "UNAUTHENTICATED")
		}
		return nil
	})
	file := certstest.Write(t, filepath.Join(t.TempDir(), "token"), []byte("one"))
	c := open(t, client.Config{Endpoints: []string{s.addr}, BearerFile: file})
	l := lock(t, c, "a")
	revoked.Store(true)
	certstest.Write(t, file, []byte("two"))
	is(t, l.Append(t.Context(), "f", nil), client.ErrUnauthenticated)
	storetest.Eventually(t, "an append that is accepted", func() bool { return l.Append(t.Context(), "f", nil) == nil })
	must(t, l.Unlock(t.Context()))
	if got := s.tokens(); len(got) != 2 || got[1] != "Bearer two" {
		t.Errorf("streams were opened with %q", got)
	}
}

// The files' authorities count as they are now, and a server of another one is not spoken to.
func TestAuthoritiesAreReread(t *testing.T) {
	t.Parallel()
	s := startScripted(t, usually)
	p := newParty(t, s.addr)
	p.rotate(t, time.Hour)
	cfg := p.config(t)
	cfg.ConnectTimeout = time.Second
	certstest.Write(t, p.ca, certstest.New(t).PEM())
	c := open(t, cfg)
	_, err := c.Lock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	if !strings.Contains(err.Error(), "authority") {
		t.Errorf("%v does not say why", err)
	}
	certstest.Write(t, p.ca, p.authority.PEM())
	must(t, lock(t, c, "a").Unlock(t.Context()))
	if len(s.received(isAcquire)) != 1 {
		t.Error("something was sent to a server that is not trusted")
	}
}

func TestFaultyFilesAreRefused(t *testing.T) {
	p := newParty(t, "127.0.0.1:1")
	p.rotate(t, time.Hour)
	for name, files := range map[string][3]string{
		"no such file":  {"nowhere", "", ""},
		"no key":        {"", p.cert, ""},
		"no cert":       {"", "", p.key},
		"mixed up":      {"", p.key, p.cert},
		"no authority":  {p.key, "", ""},
		"not even text": {t.TempDir(), "", ""},
	} {
		if _, err := client.TLSFromFiles(files[0], files[1], files[2]); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}

// recorder is an HTTP proxy that leads every CONNECT to one address, and keeps what it sees.
type recorder struct {
	addr    string
	running sync.WaitGroup

	mu   sync.Mutex
	seen bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen.Write(b)
}

func (r *recorder) record() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen.String()
}

func startRecorder(t *testing.T, to string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &recorder{addr: l.Addr().String()}
	r.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.serve(conn, to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.running.Wait()
	})
	return r
}

func (r *recorder) serve(conn net.Conn, to string) {
	defer conn.Close()
	from := bufio.NewReader(io.TeeReader(conn, r))
	if asked, err := http.ReadRequest(from); err != nil || asked.Method != http.MethodConnect {
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	r.running.Go(func() {
		_, _ = io.Copy(server, from)
		_ = server.Close()
	})
	_, _ = io.Copy(io.MultiWriter(conn, r), server)
}

// proxied is whether the environment has been looked at for a proxy, which a process does once.
var proxied atomic.Bool

// A proxy is used only by TLS, and sees nothing of what is said. No other test may use one before.
func TestProxySeesNothing(t *testing.T) {
	if proxied.Swap(true) {
		t.Skip("a repeat in the same process would go to the proxy of the first run")
	}
	p := newParty(t, endpoint)
	p.authority = certstest.New(t)
	pair := p.authority.Issue(t, certstest.Spec{DNS: []string{"dlm.invalid"}})
	p.ca = p.authority.WriteTo(t, p.dir)
	p.front = newFront(t, endpoint, pair)
	r := startRecorder(t, p.addr)
	t.Setenv("HTTPS_PROXY", "http://"+r.addr)
	t.Setenv("NO_PROXY", "")
	cfg := p.config(t)
	cfg.Endpoints, cfg.Proxy = []string{"dlm.invalid:50051"}, true
	cfg.BearerFile = certstest.Write(t, filepath.Join(p.dir, "token"), []byte("a-token-to-be-kept"))
	c := open(t, cfg)
	name := "a-lock-to-be-kept/" + fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("some-bytes-to-be-kept")))
	credential := l.Credential()
	must(t, l.Unlock(t.Context()))
	must(t, c.Close())
	seen := r.record()
	if !strings.Contains(seen, "CONNECT dlm.invalid:50051") || len(seen) < 2000 {
		t.Fatalf("the proxy was not used: it has seen %d bytes", len(seen))
	}
	for _, secret := range []string{"to-be-kept", credential, "dlm.v1"} {
		if strings.Contains(seen, secret) {
			t.Errorf("the proxy has seen %q", secret)
		}
	}
}
