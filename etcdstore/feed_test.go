package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// subscriber is a Watch whose news are counted.
type subscriber struct {
	begun chan struct{} // closed when the first state is told
	done  chan struct{}

	mu     sync.Mutex
	events []etcdstore.Event
	news   int // with events, after the state
	err    error
}

// subscribe watches until the test ends.
func subscribe(t *testing.T, s *etcdstore.Store, prefix string) *subscriber {
	t.Helper()
	l := &subscriber{begun: make(chan struct{}), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	go func() {
		defer close(l.done)
		err := s.Watch(ctx, prefix, func(n *etcdstore.News) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(n.Events) > 0 && n.Revision > 0 {
				l.events, l.news = append(l.events, n.Events...), l.news+1
			}
			if n.Revision > 0 {
				once.Do(func() { close(l.begun) })
			}
			return nil
		})
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
	}()
	t.Cleanup(func() {
		cancel()
		<-l.done
	})
	return l
}

// told is how many events, in how many news, the subscriber was told.
func (l *subscriber) told() (events, news int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events), l.news
}

// TestWatchersCostEtcdNothing: however many watch and tail, etcd has one watch, and is read for
// nobody's release.
func TestWatchersCostEtcdNothing(t *testing.T) {
	t.Parallel()
	const each = 50
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	var all []*subscriber
	for i := range 2 * each {
		all = append(all, subscribe(t, s.Store, []string{"", "quiet/"}[i%2]))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tails sync.WaitGroup
	for range each {
		tails.Go(func() {
			_ = s.Tail(ctx, etcdstore.TailArgs{Lock: "quiet/0", File: "f"}, func(etcdstore.Piece) error { return nil })
		})
	}
	for _, l := range all {
		storetest.Await(t, "the state", l.begun)
	}
	var reads atomic.Int64
	s.Before(func(_ context.Context, call faults.Call) error {
		// Of these locks: what looks once in a while for notes to forget reads them of all locks.
		of := func(family string) bool { return gets("/dlm/" + family + "/busy")(call.Op) }
		if costOf(call.Op) == (cost{}) && (of("undone") || of("locks") || of("queue")) {
			reads.Add(1)
		}
		return nil
	})
	const rounds = 20
	for i := range rounds {
		h := c.Acquire(fmt.Sprintf("busy/%d", i%3))
		if i%2 == 0 {
			c.Release(h)
		} else if _, err := s.Evict(storetest.Bounded(t), h.Lock, h.Token, "a test"); err != nil {
			t.Fatalf("Evict: %v", err)
		}
	}
	asked := int64(rounds / 2) // each eviction looks at the lock
	for i, l := range all {
		storetest.Eventually(t, "all events", func() bool {
			events, _ := l.told()
			return events == 2*rounds || i%2 == 1
		})
	}
	if got := reads.Load(); got != asked {
		t.Errorf("%d reads of locks and notes; want %d", got, asked)
	}
	if opened, open := s.Watches(); opened != 2 || open != 2 {
		t.Errorf("%d watches were opened and %d are open; want one, and another for all tails", opened, open)
	}
	cancel()
	tails.Wait()
}

// TestEndsThroughOthersAreExplained: the notes of what another store has ended are read.
func TestEndsThroughOthersAreExplained(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStore(t, etcd)
	l := subscribe(t, a, "")
	storetest.Await(t, "the state", l.begun)
	c := begin(t, b)
	var want []string
	for i := range 200 { // more than one read takes
		h := c.Acquire(fmt.Sprintf("l/%d", i))
		if i%2 == 0 {
			c.Release(h)
			want = append(want, "")
			continue
		}
		reason := fmt.Sprintf("number %d", i)
		if _, err := b.Evict(storetest.Bounded(t), h.Lock, h.Token, reason); err != nil {
			t.Fatalf("Evict: %v", err)
		}
		want = append(want, "evicted: "+reason)
	}
	storetest.Eventually(t, "all events", func() bool {
		events, _ := l.told()
		return events == 2*len(want)
	})
	var got []string
	for _, e := range l.events {
		switch lost := strings.HasPrefix(e.Reason, "evicted"); {
		case e.Type == etcdstore.EventGranted:
		case lost != (e.Type == etcdstore.EventLost):
			t.Errorf("%+v", e)
		default:
			got = append(got, e.Reason)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the reasons are %q; want %q", got, want)
	}
}

// TestEmptyStartIsTold: a watcher of nothing is told so, and up to when.
func TestEmptyStartIsTold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	least := revision(t, etcd)
	enough := errors.New("enough")
	err := s.Watch(storetest.Bounded(t), "nothing/", func(n *etcdstore.News) error {
		if len(n.Events) > 0 || n.Revision < least {
			t.Errorf("told %+v up to %d; want nothing up to %d or later", n.Events, n.Revision, least)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("Watch: %v", err)
	}
}

// TestNewsArePaced: a watcher has at most one piece of news every 20 ms, whatever happens, and does
// not wait much longer for one.
func TestNewsArePaced(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	l := subscribe(t, s, "")
	storetest.Await(t, "the state", l.begun)
	c := begin(t, s)
	began := time.Now()
	const rounds = 300
	for range rounds {
		c.Release(c.Acquire("l"))
	}
	storetest.Eventually(t, "all events", func() bool {
		events, _ := l.told()
		return events == 2*rounds
	})
	most := int(time.Since(began)/(20*time.Millisecond)) + 1
	if _, news := l.told(); news > most {
		t.Errorf("%d events came in %d pieces; want %d at most", 2*rounds, news, most)
	}

	best := time.Hour
	for i := range 20 { // the machine may be busy, though hardly every time
		before, _ := l.told()
		began := time.Now()
		c.Acquire(fmt.Sprintf("one/%d", i))
		storetest.Eventually(t, "one event", func() bool {
			after, _ := l.told()
			return after > before
		})
		best = min(best, time.Since(began))
	}
	if best > 250*time.Millisecond { // it is some 25 ms when nothing else goes on
		t.Errorf("of 20 events each was told after %v or more", best)
	}
}

// TestSlowWatcherIsEnded: who does not take what comes is ended, and the others are told
// everything.
func TestSlowWatcherIsEnded(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	quick := subscribe(t, s, "")
	storetest.Await(t, "the state", quick.begun)
	stuck, letGo, slow := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		slow <- s.Watch(storetest.Bounded(t), "", func(n *etcdstore.News) error {
			if len(n.Events) > 0 {
				once.Do(func() { close(stuck) })
				<-letGo
			}
			return nil
		})
	}()
	put := 0
	more := func() {
		t.Helper()
		var locks []clientv3.Op
		for range 100 {
			locks = append(locks, clientv3.OpPut(fmt.Sprintf("/dlm/locks/l/%d", put), "0000000000000001.1\x00"+`{"since":1}`))
			put++
		}
		if _, err := etcd.Txn(storetest.Bounded(t)).Then(locks...).Commit(); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	more()
	storetest.Await(t, "the slow watcher to be told something", stuck)
	for put < etcdstore.WatchRoom+5000 { // in more than one piece
		more()
		if put%5000 == 0 {
			storetest.Eventually(t, "the others to be told", func() bool {
				events, _ := quick.told()
				return events == put
			})
		}
	}
	close(letGo)
	if err := <-slow; !errors.Is(err, etcdstore.ErrQuota) {
		t.Errorf("the slow watch ended with %v; want %v", err, etcdstore.ErrQuota)
	}
	storetest.Eventually(t, "the others to be told everything", func() bool {
		events, _ := quick.told()
		return events == put
	})
}

// TestWatchEndsWithItsStore: nobody waits for news that cannot come.
func TestWatchEndsWithItsStore(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	l := subscribe(t, s, "")
	storetest.Await(t, "the state", l.begun)
	tail := make(chan error, 1)
	go func() {
		tail <- s.Tail(t.Context(), etcdstore.TailArgs{Lock: "l", File: "f"}, func(etcdstore.Piece) error { return nil })
	}()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	storetest.Await(t, "the watch to end", l.done)
	if !errors.Is(l.err, etcdstore.ErrClosed) {
		t.Errorf("Watch: %v; want %v", l.err, etcdstore.ErrClosed)
	}
	if err := <-tail; !errors.Is(err, etcdstore.ErrClosed) {
		t.Errorf("Tail: %v; want %v", err, etcdstore.ErrClosed)
	}
}

// TestTailMissesNothing follows a file that two stores publish to, one of which has its watch
// broken again and again.
func TestTailMissesNothing(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var got strings.Builder
	done := make(chan error, 1)
	go func() {
		done <- a.Tail(ctx, etcdstore.TailArgs{Lock: "l", File: "f"}, func(p etcdstore.Piece) error {
			mu.Lock()
			defer mu.Unlock()
			got.Write(p.Data)
			return nil
		})
	}()
	var want strings.Builder
	ca, cb := begin(t, a), begin(t, b)
	for i := range 30 {
		c := []*storetest.Client{ca, cb}[i%2]
		line := fmt.Sprintf("%d\n", i)
		if i%5 == 4 {
			a.BreakWatches()
		}
		c.Publish("l", "f", line)
		want.WriteString(line)
		if i%10 == 9 { // the tail is up to date, and then waits
			storetest.Eventually(t, "the tail", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return got.String() == want.String()
			})
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Tail: %v", err)
	}
}
