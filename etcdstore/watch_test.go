package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// compact drops all of etcd's history.
func compact(t *testing.T, etcd *clientv3.Client) {
	t.Helper()
	now, err := etcd.Get(storetest.Bounded(t), "/")
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if _, err := etcd.Compact(storetest.Bounded(t), now.Header.Revision); err != nil {
		t.Fatalf("compact: %v", err)
	}
}

// TestCompactionWhileTheWatchIsBroken drops the history of what the mirror has not been told: it
// lists anew, and whoever waits learns of the grant.
func TestCompactionWhileTheWatchIsBroken(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, b)
	h := c.Acquire("l")
	var queue []*storetest.Pending
	for range 4 {
		queue = append(queue, begin(t, a).Queue("l"))
	}
	for i, p := range queue {
		storetest.Eventually(t, "a watch", func() bool {
			_, open := a.Watches()
			return open == 1
		})
		follow := a.HoldWatches()
		if err := b.Release(storetest.Bounded(t), h.Section); err != nil {
			t.Fatalf("Release: %v", err)
		}
		p.Waits()
		compact(t, etcd)
		if i%2 == 1 { // once more, between the listing and the watch that begins behind it
			listed, watch := make(chan struct{}), make(chan struct{})
			var once sync.Once
			a.After(func(_ context.Context, call faults.Call) error {
				if gets("/dlm/locks/")(call.Op) && call.Kind == faults.Get {
					once.Do(func() {
						close(listed)
						<-watch
					})
				}
				return nil
			})
			a.BreakWatches()
			storetest.Await(t, "the locks to be listed", listed)
			c.Release(c.Acquire("other"))
			compact(t, etcd)
			close(watch)
		} else {
			a.BreakWatches()
		}
		follow()
		h = p.Granted()
	}
	c.Via(a).Release(h)
	if got := storetest.HolderOf(t, a, "l"); got != 0 {
		t.Errorf("the lock is held under %d; want it free", got)
	}
}

// TestFreeLockFoundByListing ends a holder's session while the watch is broken: nobody is told that
// the lock is free.
func TestFreeLockFoundByListing(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	c := begin(t, a)
	c.Acquire("l")
	p := begin(t, a).Queue("l")
	follow := a.HoldWatches()
	closeSession(t, a, c)
	a.BreakWatches()
	follow()
	p.Granted()
}

// TestWatchLostUnderHandOvers loses the watch again and again while a lock goes through 50 waiters:
// in order, and past nobody.
func TestWatchLostUnderHandOvers(t *testing.T) {
	t.Parallel()
	const waiters = 50
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	stores := []*faulty{a, b}
	c := begin(t, a)
	h := c.Acquire("l")
	var queue []*storetest.Pending
	for i := range waiters {
		queue = append(queue, begin(t, stores[i%2]).Queue("l"))
	}
	tokens := make([]int64, waiters)
	var running sync.WaitGroup
	for i, p := range queue {
		running.Go(func() {
			g, err := p.Wait()
			if err != nil || g.Outcome != etcdstore.Granted {
				t.Errorf("waiter %d: %+v, %v; want a grant", i, g, err)
				return
			}
			tokens[i] = g.Token
			if i%5 == 0 {
				stores[i/5%2].BreakWatches()
			}
			args := p.Args()
			section := etcdstore.Section{Credential: args.Credential, Lock: "l", Token: g.Token}
			if err := stores[i/3%2].Release(t.Context(), section); err != nil {
				t.Errorf("Release of waiter %d: %v", i, err)
			}
		})
	}
	c.Release(h)
	running.Wait()
	if !slices.IsSorted(tokens) || tokens[0] <= h.Token {
		t.Errorf("tokens in the order of the queue = %d; want them to rise from above %d", tokens, h.Token)
	}
}

// TestWaitersShareOneWatch: a thousand of them cost etcd no more watches than none.
func TestWaitersShareOneWatch(t *testing.T) {
	t.Parallel()
	const (
		sessions = 10
		each     = 100
	)
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	var clients []*storetest.Client
	for range sessions {
		w := begin(t, s)
		clients = append(clients, w)
		for i := range each {
			w.Start(w.Args("l", fmt.Sprint(i+1), etcdstore.WaitForever))
		}
	}
	storetest.Eventually(t, "all to wait", func() bool { return storetest.Inspect(t, s, "l").QueueLength == sessions*each })
	if opened, open := s.Watches(); opened != 1 || open != 1 {
		t.Errorf("%d watches were opened and %d are open; want 1", opened, open)
	}
	c.Release(h)
	for _, w := range clients {
		closeSession(t, s, w)
	}
	storetest.Eventually(t, "the lock to be free", func() bool {
		g, err := s.Acquire(storetest.Bounded(t), c.Args("l", c.Request(), 0))
		if err != nil && !errors.Is(err, etcdstore.ErrLockExpired) {
			t.Fatalf("Acquire: %v", err)
		}
		return g.Outcome == etcdstore.Granted
	})
	if opened, _ := s.Watches(); opened != 1 {
		t.Errorf("%d watches were opened; want 1", opened)
	}
}
