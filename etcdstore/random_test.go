package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestRandom has several clients do what they like through two stores, while requests and replies
// are lost, watches held and broken, sessions ended and holders evicted, and any earlier call comes
// again at any time. DLM_RANDOM is how long, 3 s by default; DLM_RANDOM_SEED repeats the choices of
// a run, though not their timing.
func TestRandom(t *testing.T) {
	t.Parallel()
	length, seed := 3*time.Second, rand.Uint64()
	if v := os.Getenv("DLM_RANDOM"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatalf("DLM_RANDOM: %v", err)
		}
	}
	if v := os.Getenv("DLM_RANDOM_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("DLM_RANDOM_SEED: %v", err)
		}
	}
	t.Logf("seed %d", seed)
	etcd := startEtcd(t)
	referee, over := startReferee(t, etcd)
	r := &random{m: newModel(t), etcd: etcd, stores: []*faulty{openFaulty(t, etcd), openFaulty(t, etcd)}}
	r.ctx, r.stop = context.WithTimeout(t.Context(), length)
	defer r.stop()
	listening, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	told, deaf := listenTo(listening, etcd, r.stores)
	r.told = told
	watching, lookAway := context.WithCancel(t.Context())
	defer lookAway()
	past, closed := chronicles(watching, t, etcd)
	r.witnesses = func() int64 { return min(referee.until.Load(), past.to()) }
	var onlookers []*onlooker
	for i, prefix := range []string{"", "", "l1", "l", "none/"} {
		onlookers = append(onlookers, watchAlong(watching, t, r.stores[i%2], prefix))
	}

	var running sync.WaitGroup
	for i := range uint64(5) {
		a := &actor{random: r, rng: rand.New(rand.NewPCG(seed, i))}
		running.Go(a.run)
	}
	running.Go(func() { r.harm(rand.New(rand.NewPCG(seed, 100))) })
	for i := range uint64(2) {
		running.Go(func() { r.read(rand.New(rand.NewPCG(seed, 200+i))) })
	}
	running.Wait()
	for _, s := range r.stores {
		s.Before(nil)
		s.After(nil)
	}
	r.told.check(t)
	hangUp()
	<-deaf
	for _, s := range r.stores { // while something may still be held, waited for and staged
		if got, found := s.Store.Faults(), problems(t, s.Store); got != (etcdstore.Faults{}) || len(found) > 0 {
			t.Errorf("a store has met %+v, and lists %+v, among what stores have written", got, found)
		}
	}
	for _, id := range r.sessions { // nothing is open any more
		r.revoke(storetest.Bounded(t), id)
	}
	over()
	seen := 0
	past.comesTo(revision(t, etcd))
	for _, o := range onlookers {
		seen += past.check(t, o)
	}
	lookAway()
	<-closed
	for _, o := range onlookers {
		<-o.done
	}
	t.Logf("%d events were told to %d watchers", seen, len(onlookers))
	if seen == 0 {
		t.Error("no watcher was told anything: the run proves nothing of them")
	}
	last := openStore(t, etcd) // and tidies up
	acknowledged := r.m.check(last)
	gone(t, etcd, "staged/")
	gone(t, etcd, "commits/")
	r.m.check(last)
	t.Logf("%d calls, of which %d came late again; %d sections published", r.calls.Load(), r.repeats.Load(), acknowledged)
	t.Logf("history was dropped up to revision %d", r.m.compacted.Load())
	t.Logf("%d grants, of which %d of a free lock with a queue", referee.grants, referee.promotions)
	if acknowledged == 0 || referee.promotions == 0 {
		t.Error("no section was published, or no free lock met a waiter: the run proves nothing")
	}
}

// random is one run.
type random struct {
	m      *model
	told   *hearsay
	etcd   *clientv3.Client
	stores []*faulty
	ctx    context.Context // ends with the run
	stop   context.CancelFunc
	// witnesses is up to which revision those have seen everything who have to see it.
	witnesses func() int64

	calls, repeats atomic.Int64

	mu       sync.Mutex
	sessions []string // public ids, for harm
}

const randomLocks = 3

func lockName(rng *rand.Rand) string { return fmt.Sprint("l", rng.IntN(randomLocks)) }

// pause waits a little, or for the run's end; it is part of the disorder, nothing depends on it.
func (r *random) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}

// harm loses calls, holds and breaks watches, ends sessions and evicts holders, until the run ends.
func (r *random) harm(rng *rand.Rand) {
	for i, s := range r.stores {
		var mu sync.Mutex
		luck := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		unlucky := func(_ context.Context, c faults.Call) error {
			if strings.HasSuffix(string(c.Op.KeyBytes()), "/cluster/features") {
				return nil // the watchdog's question: a store that it takes down does nothing for half a second
			}
			mu.Lock()
			defer mu.Unlock()
			if luck.IntN(25) == 0 {
				return faults.ErrLost
			}
			return nil
		}
		s.Before(unlucky)
		s.After(unlucky)
	}
	var earlier int64 // a revision that was current a while ago
	for r.ctx.Err() == nil {
		s := r.stores[rng.IntN(2)]
		switch rng.IntN(8) {
		case 0:
			s.BreakWatches()
		case 1, 2:
			release := s.HoldWatches()
			r.pause(time.Duration(rng.IntN(30)) * time.Millisecond)
			release()
		case 3:
			r.mu.Lock()
			id := ""
			if n := len(r.sessions); n > 0 {
				id = r.sessions[max(0, n-1-rng.IntN(8))]
			}
			r.mu.Unlock()
			r.revoke(r.ctx, id)
		case 4, 5:
			_, err := s.Evict(r.ctx, lockName(rng), 0, "at random")
			if err != nil && !errors.Is(err, etcdstore.ErrLockNotFound) && !indeterminate(err) {
				r.m.t.Errorf("Evict: %v", err)
			}
		case 6:
			if now, err := r.etcd.Get(r.ctx, "/"); err == nil {
				if rng.IntN(3) == 0 {
					earlier = now.Header.Revision // nothing at all is kept
				}
				if earlier > 0 && r.witnessed(earlier) {
					r.m.compacted.Store(max(earlier, r.m.compacted.Load()))
					_, _ = r.etcd.Compact(r.ctx, earlier)
				}
				earlier = now.Header.Revision
			}
		}
		r.pause(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
}

// witnessed waits until a revision has been seen by those who have to see everything, and reports
// whether they have: on a busy machine they may be far behind, and it must not be compacted then.
func (r *random) witnessed(rev int64) bool {
	for range 100 {
		if r.witnesses() >= rev {
			return true
		}
		r.pause(5 * time.Millisecond)
	}
	return false
}

// revoke ends a session as if it had expired; it may have ended already.
func (r *random) revoke(ctx context.Context, id string) {
	if lease, err := strconv.ParseInt(id, 16, 64); err == nil {
		_, _ = r.etcd.Revoke(ctx, clientv3.LeaseID(lease))
	}
}

// read notes what it reads, to be judged in the end.
func (r *random) read(rng *rand.Rand) {
	for r.ctx.Err() == nil {
		lock, file := lockName(rng), string(rune('a'+rng.IntN(2)))
		_, after := r.m.marks(lock)
		text, err := storetest.ReadAll(r.ctx, r.stores[rng.IntN(2)], lock, file)
		switch {
		case err == nil:
			r.m.saw(lock, snapshot{file, text, after})
		case errors.Is(err, etcdstore.ErrFileNotFound) || indeterminate(err):
		default:
			r.m.t.Errorf("Read: %v", err)
		}
		r.pause(time.Duration(rng.IntN(5)) * time.Millisecond)
	}
}

// indeterminate reports whether a call is to be repeated after an error.
func indeterminate(err error) bool {
	return errors.Is(err, etcdstore.ErrNoQuorum) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
