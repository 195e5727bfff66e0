package etcdstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// What tells a grant that somebody may wait is dropped when nobody does, by etcd's word and not by
// a mirror's, and not while it is new.
func TestWaitedDropped(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	c, w := begin(t, a), begin(t, a)
	follow := b.HoldWatches()
	defer follow()
	h := c.Acquire("l")
	p := w.Queue("l")
	var since int64
	drop := func(s *faulty, want ...string) {
		t.Helper()
		storetest.Want(t, "DropWaited", s.DropWaited(storetest.Bounded(t), &since), nil)
		if got := keys(t, etcd, "waited/"); !slices.Equal(got, want) {
			t.Errorf("there is %q; want %q", got, want)
		}
	}
	drop(b, "waited/l")
	drop(b, "waited/l") // it knows of no waiter, etcd does
	c.Release(h)
	w.Release(p.Granted())
	since = 0
	drop(a, "waited/l") // it may be new
	drop(a)
	w.Release(w.Acquire("l"))
}

// Waiters of more locks than a batch has room for share batches all the same.
func TestWaitersOfManyLocks(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c, w := begin(t, s), begin(t, s)
	const locks = 200
	var held []*storetest.Held
	var waits []*storetest.Pending
	for i := range locks {
		held = append(held, c.Acquire(fmt.Sprintf("l%d", i)))
	}
	release := busy(t, s, "/dlm/")
	for i := range locks {
		waits = append(waits, w.Start(w.Args(fmt.Sprintf("l%d", i), w.Request(), etcdstore.WaitForever)))
	}
	storetest.Eventually(t, "all to be pending", func() bool { return s.Pending() == locks })
	var batches atomic.Int64
	s.After(func(_ context.Context, call faults.Call) error {
		if puts("/dlm/waited/")(call.Op) {
			batches.Add(1)
		}
		return nil
	})
	release()
	for _, h := range held {
		c.Release(h)
	}
	for _, p := range waits {
		p.Granted()
	}
	if got := batches.Load(); got > locks/40 { // one that were refused would be run again, each alone
		t.Errorf("%d waiters took %d batches; want %d at most", locks, got, locks/40)
	}
}
