package etcdstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// A hold deadline counts from the grant, over commits, in every store that hears of it: the
// first that is due evicts.
func TestHoldDeadline(t *testing.T) {
	t.Parallel()
	const deadline = time.Second
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openFaulty(t, etcd)
	c := begin(t, a)
	ask := func(s storetest.Subject, c *storetest.Client, lock string) *storetest.Held {
		t.Helper()
		args := c.Args(lock, c.Request(), 0)
		args.Hold = deadline
		g, err := s.Acquire(storetest.Bounded(t), args)
		if err != nil || g.Outcome != etcdstore.Granted {
			t.Fatalf("Acquire = %+v, %v; want a grant", g, err)
		}
		return c.Section(lock, args.Request, g.Token)
	}
	began := time.Now()
	abandoned, committed, forever := ask(a, c, "abandoned"), ask(a, c, "committed"), c.Acquire("forever")
	handedOver := begin(t, a)
	args := handedOver.Args("abandoned", handedOver.Request(), etcdstore.WaitForever)
	args.Hold = deadline
	p := handedOver.Start(args)
	p.Queued()
	last := begin(t, b).Queue("abandoned")
	closeStore(t, a)
	b.BreakWatches() // and lists anew
	onB := c.Via(b)
	storetest.Eventually(t, "a holder that commits to be evicted", func() bool {
		token, err := b.Commit(storetest.Bounded(t), committed.Section)
		if errors.Is(err, etcdstore.ErrLockExpired) {
			return true
		}
		if err != nil || token == 0 {
			t.Fatalf("Commit = %d, %v", token, err)
		}
		committed.Token = token
		return false
	})
	if took := time.Since(began); took < deadline {
		t.Errorf("evicted after %s; want %s at least", took, deadline)
	}
	last.Granted()
	if took := time.Since(began); took < 2*deadline {
		t.Errorf("the lock was passed on twice in %s; want %s at least", took, 2*deadline)
	}
	onB.Lost(abandoned)
	onB.Lost(committed)
	if got := storetest.HolderOf(t, b, "forever"); got != forever.Token {
		t.Errorf("a lock without a deadline is held under %d; want %d", got, forever.Token)
	}
}
