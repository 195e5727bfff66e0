package etcdstore_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// Without its compares a sweep, which is decided by a mirror that may be behind, deletes the
// records of a section that is held, or published and acknowledged; or notes as undone what was
// folded meanwhile.
func TestH4SweepBehindTheMirror(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(*storetest.Client, *storetest.Held) // the sweep reaches etcd
		folded bool
		after  func(*storetest.Client, *storetest.Held)
	}{
		{"held", nil, true, (*storetest.Client).Release},
		{"published", (*storetest.Client).Release, false, nil},
		{"folded", (*storetest.Client).Release, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			a := openFaulty(t, etcd)
			var folding func()
			if !c.folded {
				_, folding = hold(t, a.Faults, folds)
			}
			// The other store looks for orphans when it opens; it finds the record, and its mirror
			// knows of no holder.
			f := newFaults(t, etcd)
			looks, look := hold(t, f, func(op clientv3.Op) bool { return op.IsGet() && string(op.KeyBytes()) == "/dlm/staged/" })
			b := &faulty{openStore(t, f.Client()), f}
			storetest.Await(t, "a look for orphans", looks)
			follow := b.HoldWatches()
			defer follow()
			w := begin(t, a)
			h := w.Acquire("l")
			w.Append(h, "f", "kept")
			swept := answered(b.Faults, sweeps)
			sweeping, sweep := hold(t, b.Faults, sweeps)
			look()
			storetest.Await(t, "a sweep", sweeping)
			if c.before != nil {
				c.before(w, h)
				if c.folded {
					storetest.WantContents(t, a, "l", "f", "kept")
					gone(t, etcd, "commits/")
				}
			}
			sweep()
			storetest.Await(t, "the sweep's answer", swept)
			if c.after != nil {
				c.after(w, h)
			}
			storetest.Want(t, "Release repeated", a.Release(storetest.Bounded(t), h.Section), nil)
			if folding != nil {
				folding()
			}
			storetest.WantContents(t, a, "l", "f", "kept")
			if got := keys(t, etcd, "undone/"); len(got) != 0 {
				t.Errorf("notes = %q; want none", got)
			}
		})
	}
}

// Without the guard on what a fold was computed from, a store that is slow publishes a section
// twice, or moves a file's head back over what others have folded since: bytes that were read are
// gone. A head that was read just now is guarded by the marker too, as sections are folded in
// order; one that is remembered has no other guard.
func TestH8SlowFold(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(clientv3.Op) bool{
		"before it reads the head": gets("/dlm/files/l//"),
		"before its last step":     folds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			a := openFaulty(t, etcd)
			c := begin(t, a)
			folding, fold := hold(t, a.Faults, step)
			done := answered(a.Faults, folds)
			c.Publish("l", "f", "first;")
			storetest.Await(t, "a fold", folding)
			b := openStore(t, etcd) // Not before: what it tidies up at its start may be late, and this section.
			onB := c.Via(b)
			storetest.WantContents(t, b, "l", "f", "first;")
			onB.Publish("l", "f", "second;")
			storetest.WantContents(t, b, "l", "f", "first;second;")
			fold()
			storetest.Await(t, "the slow fold's answer", done)
			storetest.WantContents(t, b, "l", "f", "first;second;")
			onB.Publish("l", "f", "third;")
			storetest.WantContents(t, a, "l", "f", "first;second;third;")
		})
	}
}

// Without a note that says so, what was swept is taken for published and folded.
func TestH6SweepLeavesANote(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "lost")
	closeSession(t, s, c)
	gone(t, etcd, "staged/")
	storetest.Want(t, "Release of what was swept", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
}
