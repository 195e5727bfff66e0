package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// An acquire that is repeated while its section ends may share a batch with the end: what it
// compares is from before the batch, and what it reads from in the middle of it. Its answer is its
// own grant, or that it is over.
func TestAcquireRepeatedBesideItsEnd(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	for _, end := range []struct {
		name string
		call func(*pair) asked
	}{
		{"release", func(p *pair) asked { return p.release }},
		{"evict", func(p *pair) asked { return p.evict }},
		{"discard", func(p *pair) asked { return p.discard }},
		{"commit", func(p *pair) asked { return p.commit }},
	} {
		for _, queued := range []bool{false, true} {
			name := end.name
			if queued {
				name += ", handed over"
			}
			repeat := func(t *testing.T, acquires func(*pair) storetest.Subject, pending bool) {
				p := newPair(t, etcd, queued)
				release := busy(t, p.faulty, prefixOf(t))
				ended := make(chan error, 1)
				go func() { ended <- end.call(p)(t.Context()) }()
				storetest.Eventually(t, "the end to be pending", func() bool { return p.Pending() == 1 })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var g etcdstore.Grant
				repeated := make(chan error, 1)
				go func() {
					var err error
					g, err = acquires(p).Acquire(ctx, p.a.Args("l", p.held.Acquisition().Request, etcdstore.WaitForever))
					repeated <- err
				}()
				if pending {
					storetest.Eventually(t, "the repeat to be pending", func() bool { return p.Pending() == 2 })
				}
				release()
				storetest.Want(t, end.name, <-ended, nil)
				err := <-repeated
				after := storetest.Inspect(t, p, "l").Holder
				switch {
				case errors.Is(err, etcdstore.ErrLockExpired):
				case err != nil || g.Outcome != etcdstore.Granted:
					t.Errorf("Acquire repeated = %+v, %v; want its grant, or lock expired", g, err)
				case g.Token == p.held.Token: // as it was
				case after == nil || after.Session != p.a.ID || after.Token != g.Token:
					t.Errorf("Acquire repeated = %+v, though the holder is %+v", g, after)
				}
			}
			t.Run(name, func(t *testing.T) { repeat(t, func(p *pair) storetest.Subject { return p.faulty }, true) })
			t.Run(name+", resolved", func(t *testing.T) { // which waits until the end is answered, but for a commit
				repeat(t, func(p *pair) storetest.Subject { return p }, end.name == "commit")
			})
		}
	}
}

// Of several repeats of one acquire, each needs a batch of its own. One whose section, or wait, was
// ended in a batch before it must not come to hold or to wait again: its client does not know of
// it.
func TestAcquireRepeatedBehindItsEnd(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	for _, end := range []struct {
		name   string
		call   func(*pair) asked
		waiter bool
	}{
		{"release", func(p *pair) asked { return p.release }, false},
		{"discard", func(p *pair) asked { return p.discard }, false},
		{"cancel", func(p *pair) asked {
			return func(ctx context.Context) error {
				_, err := p.Cancel(ctx, p.b.Credential, p.waiting)
				return err
			}
		}, true},
	} {
		run := func(t *testing.T, s func(*pair) storetest.Subject) {
			p := newPair(t, etcd, end.waiter)
			args := p.a.Args("l", p.held.Acquisition().Request, etcdstore.WaitForever)
			if end.waiter {
				args = p.b.Args("l", p.waiting.Request, etcdstore.WaitForever)
			}
			release := busy(t, p.faulty, prefixOf(t))
			const repeats = 3
			repeated := make(chan error, repeats)
			for i := range repeats {
				go func() {
					_, err := s(p).Acquire(t.Context(), args)
					repeated <- err
				}()
				storetest.Eventually(t, "a repeat to be pending", func() bool { return p.Pending() == i+1 })
			}
			ended := make(chan error, 1)
			go func() { ended <- end.call(p)(t.Context()) }()
			storetest.Eventually(t, "the end to be pending", func() bool { return p.Pending() == repeats+1 })
			release()
			storetest.Want(t, end.name, <-ended, nil)
			storetest.Eventually(t, "the repeats to be answered", func() bool { return len(repeated) == repeats })
			for range repeats {
				if err := <-repeated; err != nil && (end.waiter || !errors.Is(err, etcdstore.ErrLockExpired)) {
					t.Errorf("Acquire repeated = %v; want no error, or lock expired if it was held", err)
				}
			}
			after := storetest.Inspect(t, p, "l")
			if len(after.Waiters) > 0 || !end.waiter && after.Holder != nil {
				t.Errorf("after the end, holder %+v, waiters %+v; want none", after.Holder, after.Waiters)
			}
		}
		t.Run(end.name, func(t *testing.T) { run(t, func(p *pair) storetest.Subject { return p.faulty }) })
		t.Run(end.name+", resolved", func(t *testing.T) { run(t, func(p *pair) storetest.Subject { return p }) })
	}
}

// An acquire that finds the lock taken against what it looked like takes a place in the queue in a
// second transaction. A cancel that comes in between finds neither: the place must not be taken
// after it, for a client that knows nothing of it.
func TestCancelBeforeTheWait(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	c, o := begin(t, s), begin(t, other)
	follow := s.HoldWatches()
	defer follow()
	h := o.Acquire("l")
	free := busy(t, s, "/dlm/")
	args := c.Args("l", c.Request(), etcdstore.WaitForever)
	acquired, cancelled := make(chan error, 1), make(chan error, 1)
	var g etcdstore.Grant
	s.StartAcquire(t.Context(), args, func(grant etcdstore.Grant, err error) {
		g = grant
		acquired <- err
	})
	storetest.Eventually(t, "the acquire to be pending", func() bool { return s.Pending() == 1 })
	go func() {
		_, err := s.Cancel(t.Context(), args.Credential, args.Acquisition)
		cancelled <- err
	}()
	storetest.Eventually(t, "the cancel to be pending", func() bool { return s.Pending() == 2 })
	free()
	storetest.Want(t, "Cancel", <-cancelled, nil)
	select {
	case err := <-acquired:
		if err != nil || g.Outcome != etcdstore.Cancelled {
			t.Errorf("Acquire = %+v, %v; want cancelled", g, err)
		}
	case <-storetest.Bounded(t).Done():
		t.Error("the acquire waits")
	}
	if left := keys(t, etcd, "queue/l"); len(left) > 0 {
		t.Errorf("in the queue: %q", left)
	}
	o.Release(h)
}

// An end that is on its way may come to nothing: an eviction, for instance, for want of space.
// Until that is known a repeat of the acquire is not told that its section is over, for it may be
// held all the same.
func TestAcquireRepeatedBesideAnEndThatFails(t *testing.T) {
	t.Parallel()
	for _, resolved := range []bool{false, true} {
		t.Run(fmt.Sprintf("resolved=%t", resolved), func(t *testing.T) {
			t.Parallel()
			etcd, _ := smallEtcd(t)
			s := openFaulty(t, etcd)
			c := begin(t, s)
			h := c.Acquire("l")
			c.Acquire("decoy")
			fill(t, etcd)
			reached, free := hold(t, s.Faults, puts("/dlm/undone/l"))
			evicted := make(chan error, 1)
			go func() {
				_, err := s.Evict(t.Context(), "l", h.Token, "enough")
				evicted <- err
			}()
			storetest.Await(t, "the eviction to be on its way", reached)
			var acquires storetest.Subject = s
			if resolved {
				acquires = etcdstore.Resolving{Store: s.Store}
			}
			var g etcdstore.Grant
			repeated := make(chan error, 1)
			go func() {
				var err error
				g, err = acquires.Acquire(storetest.Bounded(t), c.Args("l", h.Acquisition().Request, etcdstore.WaitForever))
				repeated <- err
			}()
			if !resolved { // else it may have to read what it has, beside the batch, as it has once space is short
				storetest.Eventually(t, "the repeat to be pending", func() bool { return s.Pending() == 1 || !s.HasRoom() })
			}
			free()
			storetest.Want(t, "Evict", <-evicted, etcdstore.ErrNoSpace)
			if err := <-repeated; err != nil || g.Outcome != etcdstore.Granted || g.Token != h.Token {
				t.Errorf("Acquire repeated = %+v, %v; want the hold that it has, %d", g, err, h.Token)
			}
		})
	}
}

// A cancel that takes an acquisition out of a queue which this store had not heard of yet must be
// remembered as well.
func TestCancelOfAnUnknownPlace(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	c, o := begin(t, s), begin(t, other)
	h := o.Acquire("l")
	storetest.Eventually(t, "the holder to be known", func() bool { return s.KnowsHolder("l") })
	follow := s.HoldWatches()
	defer follow()
	p := c.Via(other).Queue("l")
	p.Queued()
	if token, err := s.Cancel(storetest.Bounded(t), c.Credential, p.Acquisition()); token != 0 || err != nil {
		t.Fatalf("Cancel = %d, %v", token, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if g, err := s.Acquire(ctx, p.Args()); errors.Is(err, context.DeadlineExceeded) || g.Token != 0 {
		t.Errorf("a late acquire = %+v, %v; want it refused", g, err)
	}
	if left := keys(t, etcd, "queue/l"); len(left) > 0 {
		t.Errorf("in the queue: %q", left)
	}
	o.Release(h)
}
