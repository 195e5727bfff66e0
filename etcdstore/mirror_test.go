package etcdstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// A store knows of its own waiters before its mirror has seen those that came earlier elsewhere. It
// must not hand the lock to its own past them.
func TestOwnWaiterDoesNotOvertake(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	h := c.Acquire("l")
	follow := a.HoldWatches()
	first := begin(t, b).Queue("l")
	second := begin(t, a).Queue("l")
	c.Release(h)
	next := first.Granted()
	second.Waits()
	follow()
	if err := a.Release(storetest.Bounded(t), next.Section); err != nil {
		t.Fatalf("Release: %v", err)
	}
	second.Granted()
}

// A session's acquisition that a store made before it heard of the session is the session's all the
// same: a heartbeat that does not list it ends it.
func TestAcquisitionBeforeItsSessionIsKnown(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	begin(t, a).Acquire("other")
	follow := a.HoldWatches()
	c := begin(t, b)
	onA := c.Via(a)
	onA.Acquire("l")
	onA.Queue("other")
	follow()
	storetest.Eventually(t, "what is not listed to be ended", func() bool {
		onA.Heartbeat(c.Requests())
		return storetest.HolderOf(t, a, "l") == 0 && storetest.Inspect(t, a, "other").QueueLength == 0
	})
}

// A bounded wait is over, and its place is gone: not by this call, and it is not said that the lock
// was not had. It was, and was lost before anybody here could hear of it.
func TestGrantLostUnseenByABoundedWait(t *testing.T) {
	t.Parallel()
	for name, takeAway := range map[string]func(t *testing.T, s storetest.Subject, w *storetest.Client){
		"evicted": func(t *testing.T, s storetest.Subject, _ *storetest.Client) {
			if _, err := s.Evict(storetest.Bounded(t), "l", 0, "at once"); err != nil {
				t.Errorf("Evict: %v", err)
			}
		},
		"its session ended": func(t *testing.T, s storetest.Subject, w *storetest.Client) {
			storetest.Want(t, "CloseSession", s.CloseSession(storetest.Bounded(t), w.Credential), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			a, b := openFaulty(t, etcd), openStore(t, etcd)
			c, w := begin(t, b), begin(t, a)
			h := c.Acquire("l")
			follow := a.HoldWatches()
			defer follow()
			over := make(chan error, 1)
			go func() {
				g, err := a.Acquire(storetest.Bounded(t), w.Args("l", w.Request(), 2*time.Second))
				if err == nil {
					err = fmt.Errorf("%+v", g)
				}
				over <- err
			}()
			storetest.Eventually(t, "b to know of the waiter", func() bool {
				g, err := b.Acquire(storetest.Bounded(t), c.Args("l", c.Request(), 0))
				return err == nil && g.QueueLength == 1
			})
			c.Release(h)
			takeAway(t, b, w)
			err := await.Receive(t, patience, "the end of the wait", over)
			if !errors.Is(err, etcdstore.ErrLockExpired) && !errors.Is(err, etcdstore.ErrSessionExpired) {
				t.Errorf("Acquire: %v; want lock or session expired", err)
			}
		})
	}
}

// A lock that was granted and lost before a waiting call could hear of it was not cancelled by
// anybody, and the late repeat of its acquire gets nothing.
func TestGrantLostUnseen(t *testing.T) {
	t.Parallel()
	for _, listed := range []bool{false, true} {
		t.Run(fmt.Sprintf("listed=%t", listed), func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			a, b := openFaulty(t, etcd), openStore(t, etcd)
			c := begin(t, b)
			h := c.Acquire("l")
			w := begin(t, a)
			p := w.Queue("l")
			storetest.Eventually(t, "b to know of the waiter", func() bool {
				g, err := b.Acquire(storetest.Bounded(t), c.Args("l", c.Request(), 0))
				return err == nil && g.QueueLength == 1
			})
			follow := a.HoldWatches()
			c.Release(h)
			if _, err := b.Evict(storetest.Bounded(t), "l", 0, "at once"); err != nil {
				t.Fatalf("Evict: %v", err)
			}
			if listed { // anew, so that neither event is ever told
				a.BreakWatches()
			} else {
				follow()
			}
			g, err := p.Answer()
			if !errors.Is(err, etcdstore.ErrLockExpired) && (listed || err != nil || g.Outcome != etcdstore.Granted) {
				t.Errorf("Acquire = %+v, %v; want lock expired, or the grant that was lost", g, err)
			}
			if listed {
				follow()
			}
			if err == nil {
				return // the end may not be known here yet
			}
			g, err = a.Acquire(storetest.Bounded(t), p.Args())
			if !errors.Is(err, etcdstore.ErrLockExpired) {
				t.Errorf("a late Acquire = %+v, %v; want lock expired", g, err)
			}
		})
	}
}

// A heartbeat still lists what its client has not heard the end of. It has ended all the same: a
// repeat of its acquire is refused.
func TestLateAcquireOfWhatIsListed(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	if _, err := s.Evict(storetest.Bounded(t), "l", h.Token, "enough"); err != nil {
		t.Fatalf("Evict: %v", err)
	}
	c.Heartbeat(c.Requests(), h.Acquisition())
	g, err := s.Acquire(storetest.Bounded(t), c.Args("l", h.Acquisition().Request, etcdstore.WaitForever))
	if !errors.Is(err, etcdstore.ErrLockExpired) {
		t.Errorf("a late Acquire = %+v, %v; want lock expired", g, err)
	}
}

// What a session does through a store that has not been told of it is remembered there all the
// same.
func TestLateAcquireOfAnUnknownSession(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	follow := a.HoldWatches()
	defer follow()
	c := begin(t, b).Via(a)
	h := c.Acquire("l")
	c.Release(h)
	g, err := a.Acquire(storetest.Bounded(t), c.Args("l", h.Acquisition().Request, etcdstore.WaitForever))
	if !errors.Is(err, etcdstore.ErrLockExpired) {
		t.Errorf("a late Acquire = %+v, %v; want lock expired", g, err)
	}
}

// A wait whose place was taken through another store, and of which this one was told nothing until
// it was over.
func TestGrantLostNeverSeen(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c, w := begin(t, b), begin(t, a)
	follow := a.HoldWatches()
	h := c.Acquire("l")
	p := w.Via(b).Queue("l")
	found := answered(a.Faults, func(op clientv3.Op) bool { // not by the plain grant, which finds nothing
		_, _, els := op.Txn()
		return len(els) > 0 && puts("/dlm/locks/l")(op)
	})
	again := w.Start(p.Args())
	storetest.Await(t, "its place to be found", found)
	storetest.Eventually(t, "the lock to pass on and be lost", func() bool {
		again.Waits()
		_ = b.Release(storetest.Bounded(t), h.Section)
		out, _ := b.Evict(storetest.Bounded(t), "l", 0, "at once")
		return out != nil
	})
	a.BreakWatches()
	if g, err := again.Answer(); !errors.Is(err, etcdstore.ErrLockExpired) {
		t.Errorf("Acquire = %+v, %v; want lock expired", g, err)
	}
	follow()
}

// A waiter that left, unknown to the store that releases, is passed over in the same call; so is
// one whose session ended.
func TestHandOverPastWhoLeft(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	h := c.Acquire("l")
	left, dead, next := begin(t, a), begin(t, a), begin(t, a)
	p := left.Queue("l")
	dead.Queue("l")
	last := next.Queue("l")
	caughtUp(t, etcd, a)
	follow := a.HoldWatches()
	defer follow()
	if token, err := b.Cancel(storetest.Bounded(t), left.Credential, p.Acquisition()); token != 0 || err != nil {
		t.Fatalf("Cancel = %d, %v", token, err)
	}
	closeSession(t, b, dead)
	c.Release(h)
	last.Granted()
}

// Whether a lock is held is not answered from the mirror.
func TestHeartbeatReadsEtcd(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c, w := begin(t, a), begin(t, a)
	h := c.Acquire("l")
	p := w.Queue("l")
	caughtUp(t, etcd, a)
	follow := a.HoldWatches()
	defer follow()
	if out, err := b.Evict(storetest.Bounded(t), "l", h.Token, "enough"); err != nil || out == nil {
		t.Fatalf("Evict = %v, %v", out, err)
	}
	if got := c.Heartbeat(c.Requests(), h.Acquisition())[0]; got.State != etcdstore.None || got.Token != 0 {
		t.Errorf("state of what was lost elsewhere = %+v; want none", got)
	}
	storetest.Eventually(t, "the hand-over", func() bool { return storetest.HolderOf(t, b, "l") > h.Token })
	if got := w.Heartbeat(w.Requests(), p.Acquisition())[0]; got.State != etcdstore.Holding || got.Token <= h.Token {
		t.Errorf("state of what was granted elsewhere = %+v; want holding", got)
	}
}
