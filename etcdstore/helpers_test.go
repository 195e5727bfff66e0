package etcdstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// faulty is a store with faults between it and its etcd.
type faulty struct {
	*etcdstore.Store
	*faults.Faults
}

func openFaulty(t *testing.T, etcd *clientv3.Client) *faulty {
	t.Helper()
	f := newFaults(t, etcd)
	return &faulty{openStore(t, f.Client()), f}
}

// begin begins a session whose calls go through a store.
func begin(t *testing.T, s storetest.Subject) *storetest.Client {
	t.Helper()
	return storetest.Begin(t, s, "c")
}

// hold makes the calls that match wait before they reach etcd, until release is called; reached is
// closed when one does.
func hold(t *testing.T, f *faults.Faults, match func(clientv3.Op) bool) (reached <-chan struct{}, release func()) {
	t.Helper()
	held, released := make(chan struct{}), make(chan struct{})
	var reach, free sync.Once
	f.Before(func(ctx context.Context, c faults.Call) error {
		if !match(c.Op) {
			return nil
		}
		reach.Do(func() { close(held) })
		select {
		case <-released:
		case <-ctx.Done():
		}
		return nil
	})
	release = func() { free.Do(func() { close(released) }) }
	t.Cleanup(release)
	return held, release
}

// busy keeps a store's batch on its way to etcd until free is called, so that what is asked for
// meanwhile shares the next one.
func busy(t *testing.T, s *faulty, prefix string) (free func()) {
	t.Helper()
	decoy := begin(t, s)
	reached, free := hold(t, s.Faults, puts(prefix+"locks/decoy"))
	go s.Acquire(t.Context(), decoy.Args("decoy", decoy.Request(), 0)) //nolint:errcheck // ends with the test
	storetest.Await(t, "the decoy", reached)
	return free
}

// lose loses the reply of the first call that matches. It returns a channel that is closed when it
// has.
func lose(f *faults.Faults, match func(clientv3.Op) bool) (lost <-chan struct{}) {
	done := make(chan struct{})
	var once sync.Once
	f.After(func(_ context.Context, c faults.Call) (err error) {
		if match(c.Op) {
			once.Do(func() {
				err = faults.ErrLost
				close(done)
			})
		}
		return err
	})
	return done
}

// answered returns a channel that is closed when etcd has answered a call that matches.
func answered(f *faults.Faults, match func(clientv3.Op) bool) <-chan struct{} {
	done := make(chan struct{})
	var once sync.Once
	f.After(func(_ context.Context, c faults.Call) error {
		if match(c.Op) {
			once.Do(func() { close(done) })
		}
		return nil
	})
	return done
}

// every calls f for an operation and all that are nested in it.
func every(op clientv3.Op, f func(clientv3.Op)) {
	f(op)
	_, then, els := op.Txn()
	for _, o := range then {
		every(o, f)
	}
	for _, o := range els {
		every(o, f)
	}
}

// matches returns a function that reports whether an operation, or one nested in it, is of a kind
// and on a key that begins so.
func matches(kind func(clientv3.Op) bool, key string) func(clientv3.Op) bool {
	return func(op clientv3.Op) (found bool) {
		every(op, func(o clientv3.Op) { found = found || kind(o) && strings.HasPrefix(string(o.KeyBytes()), key) })
		return found
	}
}

func puts(key string) func(clientv3.Op) bool    { return matches(clientv3.Op.IsPut, key) }
func gets(key string) func(clientv3.Op) bool    { return matches(clientv3.Op.IsGet, key) }
func deletes(key string) func(clientv3.Op) bool { return matches(clientv3.Op.IsDelete, key) }

// folds and sweeps recognise the last step of a fold, and a sweep, by what they delete.
func folds(op clientv3.Op) bool  { return deletes("/dlm/commits/")(op) }
func sweeps(op clientv3.Op) bool { return deletes("/dlm/staged/")(op) && !folds(op) }

// keys are the keys under the prefix of all.
func keys(t *testing.T, etcd *clientv3.Client, family string) (all []string) {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), "/dlm/"+family, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatalf("get %s: %v", family, err)
	}
	for _, kv := range resp.Kvs {
		all = append(all, strings.TrimPrefix(string(kv.Key), "/dlm/"))
	}
	return all
}

// revision is etcd's revision now.
func revision(t *testing.T, etcd *clientv3.Client) int64 {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), "/dlm/horizon")
	if err != nil {
		t.Fatalf("get the revision: %v", err)
	}
	return resp.Header.Revision
}

// gone waits until there are no keys under a prefix.
func gone(t *testing.T, etcd *clientv3.Client, family string) {
	t.Helper()
	storetest.Eventually(t, "no keys under "+family, func() bool { return len(keys(t, etcd, family)) == 0 })
}

// caughtUp waits until a store's watch has told it of everything so far: of a waiter, put there by
// hand, that comes last.
func caughtUp(t *testing.T, etcd *clientv3.Client, s storetest.Subject) {
	t.Helper()
	c := begin(t, s)
	const key = "/dlm/queue/caught-up//0000000000000001.1"
	if _, err := etcd.Put(storetest.Bounded(t), key, `{"since":1}`); err != nil {
		t.Fatalf("put a waiter: %v", err)
	}
	storetest.Eventually(t, "a store to catch up", func() bool {
		g, err := s.Acquire(storetest.Bounded(t), c.Args("caught-up", c.Request(), 0))
		return err == nil && g.QueueLength == 1
	})
	if _, err := etcd.Delete(storetest.Bounded(t), key); err != nil {
		t.Fatalf("delete a waiter: %v", err)
	}
}

func hex16(n int64) string { return fmt.Sprintf("%016x", n) }

func discard(t *testing.T, s storetest.Subject, h *storetest.Held) {
	t.Helper()
	if published, err := s.Discard(storetest.Bounded(t), h.Section); published || err != nil {
		t.Fatalf("Discard(%s, %d) = %v, %v; want false, nil", h.Lock, h.Token, published, err)
	}
}

func closeSession(t *testing.T, s storetest.Subject, c *storetest.Client) {
	t.Helper()
	if err := s.CloseSession(storetest.Bounded(t), c.Credential); err != nil {
		t.Fatalf("CloseSession: %v", err)
	}
}
