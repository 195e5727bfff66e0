package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// publishResult is what came of a publish that was started.
type publishResult struct {
	etcdstore.Publication
	err error
}

// inTurn are the arguments of the lane's next publish, which waits for its turn.
func (p *publisher) inTurn(c *storetest.Client, wait time.Duration, ops ...etcdstore.Operation) etcdstore.PublishArgs {
	args := p.next(ops...)
	args.Credential, args.Request, args.Wait = c.Args(p.lock, c.Request(), 0).Credential, c.Request(), wait
	return args
}

// start starts a publish.
func (p *publisher) start(ctx context.Context, s publishStarter, args etcdstore.PublishArgs) <-chan publishResult {
	told := make(chan publishResult, 1)
	s.StartPublish(ctx, args, func(is etcdstore.Publication, err error) { told <- publishResult{is, err} })
	return told
}

type publishStarter interface {
	StartPublish(ctx context.Context, args etcdstore.PublishArgs, done func(etcdstore.Publication, error))
}

func (p *publisher) wantTold(what string, outcome etcdstore.PublishOutcome, told <-chan publishResult) etcdstore.Publication {
	p.t.Helper()
	r := await.Receive(p.t, time.Minute, what, told)
	p.want(what, outcome, r.Publication, r.err)
	return r.Publication
}

// Who waits is published in its turn, between holders, in the order of the queue.
func TestPublishInTurn(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	holder, c := begin(t, s), begin(t, s)
	p, o := newPublisher(t, s, "l", 1), newPublisher(t, other, "l", 2)
	h := holder.Acquire("l")
	holder.Append(h, "f", "held;")
	first := p.start(t.Context(), s, p.inTurn(c, etcdstore.WaitForever, appendTo("f", "one;"), appendTo("g", "x"), appendTo("f", "uno;")))
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == 1 })
	next := holder.Queue("l")
	d := begin(t, other)
	second := o.start(t.Context(), other, o.inTurn(d, time.Minute, appendTo("f", "two;")))
	storetest.Eventually(t, "three places", func() bool { return len(keys(t, etcd, "queue/l")) == 3 })
	holder.Release(h)
	one := p.wantTold("the first", etcdstore.Published, first)
	g := next.Granted()
	holder.Append(g, "f", "next;")
	holder.Release(g)
	two := o.wantTold("the second", etcdstore.Published, second)
	if one.Version.Token <= h.Token || g.Token <= one.Version.Token || two.Version.Token <= g.Token {
		t.Errorf("tokens %d, %v, %d, %v; want them to rise", h.Token, one.Version, g.Token, two.Version)
	}
	storetest.WantContents(t, s, "l", "f", "held;one;uno;next;two;")
	storetest.WantContents(t, s, "l", "g", "x")
	gone(t, etcd, "queue/")
	gone(t, etcd, "locks/")
}

// A wait that is over leaves nothing behind.
func TestPublishInTurnWaitsNoLonger(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	holder, c := begin(t, s), begin(t, s)
	p := newPublisher(t, s, "l", 1)
	h := holder.Acquire("l")
	is := p.wantTold("a bounded wait", etcdstore.Occupied, p.start(t.Context(), s, p.inTurn(c, 50*time.Millisecond, appendTo("f", "no"))))
	if is.Holder == nil || is.Holder.Token != h.Token {
		t.Errorf("told of holder %+v; want token %d", is.Holder, h.Token)
	}
	gone(t, etcd, "queue/")
	behind := p.inTurn(holder, etcdstore.WaitForever, appendTo("f", "no"))
	p.wantTold("behind its own session", etcdstore.Occupied, p.start(t.Context(), s, behind))
	holder.Release(h)
	storetest.WantNoFile(t, s, "l", "f")
	p.wantTold("a free lock", etcdstore.Published, p.start(t.Context(), s, p.inTurn(c, etcdstore.WaitForever, appendTo("f", "yes"))))
}

// A server that is gone with what it was to publish leaves a place, and a hold in its turn, that
// the repeat through another one finds.
func TestPublishInTurnThroughAnother(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	holder, c := begin(t, other), begin(t, other)
	for i, passed := range []bool{false, true} {
		lock := fmt.Sprint("l", i)
		p := newPublisher(t, s, lock, 1)
		h := holder.Acquire(lock)
		args := p.inTurn(c, etcdstore.WaitForever, appendTo("f", "once;"))
		ctx, crash := context.WithCancel(t.Context())
		p.start(ctx, s, args)
		storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/"+lock)) == 1 })
		crash()
		if passed {
			holder.Release(h)
			storetest.Eventually(t, "the hold", func() bool { return len(keys(t, etcd, "queue/"+lock)) == 0 })
		}
		again := p.start(t.Context(), other, args)
		if !passed {
			holder.Release(h)
		}
		v := p.wantTold("the repeat", etcdstore.Published, again).Version
		if is := p.wantTold("another repeat", etcdstore.Published, p.start(t.Context(), other, args)); is.Version != v {
			t.Errorf("a repeat has version %v; want %v", is.Version, v)
		}
		storetest.WantContents(t, other, lock, "f", "once;")
	}
	gone(t, etcd, "locks/")
}

// If a place is taken without a compare of the id, the late duplicate of what is published gets the
// lock, and keeps it.
func TestP3LateDuplicateTakesNoPlace(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	holder, c := begin(t, other), begin(t, other)
	p := newPublisher(t, other, "l", 1)
	p.publish(appendTo("f", "first;"))
	h := holder.Acquire("l")
	args := p.inTurn(c, etcdstore.WaitForever, appendTo("f", "once;"))
	held, release := holdPlaces(t, s, "l")
	late := p.start(t.Context(), s, args)
	storetest.Await(t, "the late place", held)
	early := p.start(t.Context(), other, args)
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == 1 })
	holder.Release(h)
	p.wantTold("the repeat", etcdstore.Published, early)
	h = holder.Acquire("l") // so that the late one would have to wait
	release()
	p.wantTold("the late duplicate", etcdstore.Published, late)
	gone(t, etcd, "queue/l")
	holder.Release(h)
	storetest.WantContents(t, other, "l", "f", "first;once;")
}

// holdPlaces holds back what takes a place in a lock's queue.
func holdPlaces(t *testing.T, s *faulty, lock string) (held <-chan struct{}, release func()) {
	t.Helper()
	return hold(t, s.Faults, puts("/dlm/queue/"+lock))
}

// A condition is evaluated in the publish's turn, when nobody else can make it false.
func TestPublishInTurnIf(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	holder, c := begin(t, s), begin(t, s)
	p := newPublisher(t, s, "l", 1)
	h := holder.Acquire("l")
	holder.Append(h, "f", "held;")
	yes := p.inTurn(c, etcdstore.WaitForever, appendTo("f", "yes;"))
	yes.If = ifSize("f", 5)
	told := p.start(t.Context(), s, yes)
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == 1 })
	o := newPublisher(t, s, "l", 2)
	no := o.inTurn(c, etcdstore.WaitForever, appendTo("f", "no;"))
	no.If = ifSize("f", 5)
	refused := o.start(t.Context(), s, no)
	storetest.Eventually(t, "two places", func() bool { return len(keys(t, etcd, "queue/l")) == 2 })
	holder.Release(h)
	p.wantTold("what is so", etcdstore.Published, told)
	is := o.wantTold("what is not so any more", etcdstore.Conflict, refused)
	if len(is.Files) != 1 || is.Files[0].Size != 9 {
		t.Errorf("a conflict tells of %+v; want a size of 9", is.Files)
	}
	gone(t, etcd, "locks/")
	storetest.WantContents(t, s, "l", "f", "held;yes;")
}

// The end of its session rules a publish out, wherever it stands.
func TestP4SessionsEnd(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	holder, c := begin(t, other), begin(t, other)
	p := newPublisher(t, s, "l", 1)

	held, release := hold(t, s.Faults, puts("/dlm/bundles/l")) // sent before its session ends, and late
	late := p.inTurn(c, etcdstore.WaitForever, appendTo("f", "no"))
	told := p.start(t.Context(), s, late)
	storetest.Await(t, "the publish", held)
	h := holder.Acquire("m")
	o := newPublisher(t, other, "m", 2)
	waits := o.start(t.Context(), other, o.inTurn(c, etcdstore.WaitForever, appendTo("f", "no")))
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/m")) == 1 })
	closeSession(t, other, c)
	r := await.Receive(t, time.Minute, "the end of the wait", waits)
	storetest.Want(t, "a wait whose session ended", r.err, etcdstore.ErrSessionExpired)
	_, err := other.Publish(storetest.Bounded(t), late)
	storetest.Want(t, "a repeat", err, etcdstore.ErrSessionExpired)
	release()
	r = await.Receive(t, time.Minute, "the late one", told)
	storetest.Want(t, "the late one", r.err, etcdstore.ErrSessionExpired)
	holder.Release(h)
	for _, lock := range []string{"l", "m"} {
		storetest.WantNoFile(t, other, lock, "f")
	}
}

// The end of its session says nothing of a publish of which nobody can tell whether it was made
// before: it may have been.
func TestSupersededBeforeItsSessionEnds(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	p := newPublisher(t, s, "l", 1)
	args := p.inTurn(c, etcdstore.WaitForever, appendTo("f", "made;"))
	p.wantTold("the first", etcdstore.Published, p.start(t.Context(), s, args))
	p.publish(appendTo("f", "next;"))
	closeSession(t, s, c)
	_, err := openStore(t, etcd).Publish(storetest.Bounded(t), args) // through one that never knew the session
	storetest.Want(t, "a repeat", err, etcdstore.ErrOutcomeUnknown)
	if errors.Is(err, etcdstore.ErrSessionExpired) {
		t.Errorf("a repeat of what was published: %v; want no word of its session", err)
	}
}

// Who is evicted in its turn has not published, and waits for another one.
func TestPublishInTurnEvicted(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	other := openStore(t, etcd)
	holder, c := begin(t, other), begin(t, other)
	p := newPublisher(t, s, "l", 1)
	h := holder.Acquire("l")
	told := p.start(t.Context(), s, p.inTurn(c, etcdstore.WaitForever, appendTo("f", "once;")))
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == 1 })
	held, release := hold(t, s.Faults, puts("/dlm/commits/l")) // the finish
	holder.Release(h)
	storetest.Await(t, "the finish", held)
	evicted, err := other.Evict(storetest.Bounded(t), "l", 0, "a test")
	if err != nil || evicted == nil {
		t.Fatalf("Evict = %v, %v", evicted, err)
	}
	release()
	v := p.wantTold("the second turn", etcdstore.Published, told).Version
	if v.Token == evicted.Token {
		t.Errorf("published under token %d, which was evicted", v.Token)
	}
	storetest.WantContents(t, other, "l", "f", "once;")
	gone(t, etcd, "locks/")
}

// Many who wait here one behind the other are published in a few commits, behind who waits before
// them, and in the order of their places.
func TestP6Run(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	holder := begin(t, s)
	h := holder.Acquire("l")
	const many = 70
	var told []<-chan publishResult
	want := ""
	take := func(i int) {
		p := newPublisher(t, s, "l", byte(i+1))
		text := fmt.Sprintf("%d;", i)
		want += text
		told = append(told, p.start(t.Context(), s, p.inTurn(begin(t, s), time.Minute, appendTo("f", text))))
		storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == i+1 })
	}
	for i := range many / 2 {
		take(i)
	}
	next := holder.Queue("l")
	want += "held;"
	told = append(told, nil)
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == many/2+1 })
	for i := many/2 + 1; i < many; i++ {
		take(i)
	}
	caughtUp(t, etcd, s)
	before := revision(t, etcd)
	holder.Release(h)
	g := next.Granted()
	if n := g.Token - before; n > 5+4 { // the folds of this store's come along
		t.Errorf("it took %d revisions until the holder was served", n)
	}
	holder.Append(g, "f", "held;")
	holder.Release(g)
	last := etcdstore.Version{}
	for i, told := range told {
		if told == nil {
			continue
		}
		r := await.Receive(t, time.Minute, "an answer", told)
		if r.err != nil || r.Outcome != etcdstore.Published {
			t.Fatalf("the publish at %d: %+v, %v", i, r.Publication, r.err)
		}
		if v := r.Version; v.Token < last.Token || v.Token == last.Token && v.N <= last.N {
			t.Errorf("the publish at %d has version %v, behind %v", i, v, last)
		}
		last = r.Version
	}
	storetest.WantContents(t, s, "l", "f", want)
	gone(t, etcd, "queue/")
	gone(t, etcd, "locks/l")
}

// If a run takes two places of one lane, etcd refuses it all: their notes are one key.
func TestP16TwoOfOneLane(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	for name, c := range map[string]etcdstore.Condition{"plain": {}, "conditional": ifAbsent("g")} {
		twoOfOneLane(t, etcd, s, name, c)
	}
}

func twoOfOneLane(t *testing.T, etcd *clientv3.Client, s *etcdstore.Store, lock string, condition etcdstore.Condition) {
	t.Helper()
	holder, c := begin(t, s), begin(t, s)
	h := holder.Acquire(lock)
	p, o := newPublisher(t, s, lock, 1), newPublisher(t, s, lock, 2)
	var told []<-chan publishResult
	for i, next := range []*publisher{o, p, p, o} {
		text := fmt.Sprintf("%d;", i)
		args := next.inTurn(c, time.Minute, appendTo("f", text))
		args.If = condition
		told = append(told, next.start(t.Context(), s, args))
		storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/"+lock)) == i+1 })
	}
	holder.Release(h)
	for i, told := range told {
		r := await.Receive(t, time.Minute, "an answer", told)
		if i == 1 && errors.Is(r.err, etcdstore.ErrOutcomeUnknown) {
			continue // it looked too late what became of it: its lane has gone on
		}
		p.want("a publish", etcdstore.Published, r.Publication, r.err)
	}
	storetest.WantContents(t, s, lock, "f", "0;1;2;3;")
	gone(t, etcd, "locks/"+lock)
}

// What waits in a store's memory is bounded, and counted only as long as it waits.
func TestPublishInTurnBounded(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	holder := begin(t, s)
	large := string(make([]byte, etcdstore.MaxPublish))
	h := holder.Acquire("l")
	ctx, cancel := context.WithCancel(t.Context())
	const most = 64
	var told []<-chan publishResult
	next := func(lane int) <-chan publishResult {
		p := newPublisher(t, s, "l", byte(lane+1))
		return p.start(ctx, s, p.inTurn(begin(t, s), etcdstore.WaitForever, appendTo("f", large)))
	}
	for i := range most {
		told = append(told, next(i))
	}
	storetest.Eventually(t, "all to wait", func() bool { return len(keys(t, etcd, "queue/l")) == most })
	r := await.Receive(t, time.Minute, "the refusal", next(most))
	storetest.Want(t, "one too many", r.err, etcdstore.ErrLimit)
	cancel()
	for _, told := range told {
		await.Receive(t, time.Minute, "the end of a wait", told)
	}
	p := newPublisher(t, s, "l", byte(most+2))
	last := p.start(t.Context(), s, p.inTurn(begin(t, s), 100*time.Millisecond, appendTo("f", large)))
	p.wantTold("one when none waits", etcdstore.Occupied, last)
	holder.Release(h)
}

// What is counted as coming for a publish is not counted any more some time after that has come to
// nothing.
func TestPublishGivesItsRoomBack(t *testing.T) {
	t.Parallel()
	etcd, _ := smallEtcd(t)
	s := openStore(t, etcd)
	holder, c := begin(t, s), begin(t, s)
	p := newPublisher(t, s, "l", 1)
	p.publish(appendTo("f", "x"))
	large := string(make([]byte, etcdstore.MaxPublish))
	comesTo := func(what string, outcome etcdstore.PublishOutcome, change func(*etcdstore.PublishArgs)) {
		t.Helper()
		for range 20 { // more than fits into the file
			storetest.Eventually(t, what, func() bool {
				h := holder.Acquire("l")
				args := p.next(appendTo("f", large))
				change(&args)
				if args.Wait == etcdstore.WaitForever || args.Credential == "" {
					holder.Release(h)
				}
				r := await.Receive(t, time.Minute, what, p.start(t.Context(), s, args))
				if args.Credential != "" && args.Wait != etcdstore.WaitForever {
					holder.Release(h)
				}
				if r.err != nil && !errors.Is(r.err, etcdstore.ErrNoSpace) {
					t.Fatalf("%s: %v", what, r.err)
				}
				return r.err == nil && r.Outcome == outcome
			})
		}
	}
	inTurn := func(args *etcdstore.PublishArgs, wait time.Duration) {
		args.Credential, args.Request, args.Wait = c.Args("l", c.Request(), 0).Credential, c.Request(), wait
	}
	comesTo("a wait that is over", etcdstore.Occupied, func(args *etcdstore.PublishArgs) { inTurn(args, time.Millisecond) })
	comesTo("a condition that does not hold", etcdstore.Conflict, func(args *etcdstore.PublishArgs) { args.If = ifSize("f", 100) })
	comesTo("one of a session", etcdstore.Conflict, func(args *etcdstore.PublishArgs) {
		inTurn(args, etcdstore.WaitForever)
		args.If = ifSize("f", 100)
	})
	p.publish(appendTo("f", "y"))
	storetest.WantContents(t, s, "l", "f", "xy")
}

// A publish that does not say when it was born is of now, however much was forgotten before, and
// whatever stands in its way.
func TestPublishOfNow(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	holder, c := begin(t, s), begin(t, s)
	newPublisher(t, s, "l", 9).publish(appendTo("g", "x"))
	if err := s.Forget(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	p := newPublisher(t, s, "l", 1)
	p.id.Born = 0
	h := holder.Acquire("l")
	got, err := s.Publish(storetest.Bounded(t), p.next(appendTo("f", "no")))
	p.want("while it is held", etcdstore.Occupied, got, err)
	told := p.start(t.Context(), s, p.inTurn(c, time.Minute, appendTo("f", "turn;")))
	storetest.Eventually(t, "a place", func() bool { return len(keys(t, etcd, "queue/l")) == 1 })
	holder.Release(h)
	p.wantTold("in its turn", etcdstore.Published, told)
	q := newPublisher(t, s, "l", 2)
	q.id.Born = 0
	q.wantIf(etcdstore.Conflict, ifAbsent("f"), appendTo("f", "no"))
	q.wantIf(etcdstore.Published, ifSize("f", 5), appendTo("f", "now;"))
	storetest.WantContents(t, s, "l", "f", "turn;now;")
}
