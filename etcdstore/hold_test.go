package etcdstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// Whoever takes a session's losses is warned of a deadline that is near, also over a link that came
// later, and what others hold is not spoken of.
func TestWarnedOfADeadline(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	storetest.Want(t, "LimitHolds", s.LimitHolds([]etcdstore.HoldLimit{{Prefix: "limited", Max: 50 * time.Second}}), nil)
	c, other := begin(t, s), begin(t, s)
	l := listen(t, s, c)
	h := c.Acquire("limited/l")
	other.Acquire("limited/others")
	info, err := s.Inspect(storetest.Bounded(t), h.Lock)
	if err != nil || info.Holder.Deadline.Sub(info.Holder.Since) != 50*time.Second {
		t.Fatalf("Inspect = %+v, %v; want a deadline", info.Holder, err)
	}
	s.Nears(h.Lock, h.Token)
	l.warned(c, h)
	s.Nears(h.Lock, h.Token+1) // of another section: nothing
	token, err := s.Commit(storetest.Bounded(t), h.Section)
	storetest.Want(t, "Commit", err, nil)
	late := listen(t, s, c)
	late.warned(c, h)
	s.Nears(h.Lock, token) // now it is over
	h.Token = token
	late.told(c, h, "held longer than 50s")
	l.told(c, h, "held longer than 50s")
	if info, err = s.Inspect(storetest.Bounded(t), h.Lock); err != nil || !strings.HasPrefix(info.LastUndone, "held longer than 50s (") {
		t.Errorf("Inspect = %+v, %v; want why it was undone", info, err)
	}
	again := c.Acquire(h.Lock) // with a deadline of its own
	if info, err = s.Inspect(storetest.Bounded(t), again.Lock); err != nil || time.Until(info.Holder.Deadline) < 40*time.Second {
		t.Errorf("Inspect = %+v, %v; want a new deadline", info.Holder, err)
	}
}

// A heartbeat and a grant say how long is left, of the one that holds.
func TestHoldLeft(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c, w := begin(t, s), begin(t, s)
	acquire := func(c *storetest.Client, lock string, most time.Duration) (etcdstore.AcquireArgs, etcdstore.Grant) {
		t.Helper()
		args := c.Args(lock, c.Request(), etcdstore.WaitForever)
		args.Hold = most
		g, err := s.Acquire(storetest.Bounded(t), args)
		storetest.Want(t, "Acquire", err, nil)
		return args, g
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got > want || got < want-patience {
			t.Errorf("%s: %v are left; want %v", what, got, want)
		}
	}
	args, g := acquire(c, "l", time.Hour)
	near("granted", g.HoldLeft, time.Hour)
	g, err := s.Acquire(storetest.Bounded(t), args)
	storetest.Want(t, "a repeat", err, nil)
	near("repeated", g.HoldLeft, time.Hour)
	_, endless := acquire(c, "endless", 0)
	near("endless", endless.HoldLeft, 0)
	waiting := w.Args("l", w.Request(), etcdstore.WaitForever)
	waiting.Hold = 2 * time.Hour
	p := w.Start(waiting)
	p.Queued()
	r, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Unfinished: []etcdstore.Acquisition{args.Acquisition}})
	storetest.Want(t, "Heartbeat", err, nil)
	near("by a heartbeat", r.States[0].HoldLeft, time.Hour)
	if r, err = s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: w.Credential, Unfinished: []etcdstore.Acquisition{waiting.Acquisition}}); err != nil || r.States[0].HoldLeft != 0 {
		t.Errorf("who waits is told %+v, %v; want nothing of a deadline", r.States, err)
	}
	c.Release(c.Section("l", args.Request, g.Token))
	w.Release(p.Granted())
}

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
