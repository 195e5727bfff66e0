package etcdstore_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// pair is a lock in the middle of its life, and what may be asked for at the same moment.
type pair struct {
	*faulty
	t       *testing.T
	a, b    *storetest.Client
	held    *storetest.Held       // by a; with a record
	waiting etcdstore.Acquisition // b's
}

// A pair's calls are resolved: each is a transaction with another branch, nested in the batch's.
// For what is plain there are the tests of packs.

func (p *pair) Acquire(ctx context.Context, args etcdstore.AcquireArgs) (etcdstore.Grant, error) {
	return etcdstore.Resolving{Store: p.Store}.Acquire(ctx, args)
}

func (p *pair) Release(ctx context.Context, sec etcdstore.Section) error {
	return etcdstore.Resolving{Store: p.Store}.Release(ctx, sec)
}

func (p *pair) Append(ctx context.Context, r etcdstore.Record) (rev int64, err error) {
	return etcdstore.Resolving{Store: p.Store}.Append(ctx, r)
}

// newPair has a hold a lock and, if queued, b wait for it.
func newPair(t *testing.T, etcd *clientv3.Client, queued bool) *pair {
	f := newFaults(t, etcd)
	store := openStoreWith(t, etcdstore.Config{Client: f.Client(), Prefix: prefixOf(t)}) // nobody else's work in its batches
	p := &pair{faulty: &faulty{store, f}, t: t}
	p.a, p.b = begin(t, p), begin(t, p)
	p.held = p.a.Acquire("l")
	p.a.Append(p.held, "f", "1")
	if queued {
		p.waiting = etcdstore.Acquisition{Lock: "l", Request: p.b.Request()}
		go p.Acquire(t.Context(), p.b.Args("l", p.waiting.Request, etcdstore.WaitForever)) //nolint:errcheck // ends with the test
		storetest.Eventually(t, "b waits", func() bool { return p.KnowsNext("l") })
	}
	return p
}

func prefixOf(t *testing.T) string { return "/" + strings.ReplaceAll(t.Name(), "/", "-") + "/" }

type asked func(ctx context.Context) error

func (p *pair) append(request string) asked {
	return func(ctx context.Context) error {
		r := p.a.Record(p.held, "f", request)
		r.Request = request
		return storetest.AppendTo(ctx, p, r)
	}
}

func (p *pair) enqueue(request string) asked {
	return func(ctx context.Context) error {
		_, err := p.Acquire(ctx, p.b.Args("l", request, etcdstore.WaitForever))
		if errors.Is(err, context.Canceled) {
			err = nil // it stands in the queue
		}
		return err
	}
}

func (p *pair) acquire(lock string) asked {
	return func(ctx context.Context) error {
		_, err := p.Acquire(ctx, p.b.Args(lock, p.b.Request(), 0))
		return err
	}
}

func (p *pair) release(ctx context.Context) error { return p.Release(ctx, p.held.Section) }
func (p *pair) discard(ctx context.Context) error {
	_, err := p.Discard(ctx, p.held.Section)
	return err
}

func (p *pair) commit(ctx context.Context) error {
	_, err := p.Commit(ctx, p.held.Section)
	return err
}

func (p *pair) evict(ctx context.Context) error {
	_, err := p.Evict(ctx, "l", p.held.Token, "pair")
	return err
}

func (p *pair) cancel(ctx context.Context) error {
	_, err := p.Cancel(ctx, p.b.Credential, p.waiting)
	return err
}

// TestPairs asks for two things while a batch is on its way, and looks whether they share the next
// one. What must not: whatever moves the lock's holder twice, or a waiter's place twice. What may:
// what writes no key in common.
func TestPairs(t *testing.T) {
	etcd := startEtcd(t)
	for _, test := range []struct {
		name     string
		queued   bool
		ops      func(*pair) [2]asked
		together bool
		refused  bool // one of the two finds the lock passed on
	}{
		{"appends", false, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.append("y")} }, true, false},
		{"append and release", false, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.release} }, true, false},
		{"append and hand-over", true, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.release} }, true, false},
		{"append and commit", false, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.commit} }, true, false},
		{"append and evict", false, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.evict} }, true, false},
		{"append and discard", false, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.discard} }, true, false},
		{"waiters", true, func(p *pair) [2]asked { return [2]asked{p.enqueue("x"), p.enqueue("y")} }, true, false},
		{"waiter and append", false, func(p *pair) [2]asked { return [2]asked{p.enqueue("x"), p.append("y")} }, true, false},
		{"waiter and release", false, func(p *pair) [2]asked { return [2]asked{p.enqueue("x"), p.release} }, true, false},
		{"waiter and hand-over", true, func(p *pair) [2]asked { return [2]asked{p.enqueue("x"), p.release} }, true, false},
		{"waiter and commit", false, func(p *pair) [2]asked { return [2]asked{p.enqueue("x"), p.commit} }, true, false},
		{"grants of two locks", false, func(p *pair) [2]asked { return [2]asked{p.acquire("m"), p.acquire("n")} }, true, false},

		{"grants of one lock", false, func(p *pair) [2]asked { return [2]asked{p.acquire("m"), p.acquire("m")} }, false, false},
		{"one request twice", true, func(p *pair) [2]asked { return [2]asked{p.enqueue("x"), p.enqueue("x")} }, false, false},
		{"one append twice", false, func(p *pair) [2]asked { return [2]asked{p.append("x"), p.append("x")} }, false, false},
		{"releases", false, func(p *pair) [2]asked { return [2]asked{p.release, p.release} }, false, false},
		{"release and commit", false, func(p *pair) [2]asked { return [2]asked{p.release, p.commit} }, false, false},
		{"release and discard", false, func(p *pair) [2]asked { return [2]asked{p.release, p.discard} }, false, false},
		{"release and evict", true, func(p *pair) [2]asked { return [2]asked{p.release, p.evict} }, false, true},
		{"commit and evict", false, func(p *pair) [2]asked { return [2]asked{p.commit, p.evict} }, false, true},
		{"discard and evict", true, func(p *pair) [2]asked { return [2]asked{p.discard, p.evict} }, false, false},
		{"cancel and hand-over", true, func(p *pair) [2]asked { return [2]asked{p.cancel, p.release} }, false, false},
		{"cancel and evict", true, func(p *pair) [2]asked { return [2]asked{p.cancel, p.evict} }, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPair(t, etcd, test.queued)
			ops := test.ops(p)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()

			release := busy(t, p.faulty, prefixOf(t))
			done := make(chan error, 2)
			for i, op := range ops {
				go func() { done <- op(ctx) }()
				storetest.Eventually(t, "it is pending", func() bool { return p.Pending() == i+1 })
			}
			var shared, committed atomic.Int64
			p.After(func(_ context.Context, c faults.Call) error {
				if _, then, _ := c.Op.Txn(); c.Kind == faults.Txn && len(then) >= 2 && then[0].IsTxn() && then[1].IsTxn() {
					shared.Add(1)
					committed.Add(2)
				} else if c.Kind == faults.Txn {
					committed.Add(1)
				}
				return nil
			})
			release()
			storetest.Eventually(t, "all three are committed", func() bool { return committed.Load() >= 3 })
			cancel()
			refused := 0
			for range ops {
				switch err := <-done; {
				case errors.Is(err, etcdstore.ErrLockExpired):
					refused++
				case err != nil && !errors.Is(err, context.Canceled):
					t.Errorf("got %v", err)
				}
			}
			if got := shared.Load() > 0; got != test.together {
				t.Errorf("in one batch: %v, want %v", got, test.together)
			}
			if refused > 0 && !test.refused {
				t.Errorf("%d were refused", refused)
			}
		})
	}
}

// TestGrantAndRepeatApart has a grant and a repeat of the same acquire, which found the lock held,
// wait for the same batch. If both were in it, both would see the lock free and the queue empty:
// the acquisition would hold the lock and wait for it.
func TestGrantAndRepeatApart(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	f := newFaults(t, etcd)
	s := &faulty{openStoreWith(t, etcdstore.Config{Client: f.Client(), Prefix: prefixOf(t)}), f}
	c := begin(t, s)
	release := busy(t, s, prefixOf(t))

	args := c.Args("l", c.Request(), etcdstore.WaitForever)
	type answer struct {
		grant etcdstore.Grant
		err   error
	}
	answers := make(chan answer, 2)
	acquire := func(pending int) {
		s.StartAcquire(t.Context(), args, func(g etcdstore.Grant, err error) { answers <- answer{g, err} })
		storetest.Eventually(t, "it is pending", func() bool { return s.Pending() == pending })
	}
	acquire(1)
	const key = "locks/l"
	if _, err := etcd.Put(storetest.Bounded(t), prefixOf(t)+key, "0000000000000001.1\x00"+`{"since":1}`); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the lock looks held", func() bool { return s.KnowsHolder("l") })
	acquire(2)
	if _, err := etcd.Delete(storetest.Bounded(t), prefixOf(t)+key); err != nil {
		t.Fatal(err)
	}
	release()

	first, second := <-answers, <-answers
	if first.err != nil || first.grant.Token == 0 || second != first {
		t.Errorf("got %+v and %+v, want the same grant twice", first, second)
	}
	info, err := s.Inspect(storetest.Bounded(t), "l")
	if err != nil || info.Holder == nil || info.QueueLength != 0 {
		t.Errorf("Inspect = %+v, %v; want a holder and nobody waiting", info, err)
	}
}
