package facade

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	awaiting "github.com/distributed-lock-manager/dlm/internal/await"
)

const patience = time.Minute

// recorder is a server whose multiplexed streams only say how they ended.
type recorder struct {
	dlmv1.UnimplementedLockServiceServer
	*grpc.Server

	service *service
	addr    string
	begun   chan struct{}
	ends    chan bool
}

func record(t *testing.T, creds credentials.TransportCredentials, opts ...grpc.ServerOption) *recorder {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Logger: slog.New(slog.DiscardHandler)}
	watched := watching{creds, newGate(cfg, newLimiter(cfg))}
	r := &recorder{
		Server:  grpc.NewServer(append(opts, grpc.Creds(watched.Clone()), grpc.WaitForHandlers(true))...),
		service: &service{drain: newDrain()},
		addr:    l.Addr().String(),
		begun:   make(chan struct{}, 1),
		ends:    make(chan bool, 1),
	}
	dlmv1.RegisterLockServiceServer(r.Server, r)
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		r.Server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return r
}

func (r *recorder) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	tellPeer(stream)
	var err error
	for first := true; err == nil; first = false {
		if _, err = stream.Recv(); first && err == nil {
			if err = stream.Send(&dlmv1.StreamResponse{}); err == nil {
				r.begun <- struct{}{}
			}
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	r.ends <- r.service.closedByPeer(stream.Context(), transportError(err))
	return err
}

// open opens a stream at an address, and returns when the server has it.
func (r *recorder) open(t *testing.T, creds credentials.TransportCredentials, addr string) (
	stream dlmv1.LockService_StreamClient, cancel context.CancelFunc,
) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err = dlmv1.NewLockServiceClient(conn).Stream(ctx)
	if err == nil {
		err = stream.Send(&dlmv1.StreamRequest{})
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	awaiting.Receive(t, patience, "the stream", r.begun)
	return stream, cancel
}

func (r *recorder) want(t *testing.T, byPeer bool) {
	t.Helper()
	if got := awaiting.Receive(t, patience, "the stream's end", r.ends); got != byPeer {
		t.Errorf("closed by the peer: %v, want %v", got, byPeer)
	}
}

// relay passes one connection on, and stands in for what may become of it on its way.
type relay struct {
	addr string

	mu     sync.Mutex
	server *net.TCPConn // to the server
	frozen bool         // nothing is passed on any more
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String()}
	var running sync.WaitGroup
	var client net.Conn
	pass := func(to, from net.Conn) {
		b := make([]byte, 32<<10)
		for {
			n, err := from.Read(b)
			r.mu.Lock()
			frozen := r.frozen
			r.mu.Unlock()
			if !frozen {
				_, _ = to.Write(b[:n])
			}
			if err != nil {
				return
			}
		}
	}
	running.Go(func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", to)
		if err != nil {
			_ = in.Close()
			return
		}
		r.mu.Lock()
		client, r.server = in, out.(*net.TCPConn)
		r.mu.Unlock()
		running.Go(func() { pass(in, out) })
		running.Go(func() { pass(out, in) })
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for _, c := range []io.Closer{client, r.server} {
			_ = c.Close()
		}
		r.mu.Unlock()
		running.Wait()
	})
	return r
}

// Each way in which a stream may end, with real connections.
func TestClosedByPeer(t *testing.T) {
	t.Parallel()
	plain := insecure.NewCredentials()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	serverTLS := credentials.NewTLS(&tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS13})
	clientTLS := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) //nolint:gosec // it is about how connections end
	for _, secure := range []bool{false, true} {
		of, with, prefix := plain, plain, "plain"
		if secure {
			of, with, prefix = serverTLS, clientTLS, "TLS"
		}
		// Pings of a client that nobody answers are no part of this.
		pings := grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: 200 * time.Millisecond})
		aged := grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 300 * time.Millisecond, MaxConnectionAgeGrace: 100 * time.Millisecond})
		for _, test := range []struct {
			name    string
			options []grpc.ServerOption
			end     func(t *testing.T, r *recorder, stream dlmv1.LockService_StreamClient, cancel context.CancelFunc, via *relay)
			want    bool
		}{
			{"the stream is cancelled", nil, func(_ *testing.T, _ *recorder, _ dlmv1.LockService_StreamClient, cancel context.CancelFunc, _ *relay) {
				cancel()
			}, true},
			{"the stream is half-closed", nil, func(t *testing.T, _ *recorder, stream dlmv1.LockService_StreamClient, _ context.CancelFunc, _ *relay) {
				if err := stream.CloseSend(); err != nil {
					t.Error(err)
				}
			}, true},
			{"the connection is closed", nil, func(_ *testing.T, _ *recorder, _ dlmv1.LockService_StreamClient, _ context.CancelFunc, via *relay) {
				via.mu.Lock()
				defer via.mu.Unlock()
				_ = via.server.Close()
			}, true},
			{"the connection is reset", nil, func(_ *testing.T, _ *recorder, _ dlmv1.LockService_StreamClient, _ context.CancelFunc, via *relay) {
				via.mu.Lock()
				defer via.mu.Unlock()
				_ = via.server.SetLinger(0)
				_ = via.server.Close()
			}, true},
			{"pings are not answered", []grpc.ServerOption{pings}, func(_ *testing.T, _ *recorder, _ dlmv1.LockService_StreamClient, _ context.CancelFunc, via *relay) {
				via.mu.Lock()
				defer via.mu.Unlock()
				via.frozen = true
			}, false},
			{"the connection is too old", []grpc.ServerOption{aged}, func(*testing.T, *recorder, dlmv1.LockService_StreamClient, context.CancelFunc, *relay) {
			}, false},
			{"a message is too large", []grpc.ServerOption{grpc.MaxRecvMsgSize(100)}, func(t *testing.T, _ *recorder, stream dlmv1.LockService_StreamClient, _ context.CancelFunc, _ *relay) {
				if err := stream.Send(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: &dlmv1.AppendRequest{Data: make([]byte, 200)}}}); err != nil {
					t.Error(err)
				}
			}, false},
			{"the server stops", nil, func(_ *testing.T, r *recorder, _ dlmv1.LockService_StreamClient, _ context.CancelFunc, _ *relay) {
				go r.Server.Stop() // which waits for the handler
			}, false},
			{"the client leaves a server that drains", nil, func(_ *testing.T, r *recorder, _ dlmv1.LockService_StreamClient, cancel context.CancelFunc, _ *relay) {
				r.service.drain.close()
				cancel()
			}, false},
		} {
			t.Run(prefix+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				r := record(t, of, test.options...)
				via := newRelay(t, r.addr)
				stream, cancel := r.open(t, with, via.addr)
				test.end(t, r, stream, cancel, via)
				r.want(t, test.want)
			})
		}
	}
}

// A client that is connected directly is told its own address; behind something that has a
// connection of its own, another.
func TestPeerIsTold(t *testing.T) {
	t.Parallel()
	r := record(t, insecure.NewCredentials())
	for _, direct := range []bool{true, false} {
		addr := r.addr
		if !direct {
			addr = newRelay(t, r.addr).addr
		}
		var own string
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				if err == nil {
					own = c.LocalAddr().String()
				}
				return c, err
			}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := dlmv1.NewLockServiceClient(conn).Stream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&dlmv1.StreamRequest{}); err != nil {
			t.Fatal(err)
		}
		header, err := stream.Header()
		if err != nil {
			t.Fatal(err)
		}
		if told := header.Get(peerHeader); len(told) != 1 || (told[0] == own) != direct {
			t.Errorf("a client at %s, directly: %v, is told %q", own, direct, told)
		}
		awaiting.Receive(t, patience, "the stream", r.begun)
		cancel()
		r.want(t, true)
	}
}

// deadConn is a connection of which the kernel has found out that the peer does not answer: the
// first call learns so, and all that come after it see an end like any other.
type deadConn struct {
	net.Conn
	told bool
}

func (c *deadConn) fail(after error) (int, error) {
	if c.told {
		return 0, after
	}
	c.told = true
	return 0, syscall.ETIMEDOUT
}

func (c *deadConn) Read([]byte) (int, error)  { return c.fail(io.EOF) }
func (c *deadConn) Write([]byte) (int, error) { return c.fail(syscall.EPIPE) }

func TestUnansweredConnectionIsNotClosedByPeer(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"read", "write"} {
		c := &watchedConn{Conn: &deadConn{}}
		calls := []func([]byte) (int, error){c.Read, c.Write}
		if first == "write" {
			calls = []func([]byte) (int, error){c.Write, c.Read}
		}
		for _, call := range calls {
			_, _ = call(nil)
		}
		if byPeer, stands := c.closedByPeer(); byPeer || stands {
			t.Errorf("found out by a %s: closed by the peer %v, stands %v", first, byPeer, stands)
		}
	}
	c := &watchedConn{Conn: &deadConn{told: true}}
	_, _ = c.Write(nil)
	_, _ = c.Read(nil)
	if byPeer, _ := c.closedByPeer(); !byPeer {
		t.Error("a reset that a write found out is not the peer's")
	}
}
