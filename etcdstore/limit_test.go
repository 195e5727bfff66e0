package etcdstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// wantLimit fails the test unless err names a limit, and when to try again.
func wantLimit(t *testing.T, err error, limit string) {
	t.Helper()
	l, ok := errors.AsType[*etcdstore.LimitError](err)
	if !ok || !errors.Is(err, etcdstore.ErrLimit) || l.Limit != limit || l.Retry <= 0 {
		t.Errorf("%v: want limit %s", err, limit)
	}
}

func TestSessionsAreLimited(t *testing.T) {
	t.Parallel()
	s := openStoreWith(t, etcdstore.Config{Client: startEtcd(t), Limits: etcdstore.Limits{Sessions: 3, SessionsPerClient: 2}})
	a, b := etcdstore.WithClient(storetest.Bounded(t), "a"), etcdstore.WithClient(storetest.Bounded(t), "b")
	var begun []etcdstore.Session
	for range 2 {
		session, err := s.Init(a, etcdstore.InitArgs{})
		if err != nil {
			t.Fatal(err)
		}
		begun = append(begun, session)
	}
	_, err := s.Init(a, etcdstore.InitArgs{})
	wantLimit(t, err, "sessions-per-client")
	if _, err := s.Init(b, etcdstore.InitArgs{}); err != nil {
		t.Errorf("another client: %v", err)
	}
	_, err = s.Init(b, etcdstore.InitArgs{})
	wantLimit(t, err, "sessions")
	if err := s.CloseSession(a, begun[0].Credential); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "room for another session", func() bool {
		_, err := s.Init(a, etcdstore.InitArgs{})
		return err == nil
	})
}

func TestAcquisitionsAreLimited(t *testing.T) {
	t.Parallel()
	s := openStoreWith(t, etcdstore.Config{Client: startEtcd(t), Limits: etcdstore.Limits{Acquisitions: 2, Waiters: 1}})
	c, other := begin(t, s), begin(t, s)
	h := c.Acquire("l")
	c.Acquire("m")
	acquire := func(c *storetest.Client, lock, request string, wait time.Duration) error {
		_, err := s.Acquire(storetest.Bounded(t), c.Args(lock, request, wait))
		return err
	}
	wantLimit(t, acquire(c, "n", "r", 0), "acquisitions")
	waiting := other.Queue("l")
	wantLimit(t, acquire(begin(t, s), "l", "r", etcdstore.WaitForever), "waiters")
	if err := acquire(begin(t, s), "l", "r", 0); err != nil {
		t.Errorf("one that does not wait: %v", err)
	}
	c.Release(h)
	if g, err := waiting.Answer(); err != nil || g.Outcome != etcdstore.Granted {
		t.Errorf("the one that waited: %+v, %v", g, err)
	}
	if err := acquire(c, "n", "r", 0); err != nil {
		t.Errorf("after a release: %v", err)
	}
}

// Whether a stranger's token holds a lock is asked of etcd as a whole, not of the member that
// happens to be asked: that may be behind, and has then not heard of its grant.
func TestStrangersAreAskedAfterLinearizably(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	asked := make(chan clientv3.Op, 100)
	s.Before(func(_ context.Context, call faults.Call) error {
		if call.Op.IsTxn() {
			asked <- call.Op
		}
		return nil
	})
	sec := h.Section
	sec.Token++
	if err := s.Release(storetest.Bounded(t), sec); err == nil {
		t.Error("a release under another token succeeded")
	}
	s.Before(nil)
	if len(asked) == 0 {
		t.Error("etcd was not asked")
	}
	for len(asked) > 0 {
		op := <-asked
		if compares, then, otherwise := op.Txn(); len(compares) > 0 && len(then)+len(otherwise) == 0 {
			t.Errorf("%v was compared alone", compares)
		}
	}
	c.Release(h)
}
