package coursework_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

// faulty is a store with one client, whose lock is granted once two heartbeats of the waiting
// client have panicked.
type faulty struct {
	coursework.Store
	beats   *atomic.Int64
	renewed chan struct{}
}

func (faulty) Client(_ context.Context, id int32) (etcdstore.Client, error) {
	return etcdstore.Client{ID: id, Record: []byte(`{"session":"0123456789abcdef.secret"}`)}, nil
}

func (faulty) SaveClient(_ context.Context, c etcdstore.Client) (etcdstore.Client, error) {
	return c, nil
}

func (faulty) Credential(session, _ string) string { return session + ".secret" }

func (faulty) BareClients() bool { return true }

func (faulty) Holder(context.Context, string) (*etcdstore.Holder, error) { return nil, nil }

func (f faulty) Heartbeat(context.Context, etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	switch f.beats.Add(1) {
	case 2:
		panic("the first renewal")
	case 3:
		close(f.renewed)
		panic("the second renewal")
	}
	return etcdstore.Renewal{TTL: time.Second}, nil
}

func (f faulty) Acquire(ctx context.Context, _ etcdstore.AcquireArgs) (etcdstore.Grant, error) {
	select {
	case <-f.renewed:
		return etcdstore.Grant{Outcome: etcdstore.Granted, Token: 7}, nil
	case <-ctx.Done():
		return etcdstore.Grant{}, context.Cause(ctx)
	}
}

// A panic while a waiting client is renewed costs nobody the server.
func TestPanicWhileRenewing(t *testing.T) {
	t.Parallel()
	store := faulty{beats: new(atomic.Int64), renewed: make(chan struct{})}
	s := coursework.New(coursework.Config{Store: store, Lock: "default", TTL: 30 * time.Millisecond})
	resp, err := s.LockAcquire(storetest.Bounded(t), &pb.LockArgs{ClientId: 1, RequestId: "1-1"})
	if err != nil || resp.GetStatus() != success || resp.GetVersion() != 7 {
		t.Errorf("lock_acquire: %v, %v", resp, err)
	}
}
