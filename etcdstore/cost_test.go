package etcdstore_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// The cycles that come by the thousand have a price, and it is written down here: what each of
// them asks of etcd, to the last compare, and what it allocates. A change that makes one of them
// dearer fails the test. One that has it ask less of etcd fails it as well, until the lower figure
// is put here, so that it is not lost again.
//
// Each call is a started one, as the server makes it, and only one client acts at a time, so that
// the figures do not depend on how fast anything is.

// cost is what cycles ask of etcd.
type cost struct {
	proposals int // requests that write
	compares  int // in these, with those of nested transactions
	puts      int // likewise
	deletes   int // likewise; of a key or of a range
}

func (c cost) times(n int) cost {
	return cost{n * c.proposals, n * c.compares, n * c.puts, n * c.deletes}
}

func (c cost) plus(d cost) cost {
	return cost{c.proposals + d.proposals, c.compares + d.compares, c.puts + d.puts, c.deletes + d.deletes}
}

// costOf is the cost of one request; none if it only reads.
func costOf(op clientv3.Op) (c cost) {
	every(op, func(op clientv3.Op) {
		ifs, _, _ := op.Txn()
		c.compares += len(ifs)
		if op.IsPut() {
			c.puts++
		}
		if op.IsDelete() {
			c.deletes++
		}
	})
	if c.puts+c.deletes == 0 {
		return cost{}
	}
	c.proposals = 1
	return c
}

// started is a store whose calls are made as the server makes them: the wait for the answer is the
// caller's.
type started struct{ *etcdstore.Store }

func (s started) Acquire(ctx context.Context, args etcdstore.AcquireArgs) (grant etcdstore.Grant, err error) {
	over := make(chan struct{})
	s.StartAcquire(ctx, args, func(g etcdstore.Grant, e error) {
		grant, err = g, e
		close(over)
	})
	<-over
	return grant, err
}

func (s started) Release(ctx context.Context, sec etcdstore.Section) error {
	over := make(chan error, 1)
	s.StartRelease(ctx, sec, func(err error) { over <- err })
	return <-over
}

// priced is a store whose requests are counted, and two clients of it.
type priced struct {
	started
	*testing.T
	faults *faults.Faults
	a, b   *storetest.Client

	mu    sync.Mutex
	calls cost // of the clients' calls
	folds cost // of what follows a release with records
}

const pricedLock = "priced"

func newPriced(t *testing.T) *priced {
	t.Helper()
	etcd := startEtcd(t)
	f := newFaults(t, etcd)
	p := &priced{started: started{openStore(t, f.Client())}, T: t, faults: f}
	p.a = storetest.BeginFor(t, p.started, "a", etcdstore.MaxTTL)
	p.b = storetest.BeginFor(t, p.started, "b", etcdstore.MaxTTL)
	link := p.NewLink(func(l etcdstore.Loss) { // as a client over a stream has
		if l.Lock == pricedLock {
			t.Errorf("told %+v", l)
		}
	})
	t.Cleanup(func() { link.Close(true) })
	for _, c := range []*storetest.Client{p.a, p.b} {
		args := etcdstore.HeartbeatArgs{Credential: c.Credential, Link: link, TakesLost: true}
		if _, err := p.Heartbeat(storetest.Bounded(t), args); err != nil {
			t.Fatalf("Heartbeat: %v", err)
		}
	}
	caughtUp(t, etcd, p.started) // the sessions are known
	f.After(p.count)
	return p
}

// count adds the cost of a request that etcd has executed. Requests about other locks, and the
// sweeps that the store makes by itself, are no part of a cycle.
func (p *priced) count(_ context.Context, c faults.Call) error {
	about := func(op clientv3.Op) bool { return strings.Contains(string(op.KeyBytes()), "/"+pricedLock) }
	if c.Err != nil || !matches(about, "")(c.Op) || sweeps(c.Op) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if folds(c.Op) || puts("/dlm/chunks/")(c.Op) {
		p.folds = p.folds.plus(costOf(c.Op))
	} else {
		p.calls = p.calls.plus(costOf(c.Op))
	}
	return nil
}

func (p *priced) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.folds = cost{}, cost{}
}

func (p *priced) costs() (calls, after cost) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls, p.folds
}

// own is a cycle of the workload of that name: a client acquires a lock that is free, and releases
// it.
func (p *priced) own() { p.a.Release(p.a.Acquire(pricedLock)) }

// handOver returns a cycle of the workload `one`: whoever holds the lock releases it, which hands
// it to the other client, and waits for it again.
func (p *priced) handOver() func() {
	held, waiting := p.a.Acquire(pricedLock), p.wait(p.b)
	holder, waiter := p.a, p.b
	return func() {
		holder.Release(held)
		held = waiting.Granted()
		waiting = p.wait(holder)
		holder, waiter = waiter, holder
	}
}

// wait has a client take its place in the queue, and returns when the store's watch has seen it:
// before, a release would free the lock instead of handing it over.
func (p *priced) wait(c *storetest.Client) *storetest.Pending {
	waiting := c.Start(c.Args(pricedLock, c.Request(), etcdstore.WaitForever))
	storetest.Eventually(p.T, "the other to be next in line", func() bool { return p.KnowsNext(pricedLock) })
	return waiting
}

// section is a cycle of the workload `append`: acquire, ten appends at once, and release; and the
// fold that follows. The first append is on its way to etcd before the others are started, so that
// always the same nine share a batch.
func (p *priced) section() {
	_, before := p.costs()
	h := p.a.Acquire(pricedLock)
	reached, free := hold(p.T, p.faults, puts("/dlm/staged/"+pricedLock))
	const records = 10
	over := make(chan error, records)
	ctx := storetest.Bounded(p.T)
	for i := range records {
		r := p.a.Record(h, "log", strings.Repeat("x", 256))
		h.Last = []string{r.Request}
		p.StartAppend(ctx, r, func(_ int64, err error) { over <- err })
		if i == 0 {
			storetest.Await(p.T, "the first append", reached)
		}
	}
	free()
	for range records {
		select {
		case err := <-over:
			storetest.Want(p.T, "append", err, nil)
		case <-ctx.Done():
			p.Fatal("an append was not answered")
		}
	}
	h.Appended = true
	p.a.Release(h)
	storetest.Eventually(p.T, "the fold", func() bool {
		_, now := p.costs()
		return now.deletes > before.deletes
	})
}

func TestCost(t *testing.T) {
	for _, test := range []struct {
		name   string
		begin  func(*priced) (cycle func())
		cycles int
		call   cost // of a cycle's calls
		fold   cost // of the fold that follows
		allocs int  // the most that the store may allocate for both; what it does is up to 4 % less
	}{
		{
			name:  "own",
			begin: func(p *priced) func() { return p.own }, cycles: 100,
			call:   cost{proposals: 2, compares: 3, puts: 1, deletes: 1},
			allocs: 120,
		},
		{
			name:  "one",
			begin: (*priced).handOver, cycles: 50,
			call:   cost{proposals: 2, compares: 4, puts: 3, deletes: 1},
			allocs: 158,
		},
		{
			name:  "append",
			begin: func(p *priced) func() { return p.section }, cycles: 4,
			call:   cost{proposals: 4, compares: 24, puts: 13, deletes: 1}, // one compare for the last record
			fold:   cost{proposals: 1, compares: 2, puts: 3, deletes: 2},
			allocs: 634, // some ten of them to name the last record, and as many for latest/L, and folded/L
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPriced(t)
			cycle := test.begin(p)
			cycle() // what is made only once is made
			p.reset()
			began := time.Now()
			allocs := allocated(func() {
				for range test.cycles {
					cycle()
				}
			})
			call, fold := p.costs()
			if want := test.call.times(test.cycles); call != want {
				t.Errorf("the calls of %d cycles cost %+v, want %+v", test.cycles, call, want)
			}
			if want := test.fold.times(test.cycles); fold != want {
				t.Errorf("the folds of %d cycles cost %+v, want %+v", test.cycles, fold, want)
			}
			allocs = (allocs - int64(ownWork*time.Since(began).Seconds())) / int64(test.cycles)
			t.Logf("%d allocations a cycle", allocs)
			if allocs > int64(test.allocs) && !raceEnabled() {
				t.Errorf("%d allocations a cycle, want at most %d", allocs, test.allocs)
			}
		})
	}
}

// ownWork is how many allocations a second the store makes by itself, to find out whether etcd can
// commit: twice what is seen, so that a slow machine is not blamed for them.
const ownWork = 20

// allocated is how often the store's own code allocates while f runs, not etcd in the same process,
// nor the test. Of a profile of every allocation those count whose innermost caller within
// etcdstore is the store.
func allocated(f func()) int64 {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	before := profiled()
	f()
	return profiled() - before
}

// profiled is how many allocations of the store the profile has so far.
func profiled() (n int64) {
	// A profile shows what was allocated up to the last collection but one.
	runtime.GC()
	runtime.GC()
	var records []runtime.MemProfileRecord
	for size, ok := runtime.MemProfile(nil, true); !ok; {
		records = make([]runtime.MemProfileRecord, size+size/8+64)
		if size, ok = runtime.MemProfile(records, true); ok {
			records = records[:size]
		}
	}
	for _, r := range records {
		if storeAllocated(r.Stack()) {
			n += r.AllocObjects
		}
	}
	return n
}

func storeAllocated(stack []uintptr) bool {
	const store = "github.com/distributed-lock-manager/dlm/etcdstore"
	apart := []string{store + "/embedded.", store + "/storetest.", store + "/internal/faults.", store + "_test."}
	frames := runtime.CallersFrames(stack)
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if strings.HasPrefix(frame.Function, store) {
			return !slices.ContainsFunc(apart, func(pkg string) bool { return strings.HasPrefix(frame.Function, pkg) })
		}
	}
	return false
}

// raceEnabled reports whether this program has the race detector, with which more is allocated.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
