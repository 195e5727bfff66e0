package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// listener is a link, and what it was told.
type listener struct {
	*testing.T
	link   *etcdstore.Link
	losses chan etcdstore.Loss
}

// listen has a session's losses told over a link to a store.
func listen(t *testing.T, s *etcdstore.Store, clients ...*storetest.Client) *listener {
	t.Helper()
	l := &listener{T: t, losses: make(chan etcdstore.Loss, 100)}
	l.link = s.NewLink(func(loss etcdstore.Loss) { l.losses <- loss })
	t.Cleanup(func() { l.link.Close(false) })
	for _, c := range clients {
		if _, err := s.Heartbeat(storetest.Bounded(t), l.takes(c)); err != nil {
			t.Fatalf("Heartbeat: %v", err)
		}
	}
	return l
}

// takes are the arguments of a heartbeat over the link.
func (l *listener) takes(c *storetest.Client, unfinished ...etcdstore.Acquisition) etcdstore.HeartbeatArgs {
	return etcdstore.HeartbeatArgs{Credential: c.Credential, Unfinished: unfinished, Link: l.link, TakesLost: true}
}

// told is the next loss; it checks whose it is, and that it is no earlier than the token.
func (l *listener) told(c *storetest.Client, h *storetest.Held, reason string) {
	l.Helper()
	got := await.Receive(l.T, patience, "a loss", l.losses)
	want := etcdstore.Loss{Session: c.ID, Revision: got.Revision, Reason: reason}
	var token int64
	if h != nil {
		want.Lock, want.Request, token = h.Lock, h.Acquisition().Request, h.Token
	}
	if got != want || got.Revision <= token {
		l.Errorf("told %+v; want %+v, at a revision above %d", got, want, token)
	}
}

// warned is the next that is told: that a hold's deadline is near.
func (l *listener) warned(c *storetest.Client, h *storetest.Held) {
	l.Helper()
	got := await.Receive(l.T, patience, "a warning", l.losses)
	want := etcdstore.Loss{Session: c.ID, Lock: h.Lock, Request: h.Acquisition().Request, Revision: got.Revision, HoldLeft: got.HoldLeft}
	if got != want || got.Revision < h.Token || got.HoldLeft <= 0 {
		l.Errorf("told %+v; want %+v, and how long is left", got, want)
	}
}

// nothing checks that nothing was told of any hold so far: of one that is evicted now, that is told
// first.
func (l *listener) nothing(s *etcdstore.Store, c *storetest.Client) {
	l.Helper()
	h := c.Acquire("sentinel")
	if _, err := s.Evict(storetest.Bounded(l.T), "sentinel", h.Token, "the end"); err != nil {
		l.Fatalf("Evict: %v", err)
	}
	l.told(c, h, "evicted: the end")
}

func evict(t *testing.T, s *etcdstore.Store, h *storetest.Held, why string) {
	t.Helper()
	if holder, err := s.Evict(storetest.Bounded(t), h.Lock, h.Token, why); err != nil || holder == nil {
		t.Fatalf("Evict(%s, %d) = %v, %v", h.Lock, h.Token, holder, err)
	}
}

// The store that has a client's stream tells of its losses, whichever store was the one that ended
// the hold.
func TestToldOfALoss(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, there := openStore(t, etcd), openStore(t, etcd)
	for name, by := range map[string]*etcdstore.Store{"same": here, "other": there} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := begin(t, here)
			l := listen(t, here, c)
			lock := func(what string) string { return name + "/" + what }

			h := c.Acquire(lock("evicted"))
			evict(t, by, h, "the test")
			l.told(c, h, "evicted: the test")

			args := c.Args(lock("overdue"), c.Request(), 0)
			args.Hold = etcdstore.MinHold
			g, err := by.Acquire(storetest.Bounded(t), args)
			if err != nil || g.Outcome != etcdstore.Granted {
				t.Fatalf("Acquire = %+v, %v", g, err)
			}
			h = c.Section(args.Lock, args.Request, g.Token)
			l.warned(c, h)
			l.told(c, h, "held longer than 1s")

			h = c.Acquire(lock("abandoned"))
			storetest.Eventually(t, "the end of what is not listed", func() bool {
				if _, err := by.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Highest: c.Requests()}); err != nil {
					t.Fatalf("Heartbeat: %v", err)
				}
				return storetest.HolderOf(t, here, h.Lock) == 0
			})
			l.told(c, h, "abandoned")

			if by != here {
				h = c.Acquire(lock("released"))
				c.Via(by).Release(h)
				l.told(c, h, "released by another call")
				h = c.Acquire(lock("discarded"))
				c.Append(h, "f", "x")
				discard(t, by, h)
				l.told(c, h, "discarded")
			}

			c.Acquire(lock("closed"))
			closeSession(t, by, c)
			l.told(c, nil, "its session ended")
		})
	}
}

// A client is not told of the end that it asked this store for, nor of a commit through any store.
func TestOwnEndIsNotTold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c, w := begin(t, a), begin(t, a)
	l := listen(t, a.Store, c, w)

	c.Release(c.Acquire("released"))
	c.Publish("published", "f", "x")
	discard(t, a, c.Acquire("discarded"))
	h := c.Acquire("handed-over")
	p := w.Queue("handed-over")
	c.Release(h)
	w.Release(p.Granted())
	h = c.Acquire("committed")
	h = c.Commit(h)
	h = c.Via(b).Commit(h)
	caughtUp(t, etcd, a)
	c.Release(h)

	// The watch is faster than the answer, and a slow watch repeats all of it.
	h = c.Acquire("faster")
	answer := make(chan struct{})
	a.After(func(_ context.Context, call faults.Call) error {
		if deletes("/dlm/locks/faster")(call.Op) {
			<-answer
		}
		return nil
	})
	released := make(chan error, 1)
	go func() { released <- a.Release(storetest.Bounded(t), h.Section) }()
	storetest.Eventually(t, "the watch", func() bool { return !a.KnowsHolder("faster") })
	close(answer)
	storetest.Want(t, "Release", await.Receive(t, patience, "the answer", released), nil)
	follow := a.HoldWatches()
	for range 3 {
		c.Release(c.Acquire("slower"))
	}
	follow()
	caughtUp(t, etcd, a)
	l.nothing(a.Store, c)
}

// An end that this store has asked etcd for comes to nothing: the holder was evicted, and the watch
// told of that before the answer came.
func TestToldWhenTheOwnEndIsRefused(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	l := listen(t, a.Store, c)
	h := c.Acquire("l")
	reached, free := hold(t, a.Faults, deletes("/dlm/locks/l"))
	released := make(chan error, 1)
	go func() { released <- a.Release(storetest.Bounded(t), h.Section) }()
	storetest.Await(t, "the release", reached)
	evict(t, b, h, "meanwhile")
	storetest.Eventually(t, "the watch", func() bool { return !a.KnowsHolder("l") })
	select {
	case loss := <-l.losses:
		t.Errorf("told %+v before the release was answered", loss)
	default:
	}
	free()
	storetest.Want(t, "Release", await.Receive(t, patience, "the answer", released), etcdstore.ErrLockExpired)
	l.told(c, h, "evicted: meanwhile")
}

// A heartbeat has its link told of losses before it reads the states: what is lost after they were
// read is told.
func TestListensBeforeTheStatesAreRead(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	h := c.Acquire("l")
	l := listen(t, a.Store)
	read, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a.After(func(_ context.Context, call faults.Call) error {
		if call.Kind == faults.Txn && gets("/dlm/locks/l")(call.Op) {
			once.Do(func() {
				close(read)
				<-resume
			})
		}
		return nil
	})
	type answer struct {
		etcdstore.Renewal
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		r, err := a.Heartbeat(storetest.Bounded(t), l.takes(c, h.Acquisition()))
		answers <- answer{r, err}
	}()
	storetest.Await(t, "the states to be read", read)
	evict(t, b, h, "in between")
	l.told(c, h, "evicted: in between")
	close(resume)
	got := await.Receive(t, patience, "the heartbeat's answer", answers)
	if got.err != nil || got.States[0].Token != h.Token {
		t.Errorf("Heartbeat = %+v, %v; want the state before the eviction", got.Renewal, got.err)
	}
}

// What was lost while the watch was broken is told from the listing. A commit in the gap makes the
// token that the mirror knows of an old one: the revision says that the new one is over as well.
func TestToldOfWhatWasLostInAGap(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c, left := begin(t, a), begin(t, a)
	l := listen(t, a.Store, c)
	ofLeft := listen(t, a.Store, left)
	lost, committed, kept := c.Acquire("lost"), c.Acquire("committed"), c.Acquire("kept")
	left.Acquire("left")
	caughtUp(t, etcd, a)

	follow := a.HoldWatches()
	evict(t, b, lost, "in the gap")
	committed = c.Via(b).Commit(committed)
	c.Via(b).Commit(kept)
	evict(t, b, committed, "in the gap too")
	closeSession(t, b, left)
	a.BreakWatches()
	follow()
	told := map[string]etcdstore.Loss{}
	for range 2 {
		loss := await.Receive(t, patience, "a loss", l.losses)
		told[loss.Lock] = loss
	}
	if got := told["lost"]; got.Revision <= lost.Token || got.Reason != "evicted: in the gap" {
		t.Errorf("told %+v of a hold that was evicted after %d", got, lost.Token)
	}
	if got := told["committed"]; got.Revision <= committed.Token || got.Reason != "" {
		t.Errorf("told %+v of a hold that was committed, and evicted after %d; want no reason", got, committed.Token)
	}
	ofLeft.told(left, nil, "its session ended")
	l.nothing(a.Store, c)
}

// A listing that is older than what this store has done since tells nothing of that.
func TestOldListingTellsNothing(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	c := begin(t, a)
	l := listen(t, a.Store, c)
	caughtUp(t, etcd, a)
	listed, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a.After(func(_ context.Context, call faults.Call) error {
		if gets("/dlm/locks/")(call.Op) && call.Kind == faults.Get {
			once.Do(func() {
				close(listed)
				<-resume
			})
		}
		return nil
	})
	a.BreakWatches()
	storetest.Await(t, "the locks to be listed", listed)
	h := c.Acquire("l")
	fresh := listen(t, a.Store)
	session, err := a.Init(storetest.Bounded(t), etcdstore.InitArgs{Link: fresh.link, TakesLost: true})
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	close(resume)
	caughtUp(t, etcd, a)
	if got := storetest.HolderOf(t, a, "l"); got != h.Token {
		t.Fatalf("the lock is held under %d; want %d", got, h.Token)
	}
	l.nothing(a.Store, c)
	if err := a.CloseSession(storetest.Bounded(t), session.Credential); err != nil {
		t.Fatalf("CloseSession: %v", err)
	}
	got := await.Receive(t, patience, "the end of a session", fresh.losses)
	if want := (etcdstore.Loss{Session: session.ID, Revision: got.Revision, Reason: "its session ended"}); got != want || got.Revision <= h.Token {
		t.Errorf("told %+v; want %+v, after %d", got, want, h.Token)
	}
}

// A store has ended a hold before its watch told it who the holder was.
func TestToldOfAGrantBehindAnOwnChange(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	l := listen(t, a.Store, c)
	caughtUp(t, etcd, a)
	follow := a.HoldWatches()
	h := c.Via(b).Acquire("l")
	evict(t, a.Store, h, "unseen")
	follow()
	l.told(c, h, "evicted: unseen")
}

// A store has committed a section before its watch told it of the grant: the hold goes on.
func TestCommitAheadOfTheGrantIsNoLoss(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	l := listen(t, a.Store, c)
	caughtUp(t, etcd, a)
	follow := a.HoldWatches()
	h := c.Via(b).Acquire("l")
	h = c.Via(b).Commit(h)
	h = c.Commit(h)
	follow()
	caughtUp(t, etcd, a)
	l.nothing(a.Store, c)
	c.Release(h)
}

// Every link that asked is told, as long as it stands; a link that did not is not.
func TestEachLinkIsTold(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c, other := begin(t, s), begin(t, s)
	first, second, closed, others, silent := listen(t, s, c), listen(t, s, c, c), listen(t, s, c), listen(t, s, other), listen(t, s)
	closed.link.Close(true)
	closed.link.Close(false)
	args := silent.takes(c)
	args.TakesLost = false
	if _, err := s.Heartbeat(storetest.Bounded(t), args); err != nil {
		t.Fatalf("Heartbeat: %v", err)
	}
	wrong := silent.takes(c)
	wrong.Credential = c.ID + ".00000000000000000000000000000000"
	_, err := s.Heartbeat(storetest.Bounded(t), wrong)
	storetest.Want(t, "Heartbeat with another's id and a secret of one's own", err, etcdstore.ErrSessionExpired)
	if _, err := s.Heartbeat(storetest.Bounded(t), closed.takes(c)); err != nil { // that was on its way
		t.Fatalf("Heartbeat: %v", err)
	}

	h := c.Acquire("l")
	evict(t, s, h, "all")
	first.told(c, h, "evicted: all")
	second.told(c, h, "evicted: all")
	others.nothing(s, other)
	for name, l := range map[string]*listener{"closed": closed, "silent": silent} {
		select {
		case loss := <-l.losses:
			t.Errorf("the %s link was told %+v", name, loss)
		default:
		}
	}
}

// A loss is told even if nobody can say why: it is certain.
func TestToldWithoutAReason(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	c := begin(t, a)
	l := listen(t, a.Store, c)
	refused := c.Acquire("refused")
	var asked atomic.Int64
	a.Before(func(ctx context.Context, call faults.Call) error {
		switch {
		case gets("/dlm/undone/refused")(call.Op):
			asked.Add(1)
			return errors.New("refused")
		case gets("/dlm/undone/held")(call.Op):
			<-ctx.Done()
		}
		return nil
	})
	evict(t, b, refused, "why")
	l.told(c, refused, "")
	const many = 80 // four at a time, and a second each, would take 20 s
	holds := map[string]*storetest.Held{}
	for i := range many {
		h := c.Acquire(fmt.Sprintf("held/%d", i))
		holds[h.Lock] = h
	}
	began := time.Now()
	for _, h := range holds {
		evict(t, b, h, "why")
	}
	for range many {
		loss := await.Receive(t, patience, "a loss", l.losses)
		if h := holds[loss.Lock]; h == nil || loss.Revision <= h.Token {
			t.Errorf("told %+v; want one of those that are held", loss)
		}
		delete(holds, loss.Lock)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("told after %s", took)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("etcd was asked %d times why; want once whichever member, and once one that is up to date", n)
	}
}

// An own eviction is told with its reason, and etcd is not asked for it.
func TestOwnEvictionIsToldWithoutAQuestion(t *testing.T) {
	t.Parallel()
	a := openFaulty(t, startEtcd(t))
	c := begin(t, a)
	l := listen(t, a.Store, c)
	h := c.Acquire("l")
	a.Before(func(_ context.Context, call faults.Call) error {
		if gets("/dlm/undone/l")(call.Op) {
			t.Error("etcd was asked why")
		}
		return nil
	})
	evict(t, a.Store, h, "known")
	l.told(c, h, "evicted: known")
}
