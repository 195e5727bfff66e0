package etcdstore_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// observed is a store, and what it has told its observer, but for batches.
type observed struct {
	*etcdstore.Store
	log *logged

	mu      sync.Mutex
	told    []string
	batches int
}

func openObserved(t *testing.T, etcd *clientv3.Client) *observed {
	t.Helper()
	o := &observed{log: &logged{}}
	o.Store = openStoreWith(t, etcdstore.Config{Client: etcd, Observer: o, Logger: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	return o
}

func (o *observed) tell(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprintf(format, args...))
}

func (o *observed) Acquired(lock string, outcome etcdstore.Outcome, _ time.Duration) {
	o.tell("acquired %s %d", lock, outcome)
}
func (o *observed) PublishEnded(lock string, outcome etcdstore.PublishOutcome) {
	o.tell("publish %s %d", lock, outcome)
}
func (o *observed) Granted(lock string)      { o.tell("granted %s", lock) }
func (o *observed) HandedOver(time.Duration) { o.tell("handed over") }

func (o *observed) HoldEnded(lock string, how etcdstore.End, held time.Duration) {
	if held < 0 || held > time.Minute {
		o.tell("%s was held for %v", lock, held)
	}
	o.tell("%s %s", lock, how)
}
func (o *observed) SessionEnded(how etcdstore.End) { o.tell("session %s", how) }

func (o *observed) Committed(transactions int, _ time.Duration, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.batches += transactions
}

// count is how often something was told.
func (o *observed) count(what string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, told := range o.told {
		if told == what {
			n++
		}
	}
	return n
}

// tells waits until something was told, and forgets all that was.
func (o *observed) tells(t *testing.T, what ...string) {
	t.Helper()
	for _, w := range what {
		storetest.Eventually(t, w+" is told", func() bool { return o.count(w) > 0 })
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	got := slices.Sorted(slices.Values(o.told))
	slices.Sort(what)
	if !slices.Equal(got, what) {
		t.Errorf("told %q; want %q", got, what)
	}
	o.told = nil
}

// TestWhatHappensIsTold: of two stores each tells what it has done, and nothing of it is told
// twice.
func TestWhatHappensIsTold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openObserved(t, etcd), openObserved(t, etcd)
	c, d := begin(t, a), begin(t, b)

	h := c.Acquire("l")
	a.tells(t, "granted l", "acquired l 1")
	var waiting sync.WaitGroup
	request := d.Request()
	waiting.Go(func() {
		if g, err := b.Acquire(storetest.Bounded(t), d.Args("l", request, etcdstore.WaitForever)); err != nil || g.Outcome != etcdstore.Granted {
			t.Errorf("Acquire = %+v, %v; want a grant", g, err)
		}
	})
	storetest.Eventually(t, "the waiter is known", func() bool { return a.KnowsNext("l") })
	c.Release(h)
	waiting.Wait()
	a.tells(t, "l released", "granted l", "handed over")
	b.tells(t, "acquired l 1")

	// It is evicted through the other store, to which its holder did not come.
	if evicted, err := a.Evict(storetest.Bounded(t), "l", 0, "test"); err != nil || evicted == nil {
		t.Fatalf("Evict = %v, %v", evicted, err)
	}
	a.tells(t, "l evicted")

	h = c.Acquire("m")
	h = c.Commit(h)
	if _, err := a.Discard(storetest.Bounded(t), h.Section); err != nil {
		t.Fatal(err)
	}
	a.tells(t, "granted m", "acquired m 1", "m discarded")

	p := newPublisher(t, a, "p", 1)
	p.publish(appendTo("f", "x"))
	a.tells(t, "publish p 1")
	h = c.Acquire("p")
	refused, err := a.Publish(storetest.Bounded(t), p.next())
	p.want("Publish under a hold", etcdstore.Occupied, refused, err)
	c.Release(h)
	a.tells(t, "granted p", "acquired p 1", "publish p 2", "p released")

	c.Acquire("n")
	c.Heartbeat(c.Requests()) // which lists nothing
	a.tells(t, "granted n", "acquired n 1", "n abandoned")

	args := c.Args("o", c.Request(), 0)
	args.Hold = etcdstore.MinHold
	if g, err := a.Acquire(storetest.Bounded(t), args); err != nil || g.Outcome != etcdstore.Granted {
		t.Fatalf("Acquire = %+v, %v", g, err)
	}
	storetest.Eventually(t, "the deadline is over", func() bool { return a.count("o deadline")+b.count("o deadline") > 0 })
	if n := a.count("o deadline") + b.count("o deadline"); n != 1 {
		t.Errorf("the end by the deadline is told %d times; want once", n)
	}
	for _, o := range []*observed{a, b} {
		o.mu.Lock()
		if o.batches == 0 {
			t.Error("no batch was told")
		}
		o.mu.Unlock()
	}
}

// TestWhySessionsEnd: the store that a session came to last tells why it ended, and logs what was
// lost with it; the other one tells that it was another's.
func TestWhySessionsEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ttl time.Duration
		end func(t *testing.T, a *observed, c etcdstore.Session) error
		how string
	}{
		"closed": {time.Minute, func(t *testing.T, a *observed, c etcdstore.Session) error {
			return a.CloseSession(etcdstore.WithOwner(storetest.Bounded(t), "me"), c.Credential)
		}, "closed"},
		"revoked": {time.Minute, func(t *testing.T, a *observed, _ etcdstore.Session) error {
			_, err := a.EndSessions(storetest.Bounded(t), func(owner string, _ time.Time) bool { return owner == "me" })
			return err
		}, "revoked"},
		"expired": {etcdstore.MinTTL, func(*testing.T, *observed, etcdstore.Session) error { return nil }, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			a, b := openObserved(t, etcd), openObserved(t, etcd)
			ctx := etcdstore.WithOwner(storetest.Bounded(t), "me")
			c, err := a.Init(ctx, etcdstore.InitArgs{TTL: test.ttl, Label: "mine"})
			if err != nil {
				t.Fatal(err)
			}
			g, err := a.Acquire(ctx, etcdstore.AcquireArgs{Credential: c.Credential, Acquisition: etcdstore.Acquisition{Lock: "l", Request: "1"}})
			if err != nil || g.Outcome != etcdstore.Granted {
				t.Fatalf("Acquire = %+v, %v", g, err)
			}
			storetest.Eventually(t, "the other store knows the holder", func() bool { return b.KnowsHolder("l") })
			if err := test.end(t, a, c); err != nil {
				t.Fatal(err)
			}
			a.tells(t, "granted l", "acquired l 1", "l "+test.how, "session "+test.how)
			b.tells(t, "l elsewhere", "session elsewhere")
			lost := fmt.Sprintf(`level=WARN msg="a lock was lost: its holder's session has ended" lock=l session=%s token=%d reason=%s label=mine identity=me`, c.ID, g.Token, test.how)
			storetest.Eventually(t, "it is logged", func() bool { return strings.Contains(a.log.String(), lost) })
			storetest.Eventually(t, "it is mentioned", func() bool { return strings.Contains(b.log.String(), "reason=elsewhere") })
			if strings.Contains(b.log.String(), "level=WARN") {
				t.Errorf("the other store warns of it:\n%s", b.log)
			}
		})
	}
}

// TestMovedSession: a session that has moved to another store, and is closed there, has not expired
// for the one that it left.
func TestMovedSession(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openObserved(t, etcd), openObserved(t, etcd)
	c := begin(t, a)
	c.Acquire("l")
	a.tells(t, "granted l", "acquired l 1")
	c.Via(b).Heartbeat(0)
	if err := b.CloseSession(storetest.Bounded(t), c.Credential); err != nil {
		t.Fatal(err)
	}
	a.tells(t, "l elsewhere", "session elsewhere")
	b.tells(t, "l closed", "session closed")
}

// TestCleanEndIsQuiet: whoever releases and closes leaves no line in the log.
func TestCleanEndIsQuiet(t *testing.T) {
	t.Parallel()
	a := openObserved(t, startEtcd(t))
	c := begin(t, a)
	c.Publish("l", "f", "text")
	if err := a.CloseSession(storetest.Bounded(t), c.Credential); err != nil {
		t.Fatal(err)
	}
	a.tells(t, "granted l", "acquired l 1", "l released", "session closed")
	dead := begin(t, a) // whose line comes after that of the first, if that has one
	dead.Acquire("l")
	if err := a.CloseSession(storetest.Bounded(t), dead.Credential); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the loss is logged", func() bool { return strings.Contains(a.log.String(), "a lock was lost") })
	if strings.Contains(a.log.String(), c.ID) {
		t.Errorf("a clean end is logged:\n%s", a.log)
	}
}

// TestGauges: they are what Inspect would say, by classes.
func TestGauges(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	c := begin(t, s)
	h := c.Acquire("a/1")
	c.Acquire("a/2")
	c.Acquire("b")
	c.Append(h, "f", "12345")
	var waiting sync.WaitGroup
	for range 3 {
		w := begin(t, s)
		waiting.Go(func() { _, _ = s.Acquire(t.Context(), w.Args("a/1", w.Request(), time.Second)) })
	}
	storetest.Eventually(t, "all wait", func() bool { return s.Waiters("a/1") == 3 && other.Waiters("a/1") == 3 })
	byA := func(lock string) int {
		if strings.HasPrefix(lock, "a/") {
			return 1
		}
		return 0
	}
	for name, store := range map[string]*etcdstore.Store{"its own": s, "the other": other} {
		g := store.Gauges(2, byA)
		if g.Classes[0].Held != 1 || g.Classes[1].Held != 2 || g.Classes[0].Waiters != 0 || g.Classes[1].Waiters != 3 || g.Sessions != 4 || !g.Quorum {
			t.Errorf("%s: %+v; want one held, and two with three waiters, in four sessions", name, g)
		}
		if g.Classes[0].OldestWait != 0 || g.Classes[1].OldestWait < 0 || g.Classes[1].OldestHold <= 0 || g.Classes[1].OldestHold > time.Minute {
			t.Errorf("%s: ages %+v", name, g.Classes)
		}
		if want := map[bool]int64{true: 5}[store == s]; g.StagedBytes != want {
			t.Errorf("%s: %d bytes staged, want %d", name, g.StagedBytes, want)
		}
	}
	waiting.Wait()
	storetest.Eventually(t, "no silent holders, and a watch that is not behind", func() bool {
		g := s.Gauges(1, func(string) int { return 0 })
		return g.SilentHolders == 0 && g.Lag == 0
	})
	quiet := storetest.BeginFor(t, s, "quiet", 10*time.Second)
	quiet.Acquire("c")
	storetest.Eventually(t, "the silence is noticed", func() bool { return s.Gauges(1, func(string) int { return 0 }).SilentHolders == 1 })
	quiet.Heartbeat(0)
	if g := s.Gauges(1, func(string) int { return 0 }); g.SilentHolders != 0 {
		t.Error("whoever was heard of a moment ago is silent")
	}
}
