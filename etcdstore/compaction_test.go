package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// compactOnce drops etcd's history just before the first call that reads at an earlier revision.
func compactOnce(t *testing.T, etcd *clientv3.Client, s *faulty) (done *atomic.Bool) {
	t.Helper()
	done = &atomic.Bool{}
	past := matches(func(op clientv3.Op) bool { return op.Rev() > 0 }, "/dlm/")
	s.Before(func(_ context.Context, c faults.Call) error {
		if past(c.Op) && done.CompareAndSwap(false, true) {
			if _, err := etcd.Put(t.Context(), "/elsewhere", ""); err != nil {
				t.Errorf("put: %v", err)
			}
			compact(t, etcd)
		}
		return nil
	})
	return done
}

// TestCompactionUnderAListing compacts the revision that a listing goes on at: it begins again.
func TestCompactionUnderAListing(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	const locks = 1100 // more than a page
	for i := range locks {
		key := fmt.Sprintf("/dlm/locks/l%04d", i)
		if _, err := etcd.Put(storetest.Bounded(t), key, "0000000000000001.1\x00"+`{"since":1}`); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	done := compactOnce(t, etcd, s)
	page, next, err := s.List(storetest.Bounded(t), "", 0, "")
	if err != nil || len(page) != etcdstore.MaxPage || next == "" || !done.Load() {
		t.Errorf("List = %d locks, %q, %v, compacted %t; want a full page and another", len(page), next, err, done.Load())
	}
	done = compactOnce(t, etcd, s)
	seen := map[string]bool{}
	enough := errors.New("enough")
	err = s.Watch(storetest.Bounded(t), "", func(n *etcdstore.News) error {
		for _, e := range n.Events {
			seen[e.Lock] = true
		}
		if len(seen) == locks && done.Load() {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("Watch: %v after %d of %d locks", err, len(seen), locks)
	}
}

// TestWatchAfterAGap loses the mirror's watch, and the history of what it missed: the state comes
// again, with what has happened meanwhile in it.
func TestWatchAfterAGap(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	c := begin(t, s)
	h := c.Acquire("l")
	other := c.Acquire("m")
	var states []int64 // the revisions of the states
	var initial []etcdstore.Event
	enough := errors.New("enough")
	err := s.Watch(storetest.Bounded(t), "", func(n *etcdstore.News) error {
		for _, e := range n.Events {
			if !e.Initial {
				t.Errorf("%+v; want the state again", e)
			}
			initial = append(initial, e)
		}
		if n.Revision == 0 {
			return nil
		}
		states = append(states, n.Revision)
		if len(states) == 2 {
			return enough
		}
		follow := s.HoldWatches()
		c.Release(h)
		compact(t, etcd)
		s.BreakWatches()
		follow()
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("Watch: %v", err)
	}
	if len(initial) != 3 || initial[0].Lock != "l" || initial[1].Token != other.Token || initial[2].Token != other.Token {
		t.Errorf("the states had %+v; want l and m, then m", initial)
	}
	if states[1] <= states[0] {
		t.Errorf("the states are of %d; want a later one", states)
	}
}
