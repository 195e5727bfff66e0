package facade_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience bounds whatever a test waits for.
const patience = time.Minute

// scripted is a store whose every method calls do with its own name, for what only the facade
// decides. What the service does as a whole is tested with the real store.
type scripted struct {
	do     func(ctx context.Context, method string) error
	atOnce bool // do returns, or panics, before a call that is started has been
	read   etcdstore.Piece
}

func (s scripted) start(f func()) {
	if s.atOnce {
		f()
	} else {
		go f()
	}
}

func (s scripted) NewLink(func(etcdstore.Loss)) *etcdstore.Link { return &etcdstore.Link{} }

func (s scripted) Init(ctx context.Context, _ etcdstore.InitArgs) (etcdstore.Session, error) {
	return etcdstore.Session{ID: "0123456789abcdef", Credential: credential, TTL: time.Second}, s.do(ctx, "Init")
}

func (s scripted) Heartbeat(ctx context.Context, _ etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	return etcdstore.Renewal{TTL: time.Second}, s.do(ctx, "Heartbeat")
}

func (s scripted) CloseSession(ctx context.Context, _ string) error { return s.do(ctx, "Close") }

func (s scripted) StartAcquire(ctx context.Context, _ etcdstore.AcquireArgs, done func(etcdstore.Grant, error)) {
	s.start(func() { done(etcdstore.Grant{Outcome: etcdstore.Granted, Token: 7}, s.do(ctx, "Acquire")) })
}

func (s scripted) Cancel(ctx context.Context, _ string, _ etcdstore.Acquisition) (int64, error) {
	return 0, s.do(ctx, "Cancel")
}

func (s scripted) StartRelease(ctx context.Context, _ etcdstore.Section, done func(error)) {
	s.start(func() { done(s.do(ctx, "Release")) })
}

func (s scripted) Commit(ctx context.Context, _ etcdstore.Section) (int64, error) {
	return 8, s.do(ctx, "Commit")
}

func (s scripted) Discard(ctx context.Context, _ etcdstore.Section) (bool, error) {
	return true, s.do(ctx, "Discard")
}

func (s scripted) StartAppend(ctx context.Context, _ etcdstore.Record, done func(int64, error)) {
	s.start(func() { done(9, s.do(ctx, "Append")) })
}

func (s scripted) StartPublish(ctx context.Context, _ etcdstore.PublishArgs, done func(etcdstore.Publication, error)) {
	s.start(func() {
		done(etcdstore.Publication{Outcome: etcdstore.Published, Version: etcdstore.Version{Token: 9, N: 1}}, s.do(ctx, "Publish"))
	})
}

func (s scripted) Withdraw(ctx context.Context, _ string, _ etcdstore.PublishID) (etcdstore.Publication, error) {
	return etcdstore.Publication{Outcome: etcdstore.Withdrawn}, s.do(ctx, "Withdraw")
}

func (s scripted) Read(ctx context.Context, _ etcdstore.ReadArgs) (etcdstore.Piece, error) {
	return s.read, s.do(ctx, "Read")
}

func (s scripted) Tail(ctx context.Context, _ etcdstore.TailArgs, send func(etcdstore.Piece) error) error {
	if err := send(etcdstore.Piece{Data: []byte("x")}); err != nil {
		return err
	}
	return s.do(ctx, "Tail")
}

func (s scripted) ListFiles(ctx context.Context, _ string, _ int, _ string) ([]etcdstore.File, string, error) {
	return nil, "", s.do(ctx, "ListFiles")
}

func (s scripted) InspectCluster(ctx context.Context) (etcdstore.ClusterInfo, error) {
	return etcdstore.ClusterInfo{}, s.do(ctx, "InspectCluster")
}

func (s scripted) Inspect(ctx context.Context, _ string) (etcdstore.LockInfo, error) {
	return etcdstore.LockInfo{}, s.do(ctx, "Inspect")
}

func (s scripted) Select(ctx context.Context, _ etcdstore.Selection) (etcdstore.Page, error) {
	return etcdstore.Page{}, s.do(ctx, "List")
}

func (s scripted) WatchSince(ctx context.Context, prefix string, _ int64, send func(*etcdstore.News) error) error {
	return s.Watch(ctx, prefix, send)
}

func (s scripted) Watch(ctx context.Context, _ string, send func(*etcdstore.News) error) error {
	if err := send(&etcdstore.News{Events: make([]etcdstore.Event, 1)}); err != nil {
		return err
	}
	return s.do(ctx, "Watch")
}

func (s scripted) Evict(ctx context.Context, _ string, _ int64, _ string) (*etcdstore.Holder, error) {
	return nil, s.do(ctx, "Evict")
}

func (s scripted) Problems(ctx context.Context, _ string) ([]etcdstore.Problem, string, error) {
	return nil, "", s.do(ctx, "ListProblems")
}

func (s scripted) Repair(ctx context.Context, _ string, _ int64) (bool, error) {
	return false, s.do(ctx, "Repair")
}

func (s scripted) SetRetention(ctx context.Context, _ etcdstore.Retention) error {
	return s.do(ctx, "SetRetention")
}

func (s scripted) Retentions(ctx context.Context) ([]etcdstore.Retention, error) {
	return nil, s.do(ctx, "ListRetention")
}

func (s scripted) Snapshot(ctx context.Context, begin func(int64) error, _ func([]byte) error) error {
	if err := begin(1); err != nil {
		return err
	}
	return s.do(ctx, "Snapshot")
}

func (s scripted) Cluster() string { return "c" }

func (s scripted) Faults() etcdstore.Faults { return etcdstore.Faults{} }

func (s scripted) EndWaits(ctx context.Context, _ func(string, string) bool) (int, error) {
	return 0, s.do(ctx, "EndWaits")
}

func (s scripted) EndSessions(ctx context.Context, _ func(string, time.Time) bool) (int, error) {
	return 0, s.do(ctx, "EndSessions")
}

// credential looks like a session's credential.
const credential = "0123456789abcdef.topsecret"

// serve serves a store until the test ends, and connects to it.
func serve(t *testing.T, store facade.Store, log *slog.Logger) (*facade.Server, *grpc.ClientConn) {
	t.Helper()
	return serveConfig(t, facade.Config{Store: store, Logger: log})
}

func serveConfig(t *testing.T, cfg facade.Config) (*facade.Server, *grpc.ClientConn) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := facade.New(cfg)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return server, conn
}

// wait waits for a signal.
func wait[T any](t *testing.T, signal <-chan T, what string) T {
	t.Helper()
	return await.Receive(t, patience, what, signal)
}
