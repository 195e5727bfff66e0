package facadetest

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

// Bounds of what a node does, generous for busy machines.
const (
	startTimeout = 30 * time.Second
	drainTimeout = 5 * time.Second // then calls are cut off
)

// Option changes what Start starts.
type Option func(*Node)

// WithFsync makes etcd write its log through to the disk, as a real server does. Without it a test
// is faster, and a crash of the machine, not of the process, would lose data.
func WithFsync() Option {
	return func(n *Node) { n.fsync = true }
}

// WithFacades starts count facades on the one etcd, instead of one.
func WithFacades(count int) Option {
	return func(n *Node) { n.served = make([]*served, count) }
}

// WithLogger makes the facades and stores log. Without it what they log at level debug is looked
// through for credentials, which fail the test.
func WithLogger(log *slog.Logger) Option {
	return func(n *Node) { n.log = log }
}

// WithStore puts what wrap returns between each facade and its store, to observe calls or make them
// fail.
func WithStore(wrap func(facade.Store) facade.Store) Option {
	return func(n *Node) { n.wrap = wrap }
}

// WithCoursework makes the facades serve the coursework's API as well, over the lock "default".
func WithCoursework(ttl, hold time.Duration) Option {
	return func(n *Node) { n.coursework = &coursework.Config{Lock: "default", TTL: ttl, Hold: hold} }
}

// WithAccess has facade i want to know who calls, by what access returns for it. It is asked again
// when the facade is started again.
func WithAccess(access func(i int) facade.Access) Option {
	return func(n *Node) { n.access = access }
}

// WithTracer has the facades make a span of each call.
func WithTracer(tracer trace.Tracer) Option {
	return func(n *Node) { n.tracer = tracer }
}

// Node is a running service. Its methods are for one goroutine at a time, except Addr, Addrs,
// Dial and DialBy.
type Node struct {
	t      testing.TB
	fsync  bool
	log    *slog.Logger
	wrap   func(facade.Store) facade.Store
	dir    string
	etcd   *embedded.Server
	served []*served
	addrs  []string

	access     func(i int) facade.Access
	tracer     trace.Tracer       // nil: nothing is traced
	coursework *coursework.Config // nil: it is not served
}

// Start starts a node, or fails the test.
func Start(t testing.TB, opts ...Option) *Node {
	t.Helper()
	looked := &discreet{}
	n := &Node{
		t:      t,
		log:    slog.New(slog.NewTextHandler(looked, &slog.HandlerOptions{Level: slog.LevelDebug})),
		wrap:   func(store facade.Store) facade.Store { return store },
		access: func(int) facade.Access { return facade.Access{} },
		dir:    t.TempDir(),
		served: make([]*served, 1),
	}
	if bench := flag.Lookup("test.bench"); bench != nil && bench.Value.String() != "" {
		n.log = slog.New(slog.DiscardHandler) // it would be measured
	}
	for _, opt := range opts {
		opt(n)
	}
	n.addrs = make([]string, len(n.served))
	for i := range n.addrs {
		n.addrs[i] = storetest.FreeAddr(t) // nobody else's while it is stopped, as one by port 0 would be
	}
	t.Cleanup(func() {
		n.Stop()
		if line := looked.found(); line != "" {
			t.Errorf("a credential is in the log: %s", line)
		}
	})
	n.start()
	return n
}

// Addr returns the first facade's host:port. It stays the same over restarts.
func (n *Node) Addr() string { return n.addrs[0] }

// Addrs returns each facade's host:port.
func (n *Node) Addrs() []string { return append([]string(nil), n.addrs...) }

// Etcd returns a client of the embedded etcd, good until Stop or Restart.
func (n *Node) Etcd() *clientv3.Client { return n.etcd.Client() }

// Store opens a store of its own on the node's etcd, beside those of the facades. It is closed with
// the test.
func (n *Node) Store() *etcdstore.Store {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), startTimeout)
	defer cancel()
	store, err := etcdstore.Open(ctx, etcdstore.Config{Client: n.etcd.Client(), Local: n.etcd.Local(), Logger: n.log})
	if err != nil {
		n.t.Fatalf("open a store: %v", err)
	}
	n.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			n.t.Errorf("close a store: %v", err)
		}
	})
	return store
}

// Empty deletes all keys of the service, as somebody might by mistake.
func (n *Node) Empty() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), startTimeout)
	defer cancel()
	if _, err := n.etcd.Client().Delete(ctx, etcdstore.DefaultPrefix, clientv3.WithPrefix()); err != nil {
		n.t.Fatalf("empty etcd: %v", err)
	}
}

// Dial returns a connection to facade i in plain text, closed when the test ends. It connects when
// it is first used.
func (n *Node) Dial(i int) *grpc.ClientConn {
	n.t.Helper()
	return n.DialBy(i, insecure.NewCredentials())
}

// DialBy is Dial by what encrypts, and says who calls.
func (n *Node) DialBy(i int, creds credentials.TransportCredentials) *grpc.ClientConn {
	n.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+n.addrs[i], grpc.WithTransportCredentials(creds))
	if err != nil {
		n.t.Fatalf("dial facade %d: %v", i, err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Stop stops the facades, the stores and etcd, and keeps the data. A repeat does nothing.
func (n *Node) Stop() {
	n.t.Helper()
	var stopping sync.WaitGroup
	for i := range n.served {
		stopping.Go(func() { n.StopFacade(i) })
	}
	stopping.Wait()
	if n.etcd == nil {
		return
	}
	if err := n.etcd.Close(); err != nil {
		n.t.Errorf("close etcd: %v", err)
	}
	n.etcd = nil
}

// Restart stops the node, unless it is stopped, and starts it with the same data on the same ports.
func (n *Node) Restart() {
	n.t.Helper()
	n.Stop()
	n.start()
}

func (n *Node) start() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), startTimeout)
	defer cancel()
	etcd, err := embedded.Start(ctx, embedded.Config{DataDir: n.dir, UnsafeNoFsync: !n.fsync})
	if err != nil {
		n.t.Fatalf("start etcd: %v", err)
	}
	n.etcd = etcd
	for i := range n.served {
		n.StartFacade(i)
	}
}

// StartFacade starts facade i on its port, unless it runs. The node must not be stopped.
func (n *Node) StartFacade(i int) {
	n.t.Helper()
	if n.served[i] != nil {
		return
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), startTimeout)
	defer cancel()
	listener, err := listen(ctx, n.addrs[i])
	if err != nil {
		n.t.Fatalf("listen: %v", err)
	}
	s := &served{log: n.log}
	s.store, err = etcdstore.Open(ctx, etcdstore.Config{Client: n.etcd.Client(), Local: n.etcd.Local(), Logger: n.log, OnServing: s.onServing})
	if err != nil {
		_ = listener.Close()
		n.t.Fatalf("open the store: %v", err)
	}
	s.serve(listener, facade.Config{Store: n.wrap(s.store), Logger: n.log, Access: n.access(i), Tracer: n.tracer}, n.coursework)
	n.served[i] = s
}

// StopFacade stops facade i and its store, unless it is stopped.
func (n *Node) StopFacade(i int) {
	n.t.Helper()
	s := n.served[i]
	if s == nil {
		return
	}
	n.served[i] = nil
	// In a cleanup the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.t.Context()), drainTimeout)
	defer cancel()
	if err := s.stop(ctx); err != nil {
		n.t.Errorf("stop facade %d: %v", i, err)
	}
}

// listen listens on an address. A port that was just given up may take a moment to be free.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	for {
		listener, err := config.Listen(ctx, "tcp", addr)
		if err == nil {
			return listener, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
