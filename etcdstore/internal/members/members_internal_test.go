package members

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

const patience = 30 * time.Second // of tests

// fake is a member whose answers a test decides.
type fake struct {
	pb.UnimplementedKVServer
	pb.UnimplementedAuthServer
	addr string

	mu     sync.Mutex
	answer error
	mute   chan struct{} // it answers nothing before this is closed; nil: it answers
}

func startFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, f)
	pb.RegisterAuthServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		f.speaks(nil)
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fake) Range(ctx context.Context, _ *pb.RangeRequest) (*pb.RangeResponse, error) {
	f.mu.Lock()
	answer, mute := f.answer, f.mute
	f.mu.Unlock()
	if mute != nil {
		select {
		case <-mute:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &pb.RangeResponse{Header: &pb.ResponseHeader{}}, answer
}

func (f *fake) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return nil, rpctypes.ErrGRPCAuthFailed
}

// speaks has it answer, with an error or none, what it owes and what comes.
func (f *fake) speaks(answer error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
	if f.mute != nil {
		close(f.mute)
		f.mute = nil
	}
}

func (f *fake) hangs() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute = make(chan struct{})
}

func endpoints(fakes ...*fake) (all []string) {
	for _, f := range fakes {
		all = append(all, f.addr)
	}
	return all
}

func open(ctx context.Context, cfg clientv3.Config) (*Members, error) {
	cfg.Logger = zap.NewNop()
	return Open(ctx, cfg, "key", slog.New(slog.DiscardHandler))
}

// opened is members that are watched over until the test ends.
func opened(t *testing.T, fakes ...*fake) *Members {
	t.Helper()
	m, err := open(t.Context(), clientv3.Config{Endpoints: endpoints(fakes...)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		m.Close()
	})
	return m
}

func uses(t *testing.T, m *Members, f *fake) {
	t.Helper()
	await.Eventually(t, patience, "the move", func() bool { return m.InUse().endpoint == f.addr })
}

func get(m *Members) error {
	return m.Do(context.Background(), func(c *clientv3.Client) error {
		_, err := c.Get(context.Background(), "key")
		return err
	})
}

// TestLeave leaves a member that owes an answer for the one that has it: what is under way over the
// old one ends at once, and goes on over the new one if it may be made twice.
func TestLeave(t *testing.T) {
	t.Parallel()
	a, b := startFake(t), startFake(t)
	m := opened(t, a, b)
	if m.InUse().endpoint != a.addr {
		t.Error("the first is not in use")
	}
	a.hangs()
	began := time.Now()
	once := make(chan error, 1)
	go func() {
		_, err := m.InUse().Client.Get(context.Background(), "key")
		once <- err
	}()
	if err := get(m); err != nil {
		t.Errorf("a read that may be made again: %v", err)
	}
	if took := time.Since(began); took < leastPatience {
		t.Errorf("the member was left after %v", took)
	}
	uses(t, m, b)
	if err := await.Receive(t, patience, "the end of a call", once); status.Code(err) != codes.Aborted {
		t.Errorf("a call over the member that was left: %v", err)
	}
	// Back to one that was left not long ago: to be slow is put up with for longer from now on.
	a.speaks(nil)
	b.hangs()
	uses(t, m, a)
	b.speaks(nil)
	a.hangs()
	began = time.Now()
	uses(t, m, b)
	if took := time.Since(began); took < 2*leastPatience {
		t.Errorf("moved to and fro: left after %v", took)
	}
}

// TestLeaveFailing leaves a member that fails without patience.
func TestLeaveFailing(t *testing.T) {
	t.Parallel()
	a, b := startFake(t), startFake(t)
	m := opened(t, a, b)
	a.speaks(rpctypes.ErrGRPCNoLeader)
	uses(t, m, b)
	if m.patience != leastPatience {
		t.Errorf("a member that fails is not slow: patience %v", m.patience)
	}
}

// TestStay stays with a member that is slow while no other one is faster.
func TestStay(t *testing.T) {
	t.Parallel()
	a, b := startFake(t), startFake(t)
	m := opened(t, a, b)
	b.hangs()
	a.hangs()
	<-time.After(leastPatience + 2*askEvery) // both are being asked
	a.speaks(nil)
	if err := get(m); err != nil {
		t.Error(err)
	}
	<-time.After(2 * askEvery)
	if m.InUse().endpoint != a.addr {
		t.Error("moved")
	}
}

// TestOpen takes the first member that answers, be it by a refusal to read the key.
func TestOpen(t *testing.T) {
	t.Parallel()
	a, b := startFake(t), startFake(t)
	a.hangs()
	b.speaks(rpctypes.ErrGRPCPermissionDenied)
	if m := opened(t, a, b); m.InUse().endpoint != b.addr {
		t.Error("the second is not in use")
	}
}

// TestOpenFails says why of each member: when the time is over, or as soon as to ask again is no
// use.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	a, b := startFake(t), startFake(t)
	a.speaks(rpctypes.ErrGRPCNoLeader)
	b.hangs()
	ctx, cancel := context.WithTimeout(t.Context(), 2*headStart)
	defer cancel()
	_, err := open(ctx, clientv3.Config{Endpoints: endpoints(a, b)})
	if err == nil || !strings.Contains(err.Error(), a.addr+": "+"rpc error: code = Unavailable desc = etcdserver: no leader; "+b.addr+": ") {
		t.Errorf("no member answers: %v", err)
	}
	_, err = open(t.Context(), clientv3.Config{Endpoints: endpoints(a, b), Username: "u", Password: "wrong"})
	if !errors.Is(err, rpctypes.ErrAuthFailed) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err = open(t.Context(), clientv3.Config{}); err == nil {
		t.Error("opened without endpoints")
	}
}
