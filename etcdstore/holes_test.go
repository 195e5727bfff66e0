package etcdstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// The tests below are named after the holes that a model of the protocol's first version had. Each
// says what is lost without its fix. H4 and H8, where sections are swept and folded, are in
// holes_background_test.go; H14, where etcd is full, is in space_test.go.

// Without "//" at the end of a lock's name, sweeping a section of one lock deletes the records of a
// lock that is named like that section: its release is acknowledged, and nothing is readable.
func TestH1KeyAliasing(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	outer := c.Acquire("a")
	c.Append(outer, "f", "dropped")
	waiter := begin(t, s).Queue("a")
	inner := c.Acquire("a/" + hex16(outer.Token)) // nobody waits for this one
	c.Append(inner, "f", "inner")
	discard(t, s, outer)
	gone(t, etcd, "staged/a//")
	c.Release(inner)
	storetest.WantContents(t, s, inner.Lock, "f", "inner")
	storetest.WantNoFile(t, s, "a", "f")
	waiter.Granted()
}

// Without a new token at a mid-way commit, a late repeat of an append from before it is staged once
// more, and published twice.
func TestH2LateAppendAfterCommit(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	r := c.Append(h, "f", "once;")
	h = c.Commit(h)
	storetest.WantContents(t, s, "l", "f", "once;") // and folded, so that the record's key is gone
	storetest.Want(t, "late repeat of an append", storetest.AppendTo(storetest.Bounded(t), s, r), etcdstore.ErrLockExpired)
	h.Appended = true
	c.Release(h)
	storetest.WantContents(t, s, "l", "f", "once;")
}

// Without a new token at a mid-way commit, a late repeat of the commit publishes the next section's
// records, which are then lost: readable all the same.
func TestH2LateCommit(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "committed;")
	next := c.Commit(h)
	storetest.WantContents(t, s, "l", "f", "committed;")
	c.Append(next, "f", "lost;")
	if again := c.Commit(h); again.Token != next.Token {
		t.Errorf("Commit repeated = %d; want %d", again.Token, next.Token)
	}
	storetest.WantContents(t, s, "l", "f", "committed;")
	closeSession(t, s, c)
	storetest.WantContents(t, s, "l", "f", "committed;")
}

// Without the truth rule, a release repeated after the session's end is refused though the section
// is in the file, and the client publishes it again; or succeeds though it was lost.
func TestH3ReleaseRepeatedAfterTheSession(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	c := begin(t, a)
	h := c.Acquire("published")
	c.Append(h, "f", "published")
	lost := lose(a.Faults, puts("/dlm/commits/"))
	storetest.Want(t, "Release whose reply is lost", a.Release(storetest.Bounded(t), h.Section), etcdstore.ErrNoQuorum)
	storetest.Await(t, "the loss", lost)

	next := c.Acquire("lost")
	c.Append(next, "f", "lost")
	swept, sweepA := hold(t, a.Faults, sweeps)
	_, sweepB := hold(t, b.Faults, sweeps)
	closeSession(t, b, c)
	storetest.Await(t, "a sweep", swept)
	for _, s := range []*faulty{a, b} {
		storetest.Want(t, "Release of what was published", s.Release(storetest.Bounded(t), h.Section), nil)
		storetest.Want(t, "Release of what is not yet swept", s.Release(storetest.Bounded(t), next.Section), etcdstore.ErrLockExpired)
	}
	sweepA()
	sweepB()
	storetest.WantContents(t, b, "published", "f", "published")
	gone(t, etcd, "staged/")
	for _, s := range []*faulty{a, b} {
		storetest.Want(t, "Release of what was folded", s.Release(storetest.Bounded(t), h.Section), nil)
		storetest.Want(t, "Release of what was swept", s.Release(storetest.Bounded(t), next.Section), etcdstore.ErrLockExpired)
	}
	storetest.WantContents(t, b, "published", "f", "published")
	storetest.WantNoFile(t, b, "lost", "f")
}

// Without the look at the queue in the acquire's own transaction, a store whose mirror is behind
// grants a lock past those who wait for it.
func TestH5AcquireBehindTheMirror(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	c, late := begin(t, a), begin(t, a)
	h := c.Acquire("l")
	followA := a.HoldWatches()
	first := begin(t, b).Queue("l")
	followB := b.HoldWatches()
	c.Release(h) // a sees nobody in the queue, b sees no release
	for _, s := range []storetest.Subject{a, etcdstore.Resolving{Store: a.Store}} {
		g, err := s.Acquire(storetest.Bounded(t), late.Args("l", late.Request(), 0))
		if err != nil || g.Outcome != etcdstore.Busy {
			t.Errorf("a try while another waits = %+v, %v; want busy", g, err)
		}
	}
	behind := late.Queue("l")
	first.Waits()
	followA()
	followB()
	next := first.Granted()
	behind.Waits()
	if err := b.Release(storetest.Bounded(t), next.Section); err != nil {
		t.Fatalf("Release: %v", err)
	}
	behind.Granted()
}

// Without that look a waiter's own retry is granted while its place stays in the queue: holder and
// waiter at once, it hands the lock to itself.
func TestH5HolderAndWaiter(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	c, w := begin(t, a), begin(t, b)
	c.Acquire("l")
	followA := a.HoldWatches()
	p := w.Queue("l")
	followB := b.HoldWatches()
	closeSession(t, a, c)
	again := w.Via(a).Start(p.Args())
	storetest.Eventually(t, "the retry to have been answered by etcd", func() bool {
		info := storetest.Inspect(t, a, "l")
		if info.Holder != nil && info.QueueLength != 0 {
			t.Fatalf("%+v holds and %+v waits", info.Holder, info.Waiters)
		}
		return info.QueueLength == 1
	})
	followA()
	followB()
	if x, y := p.Granted(), again.Granted(); x.Token != y.Token {
		t.Errorf("one request was granted tokens %d and %d", x.Token, y.Token)
	}
	if info := storetest.Inspect(t, a, "l"); info.QueueLength != 0 {
		t.Errorf("%+v still waits; want nobody", info.Waiters)
	}
}

// Without a note of what was ended other than by its release, a release of it succeeds for a holder
// that had lost the lock, or whose records were dropped.
func TestH6NotesOfWhatWasUndone(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	for _, lock := range []string{"evicted", "reconciled"} {
		h := c.Acquire(lock) // nothing appended: only the note tells
		if lock == "evicted" {
			if _, err := s.Evict(storetest.Bounded(t), lock, h.Token, "enough"); err != nil {
				t.Fatalf("Evict: %v", err)
			}
		} else {
			c.Heartbeat(c.Requests())
		}
		if got := storetest.HolderOf(t, s, lock); got != 0 {
			t.Fatalf("%s is held under %d; want it free", lock, got)
		}
		storetest.Want(t, "Release of what was "+lock, s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
	}
	h := c.Acquire("discarded")
	c.Append(h, "f", "dropped")
	lose(s.Faults, puts("/dlm/undone/"))
	_, err := s.Discard(storetest.Bounded(t), h.Section)
	storetest.Want(t, "Discard whose reply is lost", err, etcdstore.ErrNoQuorum)
	storetest.Want(t, "Release of what was discarded", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
}

// Without comparing when the session began, a session whose id was given again ends the section of
// one that lost the lock.
func TestH7SessionIDGivenAgain(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	key := "/dlm/sessions/" + c.ID
	was, err := etcd.Get(storetest.Bounded(t), key)
	if err != nil || len(was.Kvs) != 1 {
		t.Fatalf("get %s: %v, %v", key, was, err)
	}
	h := c.Acquire("l")
	closeSession(t, s, c)
	// Leases are never given the same id again; this is what it would look like.
	if _, err := etcd.Put(storetest.Bounded(t), key, string(was.Kvs[0].Value)); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	storetest.Want(t, "Release by a session of the same id", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
}

// Without the highest number in a heartbeat, one that was sent before an acquire and comes after it
// ends a hold that its client knows.
func TestH9LateHeartbeat(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	first := c.Acquire("first")
	sent := c.Requests() // with the first on its list
	second := c.Acquire("second")
	p := begin(t, a).Queue("second")
	for _, s := range []*etcdstore.Store{a, b} {
		c.Via(s).Heartbeat(sent, first.Acquisition())
	}
	for lock, h := range map[string]*storetest.Held{"first": first, "second": second} {
		if got := storetest.HolderOf(t, a, lock); got != h.Token {
			t.Errorf("%s is held under %d; want %d", lock, got, h.Token)
		}
	}
	p.Waits()
}

// Without remembering what has ended, a late repeat of an acquire parks the lock with nobody;
// without reconciliation it stays there where the repeat came by a server that does not know.
func TestH10LateAcquire(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	c := begin(t, a)
	h := c.Acquire("l")
	c.Release(h)
	late := c.Args("l", h.Acquisition().Request, etcdstore.WaitForever)
	for _, s := range []storetest.Subject{a, etcdstore.Resolving{Store: a.Store}} {
		if g, err := s.Acquire(storetest.Bounded(t), late); !errors.Is(err, etcdstore.ErrLockExpired) {
			t.Errorf("a late Acquire = %+v, %v; want lock expired", g, err)
		}
	}
	follow := a.HoldWatches()
	defer follow()
	onB := c.Via(b)
	storetest.Eventually(t, "the release to be known there", func() bool { return !b.KnowsHolder("l") })
	h = onB.Acquire("l")
	onB.Release(h)
	late.Request = h.Acquisition().Request
	if g, err := a.Acquire(storetest.Bounded(t), late); err != nil || g.Outcome != etcdstore.Granted {
		t.Fatalf("a late Acquire where the section is not known = %+v, %v; want it granted to nobody", g, err)
	}
	p := begin(t, b).Queue("l")
	c.Heartbeat(c.Requests())
	p.Granted()
}

// Without the lease in the guard a token is all it takes, and tokens can be seen and guessed.
func TestH11TokenOfAnother(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c, thief := begin(t, s), begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "own;")
	stolen := thief.Section("l", h.Acquisition().Request, h.Token)
	stolen.Appended = true
	thief.Lost(stolen)
	if _, err := s.Discard(storetest.Bounded(t), stolen.Section); err != nil {
		t.Errorf("Discard under another's token: %v", err)
	}
	if info := storetest.Inspect(t, s, "l"); info.Holder == nil || info.Holder.Token != h.Token || info.Staged != 1 {
		t.Errorf("after another's calls the lock is %+v; want it held under %d with one record", info, h.Token)
	}
	c.Release(h)
	storetest.WantContents(t, s, "l", "f", "own;")
	storetest.WantNoFile(t, s, "l", "late")
}

// Without the look at the session before a put on its lease, etcd refuses the whole transaction:
// what would be batched with it, and the release that would hand over to it.
func TestH12DeadLeaseInATransaction(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	s := etcdstore.Resolving{Store: a.Store} // a plain one is refused by etcd, and run again: TestPackOnEndedLeases
	c, dead := begin(t, s), begin(t, s)
	h := c.Acquire("held")
	follow := a.HoldWatches()
	closeSession(t, b, dead)
	var refused atomic.Int64
	a.After(func(_ context.Context, c faults.Call) error {
		if errors.Is(c.Err, rpctypes.ErrLeaseNotFound) {
			refused.Add(1)
		}
		return nil
	})
	for _, lock := range []string{"free", "held"} {
		g, err := s.Acquire(storetest.Bounded(t), dead.Args(lock, dead.Request(), etcdstore.WaitForever))
		if !errors.Is(err, etcdstore.ErrSessionExpired) {
			t.Errorf("Acquire of a session that has ended, unknown here = %+v, %v; want session expired", g, err)
		}
	}
	follow()
	// A place left over from a session: it goes with its lease, so this one was put there by hand.
	if _, err := etcd.Put(storetest.Bounded(t), "/dlm/queue/held//"+dead.ID+".9", `{"since":1}`); err != nil {
		t.Fatalf("put a waiter: %v", err)
	}
	p := begin(t, s).Queue("held")
	storetest.Eventually(t, "the mirror to know both", func() bool {
		g, err := s.Acquire(storetest.Bounded(t), c.Args("held", c.Request(), 0))
		return err == nil && g.QueueLength == 2
	})
	c.Release(h)
	p.Granted()
	if n := refused.Load(); n != 0 {
		t.Errorf("etcd refused %d transactions for a dead lease; want none", n)
	}
}

// Without a marker that is put unseen, the release of a large section has every member read all of
// it in one step that holds up every other.
func TestH13ReleaseReadsNoRecords(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "x")
	var published atomic.Int64
	s.After(func(_ context.Context, call faults.Call) error {
		if !puts("/dlm/commits/")(call.Op) {
			return nil
		}
		published.Add(1)
		every(call.Op, func(op clientv3.Op) {
			ifs, _, _ := op.Txn()
			for _, cmp := range ifs {
				if len(cmp.GetCompare().GetRangeEnd()) != 0 {
					t.Errorf("a release compares all of %q", cmp.KeyBytes())
				}
			}
			if gets("/dlm/staged/")(op) {
				t.Errorf("a release reads %q", op.KeyBytes())
			}
		})
		return nil
	})
	h = c.Commit(h)
	c.Append(h, "f", "y")
	c.Release(h)
	if got := published.Load(); got != 2 {
		t.Errorf("%d transactions put a marker; want 2", got)
	}
}
