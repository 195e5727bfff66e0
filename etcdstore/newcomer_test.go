package etcdstore_test

import (
	"context"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// promotes reports whether an operation hands the lock l to somebody who waits for it.
func promotes(op clientv3.Op) bool { return puts("/dlm/locks/l")(op) && deletes("/dlm/queue/l//")(op) }

// TestNewcomersOfAFreeLock has a lock become free while somebody waits, and nobody there who hands
// it over. Who comes then is behind whoever waits, whatever the mirror of his store shows: all of
// it, or nothing since before the lock was first used.
func TestNewcomersOfAFreeLock(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	referee, over := startReferee(t, etcd)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	follow := b.HoldWatches()
	subjects := []storetest.Subject{b, a, etcdstore.Resolving{Store: b.Store}, etcdstore.Resolving{Store: a.Store}}
	var newcomers []*storetest.Client // before anything is lost: what shares a promotion's transaction is lost with it
	for _, s := range subjects {
		newcomers = append(newcomers, begin(t, s))
	}
	var lost atomic.Bool
	lost.Store(true)
	a.Before(func(_ context.Context, c faults.Call) error {
		if lost.Load() && promotes(c.Op) {
			return faults.ErrLost
		}
		return nil
	})
	c := begin(t, a)
	c.Acquire("l")
	first := begin(t, a).Queue("l")
	closeSession(t, a, c)
	storetest.Eventually(t, "the lock to be free", func() bool { return len(keys(t, etcd, "locks/l")) == 0 })

	var behind []*storetest.Pending
	for i, s := range subjects {
		w := newcomers[i]
		var g etcdstore.Grant
		args := w.Args("l", w.Request(), 0)
		storetest.Eventually(t, "an answer", func() bool {
			var err error
			g, err = s.Acquire(storetest.Bounded(t), args)
			return err == nil // it may share a batch with what is lost
		})
		if g.Outcome != etcdstore.Busy {
			t.Errorf("a try through store %d while another waits = %+v; want busy", i, g)
		}
		args = w.Args("l", w.Request(), etcdstore.WaitForever)
		p := w.Start(args)
		behind = append(behind, p)
		place := "queue/l//" + w.ID + "." + args.Request
		storetest.Eventually(t, "a place in the queue", func() bool {
			select {
			case <-p.Done(): // as above
				p = w.Start(args)
				behind[i] = p
			default:
			}
			return len(keys(t, etcd, place)) == 1
		})
	}
	first.Waits()
	lost.Store(false)
	follow()
	h := first.Granted()
	for _, p := range behind {
		p.Waits()
		storetest.Want(t, "Release", a.Release(storetest.Bounded(t), h.Section), nil)
		h = p.Granted()
	}
	over()
	if r := referee; r.promotions == 0 || r.grants != 6 {
		t.Errorf("%d grants, %d of a free lock that was waited for; want 6, and one at least", r.grants, r.promotions)
	}
}

// TestHandOverToWhoeverQueuedAgain has the first waiter leave, and come back behind another: by the
// same request, through a store that has not heard of its end. To a store that has heard of neither
// it is the first still.
func TestHandOverToWhoeverQueuedAgain(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	releasing, ending, queueing := openFaulty(t, etcd), openFaulty(t, etcd), openFaulty(t, etcd)
	c, w, second := begin(t, releasing), begin(t, queueing), begin(t, ending)
	h := c.Acquire("l")
	p := w.Queue("l")
	next := second.Queue("l")
	for _, s := range []*faulty{releasing, ending, queueing} {
		caughtUp(t, etcd, s)
	}
	defer releasing.HoldWatches()()
	followQueueing := queueing.HoldWatches()
	if _, err := ending.Cancel(storetest.Bounded(t), w.Credential, p.Acquisition()); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	again := w.Start(p.Args())
	place := "queue/l//" + w.ID + "." + p.Args().Request
	storetest.Eventually(t, "the place to be taken again", func() bool { return len(keys(t, etcd, place)) == 1 })
	c.Release(h)
	h = next.Granted()
	followQueueing()
	again.Waits()
	storetest.Want(t, "Release", ending.Release(storetest.Bounded(t), h.Section), nil)
	again.Granted()
}

// TestPromoteOfAHeldLock has a lock taken while a promotion is on its way to etcd. No store does
// so past a waiter; but a promotion does not rely on that.
func TestPromoteOfAHeldLock(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	c, other := begin(t, a), begin(t, a)
	h := c.Acquire("l")
	value, err := etcd.Get(storetest.Bounded(t), "/dlm/locks/l")
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	w := begin(t, a)
	p := w.Queue("l")
	reached, promote := hold(t, a.Faults, promotes)
	if _, err := etcd.Delete(storetest.Bounded(t), "/dlm/locks/l"); err != nil {
		t.Fatalf("delete: %v", err)
	}
	storetest.Await(t, "a promotion", reached)
	put, err := etcd.Put(storetest.Bounded(t), "/dlm/locks/l", string(value.Kvs[0].Value), clientv3.WithLease(clientv3.LeaseID(value.Kvs[0].Lease)))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	promote()
	caughtUp(t, etcd, a)
	other.Publish("elsewhere", "f", "text") // whose batch comes after that of the promotion
	if token := storetest.HolderOf(t, a, "l"); token != put.Header.Revision {
		t.Errorf("the lock is held under %d; want %d", token, put.Header.Revision)
	}
	p.Waits()
	h.Token = put.Header.Revision
	c.Release(h)
	p.Granted()
}
