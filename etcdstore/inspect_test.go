package etcdstore_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// placeOf is the key of the i-th waiter that queueUp puts.
func placeOf(lock string, i int) string {
	return fmt.Sprintf("/dlm/queue/%s//%016x.%d", lock, (i+1)*7919%100003+1, i)
}

// queueUp puts waiters of a lock into etcd, in an order that is not that of their keys.
func queueUp(t testing.TB, etcd *clientv3.Client, lock string, from, to int) {
	t.Helper()
	var ops []clientv3.Op
	for i := from; i < to; i++ {
		ops = append(ops, clientv3.OpPut(placeOf(lock, i), `{"label":"w","since":1}`))
		if len(ops) == 100 || i == to-1 {
			if _, err := etcd.Txn(t.Context()).Then(ops...).Commit(); err != nil {
				t.Fatalf("put waiters: %v", err)
			}
			ops = nil
		}
	}
}

// holdForever has a lock held for as long as a test runs.
func holdForever(t testing.TB, s *etcdstore.Store, lock string) {
	t.Helper()
	c, err := s.Init(t.Context(), etcdstore.InitArgs{TTL: etcdstore.MaxTTL})
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	g, err := s.Acquire(t.Context(), etcdstore.AcquireArgs{Credential: c.Credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: "1"}})
	if err != nil || g.Outcome != etcdstore.Granted {
		t.Fatalf("Acquire = %+v, %v", g, err)
	}
}

// BenchmarkInspectLongQueue is what one look at a lock costs for which ten thousand wait.
func BenchmarkInspectLongQueue(b *testing.B) {
	etcd := startEtcd(b)
	s := openStore(b, etcd)
	holdForever(b, s, "l")
	queueUp(b, etcd, "l", 0, 10_000)
	storetest.Eventually(b, "the waiters to be known", func() bool {
		info, err := s.Inspect(b.Context(), "l")
		return err == nil && info.QueueLength == 10_000 && s.KnowsNext("l")
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Inspect(b.Context(), "l"); err != nil {
			b.Fatal(err)
		}
	}
}

// Of a long queue the first are shown as of a long and of a short one, in the order in which they
// are served, whoever has left and whoever the store has not heard of.
func TestInspectLongQueue(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	f := newFaults(t, etcd)
	s := openStore(t, f.Client())
	holdForever(t, s, "l")
	const known, all = 1500, 1700
	queueUp(t, etcd, "l", 0, known)
	storetest.Eventually(t, "the waiters to be known", func() bool { return s.Waiters("l") == known })
	check := func(name string, from, n int) {
		t.Helper()
		info, err := s.Inspect(storetest.Bounded(t), "l")
		if err != nil || len(info.Waiters) != min(n, etcdstore.MaxPage) || info.QueueLength != n {
			t.Fatalf("%s: %d of %d waiters, %v; want %d of %d", name, len(info.Waiters), info.QueueLength, err, min(n, etcdstore.MaxPage), n)
		}
		locks, _, err := s.List(storetest.Bounded(t), "", 0, "")
		if err != nil || len(locks) != 1 || locks[0].QueueLength != n || len(locks[0].Waiters) != 10 {
			t.Fatalf("%s: List = %+v, %v; want ten of %d waiters", name, locks, err, n)
		}
		for _, shown := range [][]etcdstore.Waiter{info.Waiters, locks[0].Waiters} {
			for i, w := range shown {
				if n, err := strconv.Atoi(w.Request); err != nil || n/100 != (from+i)/100 { // a hundred come at one revision
					t.Fatalf("%s: number %d of %d is request %s; want about %d", name, i, len(shown), w.Request, from+i)
				}
			}
		}
	}
	check("all known", 0, known)
	follow := f.HoldWatches()
	defer follow()
	queueUp(t, etcd, "l", known, all)
	check("some not heard of", 0, all)
	leave := func(from, to int) {
		for i := from; i < to; i++ {
			if _, err := etcd.Delete(storetest.Bounded(t), placeOf("l", i)); err != nil {
				t.Fatalf("delete a place: %v", err)
			}
		}
	}
	leave(0, 20)
	check("some have left", 20, all-20)
	leave(20, 800)
	check("many have left", 800, all-800)
}

// However many inspect a lock that many wait for, etcd is asked for few answers, and none of them
// is older than its question.
func TestInspectTogether(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	f := newFaults(t, etcd)
	s := openStore(t, f.Client())
	holdForever(t, s, "l")
	queueUp(t, etcd, "l", 0, 300)
	storetest.Eventually(t, "the waiters to be known", func() bool { return s.Waiters("l") == 300 })
	var reads atomic.Int64
	f.After(func(_ context.Context, c faults.Call) error {
		if gets("/dlm/locks/l")(c.Op) {
			reads.Add(1)
		}
		return nil
	})
	reached, release := hold(t, f, gets("/dlm/locks/l"))
	var asking sync.WaitGroup
	ask := func(want int) {
		asking.Go(func() {
			if info, err := s.Inspect(storetest.Bounded(t), "l"); err != nil || info.QueueLength < want {
				t.Errorf("Inspect = %d waiters, %v; want %d", info.QueueLength, err, want)
			}
		})
	}
	ask(300)
	storetest.Await(t, "the first read", reached)
	queueUp(t, etcd, "l", 300, 310)
	for range 500 {
		ask(310)
	}
	storetest.Eventually(t, "all to ask", func() bool { return s.Inspecting("l") })
	release()
	asking.Wait()
	if n := reads.Load(); n > 10 {
		t.Errorf("etcd was asked %d times; want them to share the answers", n)
	}
}
