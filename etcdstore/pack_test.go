package etcdstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// together asks for something while a batch is on its way, so that it shares the next one, and
// returns the answers in order. Before that one leaves, meanwhile is called.
func together(t *testing.T, s *faulty, meanwhile func(), ask ...func(done func(error))) []error {
	t.Helper()
	free := busy(t, s, "/dlm/")
	answers := make([]chan error, len(ask))
	for i, start := range ask {
		answers[i] = make(chan error, 1)
		start(func(err error) { answers[i] <- err })
	}
	storetest.Eventually(t, "all to be pending", func() bool { return s.Pending() == len(ask) })
	meanwhile()
	free()
	errs := make([]error, len(ask))
	for i, a := range answers {
		select {
		case errs[i] = <-a:
		case <-storetest.Bounded(t).Done():
			t.Fatal("no answer")
		}
	}
	return errs
}

// commits counts the transactions that match.
func commits(f *faults.Faults, match func(clientv3.Op) bool) *atomic.Int64 {
	n := new(atomic.Int64)
	f.After(func(_ context.Context, c faults.Call) error {
		if c.Kind == faults.Txn && match(c.Op) {
			n.Add(1)
		}
		return nil
	})
	return n
}

func (s *faulty) releases(t *testing.T, h *storetest.Held) func(func(error)) {
	return func(done func(error)) { s.StartRelease(t.Context(), h.Section, done) }
}

// One whose compares fail must not cost the others of its pack more than another commit: without
// running them again they would be told nothing, or its failure.
func TestPackFails(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, s)
	const locks = 20
	var held []*storetest.Held
	var ask []func(func(error))
	for i := range locks {
		held = append(held, c.Acquire(fmt.Sprintf("l%02d", i)))
		ask = append(ask, s.releases(t, held[i]))
	}
	const evicted = 7
	follow := s.HoldWatches()
	defer follow()
	if _, err := other.Evict(storetest.Bounded(t), held[evicted].Lock, 0, "test"); err != nil {
		t.Fatal(err)
	}
	var n *atomic.Int64
	for i, err := range together(t, s, func() { n = commits(s.Faults, deletes("/dlm/locks/l")) }, ask...) {
		var want error
		if i == evicted {
			want = etcdstore.ErrLockExpired
		}
		storetest.Want(t, held[i].Lock, err, want)
	}
	if got := n.Load(); got > 4 { // the pack or two, each of them apart, and the full call of the one that failed
		t.Errorf("%d commits; want 4 at most", got)
	}
	if left := keys(t, etcd, "locks/l"); len(left) > 0 {
		t.Errorf("still held: %q", left)
	}
}

// Etcd refuses a whole batch for one lease that has ended: of who asks, and of who is next in line.
// The others must not pay for it with a commit each.
func TestPackOnEndedLeases(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	c, dying, next := begin(t, s), begin(t, s), begin(t, s)
	const locks = 100
	var ask []func(func(error))
	for i := range locks {
		who := c
		if i == locks/3 {
			who = dying
		}
		args := who.Args(fmt.Sprintf("l%02d", i), who.Request(), 0)
		ask = append(ask, func(done func(error)) {
			s.StartAcquire(t.Context(), args, func(_ etcdstore.Grant, err error) { done(err) })
		})
	}
	h := c.Acquire("m")
	dying.Queue("m").Queued()
	waiting := next.Queue("m")
	waiting.Queued()
	ask = append(ask, s.releases(t, h))

	var n *atomic.Int64
	errs := together(t, s, func() {
		t.Cleanup(s.HoldWatches())
		closeSession(t, other, dying)
		n = commits(s.Faults, func(op clientv3.Op) bool { return puts("/dlm/locks/")(op) })
	}, ask...)
	for i, err := range errs {
		var want error
		if i == locks/3 {
			want = etcdstore.ErrSessionExpired
		}
		storetest.Want(t, fmt.Sprint(i), err, want)
	}
	if got := n.Load(); got > 8 { // the batch, each of them apart in two, and the full call of the release
		t.Errorf("%d commits; want 8 at most", got)
	}
	if got := storetest.HolderOf(t, other, "m"); got == 0 {
		t.Error("nobody holds the lock that was passed on")
	}
}

// As many as a batch takes fit into what etcd takes of one transaction, with the most of compares
// and operations that each of them has.
func TestPackBounds(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	const records = 1000
	var ask []func(func(error))
	for i := range records {
		ask = append(ask, func(done func(error)) {
			s.StartAppend(t.Context(), c.Record(h, "f", fmt.Sprint(i%10)), func(_ int64, err error) { done(err) })
		})
	}
	var n *atomic.Int64
	for _, err := range together(t, s, func() { n = commits(s.Faults, puts("/dlm/staged/")) }, ask...) {
		storetest.Want(t, "append", err, nil)
	}
	if got := n.Load(); got > 3 {
		t.Errorf("%d records took %d commits; want 3 at most", records, got)
	}
	h.Appended = true
	c.Release(h)
	if got := len(storetest.Contents(t, s, "l", "f")); got != records {
		t.Errorf("%d records are in the file; want %d", got, records)
	}
}

// Tries of a lock that is held write nothing, and share a commit.
func TestTriesShareABatch(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	c, o, dead := begin(t, s), begin(t, s), begin(t, s)
	h := c.Acquire("l")
	const tries = 100
	grants := make([]etcdstore.Grant, tries)
	var ask []func(func(error))
	for i := range tries {
		who := o
		if i == tries/2 {
			who = dead
		}
		args := who.Args("l", who.Request(), 0)
		ask = append(ask, func(done func(error)) {
			s.StartAcquire(t.Context(), args, func(g etcdstore.Grant, err error) {
				grants[i] = g
				done(err)
			})
		})
	}
	var n *atomic.Int64
	errs := together(t, s, func() {
		t.Cleanup(s.HoldWatches())
		closeSession(t, openStore(t, etcd), dead)
		n = commits(s.Faults, gets("/dlm/locks/l"))
	}, ask...)
	for i, err := range errs {
		if i == tries/2 {
			storetest.Want(t, "a try of a session that has ended", err, etcdstore.ErrSessionExpired)
		} else if g := grants[i]; err != nil || g.Outcome != etcdstore.Busy || g.Holder == nil || g.Holder.Token != h.Token {
			t.Errorf("a try = %+v, %v; want it busy, and the holder", g, err)
		}
	}
	if got := n.Load(); got > 2 {
		t.Errorf("%d tries took %d commits; want 2 at most", tries, got)
	}
}

// Etcd that is full refuses whatever puts, and all that shares its transaction. Who only deletes
// must not suffer for it, and nobody must be tried one by one.
func TestPackWithoutSpace(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	c := begin(t, s)
	open := c.Acquire("open")
	var ask []func(func(error))
	for i := range 40 {
		if h := c.Acquire(fmt.Sprintf("l%02d", i)); i%2 == 0 {
			ask = append(ask, s.releases(t, h))
		} else {
			ask = append(ask, func(done func(error)) {
				s.StartAppend(t.Context(), c.Record(open, "f", "x"), func(_ int64, err error) { done(err) })
			})
		}
	}
	var n *atomic.Int64
	full := func() {
		n = commits(s.Faults, deletes("/dlm/locks/l"))
		s.Before(func(_ context.Context, call faults.Call) error {
			if puts("/dlm/staged/")(call.Op) {
				return rpctypes.ErrNoSpace
			}
			return nil
		})
	}
	refused := 0
	for _, err := range together(t, s, full, ask...) {
		if err != nil {
			storetest.Want(t, "an append", err, etcdstore.ErrNoSpace)
			refused++
		}
	}
	if got := n.Load(); refused != 20 || got > 1 {
		t.Errorf("%d were refused, and %d commits released the others; want 20 and 1", refused, got)
	}
	if left := keys(t, etcd, "locks/l"); len(left) != 20 {
		t.Errorf("%d locks are held; want 20", len(left))
	}
}

// Some versions of etcd refuse deletions as well when they are full: that must be told, not tried
// again and again.
func TestPackRefusedWhatever(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	var ask []func(func(error))
	for i := range 5 {
		ask = append(ask, s.releases(t, c.Acquire(fmt.Sprintf("l%d", i))))
	}
	var n *atomic.Int64
	full := func() {
		n = commits(s.Faults, deletes("/dlm/locks/l"))
		s.Before(func(_ context.Context, call faults.Call) error {
			if deletes("/dlm/locks/l")(call.Op) {
				n.Add(1)
				return rpctypes.ErrNoSpace
			}
			return nil
		})
	}
	for _, err := range together(t, s, full, ask...) {
		storetest.Want(t, "a release", err, etcdstore.ErrNoSpace)
	}
	if got := n.Load(); got > 15 { // the batch, and each full call with its deletion alone
		t.Errorf("%d commits; want 15 at most", got)
	}
	s.Before(nil)
}
