package etcdstore_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestCloseWaitsForWhatItStarted closes a store while calls that were started are being resolved,
// and others wait in a queue: each is answered, before Close returns.
func TestCloseWaitsForWhatItStarted(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	c, o := begin(t, s), storetest.Begin(t, openStore(t, etcd), "o")
	held := c.Acquire("held")
	o.Acquire("others")
	reached, release := hold(t, s.Faults, gets("/dlm/undone/held")) // and not the look for notes to forget

	var pending sync.WaitGroup
	told := make(chan error, 3)
	start := func(call func(done func(error))) {
		pending.Add(1)
		call(func(err error) {
			told <- err
			pending.Done()
		})
	}
	lost := held.Section
	lost.Token++ // has to be resolved: the truth is read, which is held up
	start(func(done func(error)) { s.StartRelease(t.Context(), lost, done) })
	storetest.Await(t, "the resolution", reached)
	for _, request := range []string{"1", "1"} { // a place in the queue, and a repeat
		start(func(done func(error)) {
			s.StartAcquire(t.Context(), c.Args("others", request, etcdstore.WaitForever), func(_ etcdstore.Grant, err error) { done(err) })
		})
	}
	storetest.Eventually(t, "the waiter", func() bool { return len(keys(t, etcd, "queue/others//")) == 1 })
	closed := make(chan struct{})
	go func() {
		closeStore(t, s.Store)
		if len(told) != cap(told) {
			t.Errorf("Close returned before %d calls were pending", cap(told)-len(told))
		}
		close(closed)
	}()
	storetest.Await(t, "Close, while a resolution is held up", closed)
	release()
	pending.Wait()
	for range cap(told) {
		if err := <-told; !errors.Is(err, etcdstore.ErrClosed) {
			t.Errorf("a call that was started: %v; want closed", err)
		}
	}
	after := make(chan error, 1)
	s.StartRelease(t.Context(), held.Section, func(err error) { after <- err })
	storetest.Want(t, "a call started after Close", <-after, etcdstore.ErrClosed)
}
