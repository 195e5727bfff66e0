package etcdstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

const linger = etcdstore.MinLinger

// lingerer is a session that lingers, and the link that it was begun over.
type lingerer struct {
	*testing.T
	etcdstore.Session
	link *etcdstore.Link
}

// linked is a store that links can be made of.
type linked interface {
	storetest.Subject
	NewLink(tell func(etcdstore.Loss)) *etcdstore.Link
}

func newLink(s linked) *etcdstore.Link { return s.NewLink(func(etcdstore.Loss) {}) }

func beginLingering(t *testing.T, s linked) *lingerer {
	t.Helper()
	link := newLink(s)
	session, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{TTL: time.Minute, Linger: linger, Link: link})
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := s.CloseSession(ctx, session.Credential); err != nil && !errors.Is(err, etcdstore.ErrClosed) {
			t.Errorf("close a session: %v", err)
		}
	})
	return &lingerer{T: t, Session: session, link: link}
}

// beat sends a heartbeat, and checks the number that is recorded then.
func (l *lingerer) beat(s linked, number uint64, link *etcdstore.Link, want uint64) {
	l.Helper()
	r, err := s.Heartbeat(storetest.Bounded(l.T), etcdstore.HeartbeatArgs{Credential: l.Credential, Attachment: number, Link: link})
	if err != nil || r.Attachment != want || r.TTL < time.Minute {
		l.Fatalf("Heartbeat %d = %+v, %v; want it renewed, and attachment %d", number, r, err, want)
	}
}

// alive reports whether a session is there.
func (l *lingerer) alive(etcd *clientv3.Client) bool {
	l.Helper()
	resp, err := etcd.Get(storetest.Bounded(l.T), "/dlm/sessions/"+l.ID)
	if err != nil {
		l.Fatalf("get: %v", err)
	}
	return len(resp.Kvs) == 1
}

// ends waits for a session's end.
func (l *lingerer) ends(etcd *clientv3.Client) {
	l.Helper()
	storetest.Eventually(l.T, "the session's end", func() bool { return !l.alive(etcd) })
}

// outlasts checks that a session lives when another one, which is left only now, has lingered out.
func (l *lingerer) outlasts(s linked, etcd *clientv3.Client) {
	l.Helper()
	other := beginLingering(l.T, s)
	other.link.Close(true)
	other.ends(etcd)
	if !l.alive(etcd) {
		l.Error("the session has ended")
	}
}

// A session whose client's side has closed the stream ends when it has lingered, and with it what
// it holds and waits for; one whose stream broke, or was ended by this side, lives its TTL.
func TestLinger(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	left, broken := beginLingering(t, s), beginLingering(t, s)
	for lock, l := range map[string]*lingerer{"gone": left, "broken": broken} {
		g, err := s.Acquire(storetest.Bounded(t), etcdstore.AcquireArgs{
			Credential: l.Credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: "1"},
		})
		if err != nil || g.Outcome != etcdstore.Granted {
			t.Fatalf("Acquire = %+v, %v", g, err)
		}
	}
	next := begin(t, s).Queue("gone")
	broken.link.Close(false)
	broken.link.Close(true) // too late
	began := time.Now()
	left.link.Close(true)
	next.Granted()
	if took := time.Since(began); took < linger {
		t.Errorf("the lock was passed on after %v, within the linger of %v", took, linger)
	} else {
		t.Logf("passed on %v after the close", took.Round(time.Millisecond))
	}
	_, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: left.Credential, Attachment: 2})
	storetest.Want(t, "Heartbeat of a session that has lingered out", err, etcdstore.ErrSessionExpired)
	if !broken.alive(etcd) || storetest.HolderOf(t, s, "broken") == 0 {
		t.Error("a session whose stream broke has ended")
	}
}

// H16a: whichever is committed first wins, the linger's end or the heartbeat that attaches anew. If
// the lease were revoked because nobody has renewed it, a heartbeat between the look and the
// revocation would be answered, and its session end.
func TestH16aLingerBesideAttachment(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	t.Run("attached first", func(t *testing.T) {
		t.Parallel()
		a, b := openFaulty(t, etcd), openStore(t, etcd)
		l := beginLingering(t, a)
		reached, release := hold(t, a.Faults, puts("/dlm/sessions/"+l.ID))
		l.link.Close(true)
		storetest.Await(t, "the linger's end", reached)
		l.beat(b, 2, newLink(b), 2)
		release()
		l.outlasts(b, etcd)
		l.beat(b, 2, nil, 2)
	})
	t.Run("marked first", func(t *testing.T) {
		t.Parallel()
		a, b := openFaulty(t, etcd), openStore(t, etcd)
		l := beginLingering(t, a)
		revoking, release := holdKind(t, a.Faults, faults.Revoke)
		l.link.Close(true)
		storetest.Await(t, "the revocation", revoking)
		beat := func(number uint64) {
			t.Helper()
			_, err := b.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: l.Credential, Attachment: number, Link: newLink(b)})
			storetest.Want(t, "Heartbeat of a session that is over", err, etcdstore.ErrSessionExpired)
		}
		beat(2) // whatever b has heard of
		caughtUp(t, etcd, b)
		beat(1)
		beat(0)
		release()
		l.ends(etcd)
	})
}

// holdKind is hold, for a kind of call.
func holdKind(t *testing.T, f *faults.Faults, kind faults.Kind) (reached <-chan struct{}, release func()) {
	t.Helper()
	held, released := make(chan struct{}, 1), make(chan struct{})
	f.Before(func(ctx context.Context, c faults.Call) error {
		if c.Kind == kind {
			select {
			case held <- struct{}{}:
			default:
			}
			select {
			case <-released:
			case <-ctx.Done():
				return ctx.Err() // whose caller has given up must not go on
			}
		}
		return nil
	})
	return held, func() { close(released) }
}

// H16b: a stream that only carries calls of a session, as of a command that appends with its
// credential, counts for nothing: it neither keeps the session nor ends it.
func TestH16bStreamThatOnlyCarriesCalls(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	l := beginLingering(t, s)
	child := newLink(s)
	l.beat(s, 0, child, 1)
	child.Close(true)
	l.outlasts(s, etcd)
	other := newLink(s)
	l.beat(s, 0, other, 1)
	l.link.Close(true)
	l.beat(s, 0, other, 1)
	l.ends(etcd)
}

// H16c: a heartbeat that was on its way while its client moved on does not take the session back to
// the stream that was left.
func TestH16cLateHeartbeatAttachesNothing(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStore(t, etcd)
	l := beginLingering(t, a)
	second, third := newLink(b), newLink(a)
	l.beat(b, 2, second, 2)
	l.beat(a, 3, third, 3)
	caughtUp(t, etcd, b)
	l.beat(b, 2, second, 3)
	l.beat(a, 1, l.link, 3)
	second.Close(true)
	l.link.Close(true)
	l.outlasts(a, etcd)
	third.Close(true)
	l.ends(etcd)
}

// H16d: a client that goes over to calls of their own is attached by them, to no stream: the close
// of its last one does not end the session.
func TestH16dUnaryHeartbeatAttaches(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	l := beginLingering(t, s)
	l.beat(s, 2, nil, 2)
	l.link.Close(true)
	l.outlasts(s, etcd)
}

// H16e: a client is killed right after a heartbeat that attaches it: the stream's end is seen
// first.
func TestH16eAttachedAfterTheClose(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	broken := beginLingering(t, s)
	link := newLink(s)
	link.Close(false)
	broken.beat(s, 2, link, 2)

	l := beginLingering(t, s)
	link = newLink(s)
	link.Close(true)
	l.beat(s, 2, link, 2)
	l.ends(etcd)
	if !broken.alive(etcd) {
		t.Error("a session whose stream broke has ended")
	}

	link = newLink(s)
	link.Close(true)
	session, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{TTL: time.Minute, Linger: linger, Link: link})
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	(&lingerer{T: t, Session: session}).ends(etcd)
}

// The heartbeat's context ends with its stream. The attachment is known all the same.
func TestAttachedWhileTheStreamEnds(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	l := beginLingering(t, s)
	reached, release := hold(t, s.Faults, puts("/dlm/sessions/"+l.ID))
	link := newLink(s)
	ctx, cancel := context.WithCancel(t.Context())
	beaten := make(chan struct{})
	go func() {
		defer close(beaten)
		_, _ = s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: l.Credential, Attachment: 2, Link: link})
	}()
	storetest.Await(t, "the attachment", reached)
	cancel()
	link.Close(true)
	release()
	storetest.Await(t, "the heartbeat's end", beaten)
	l.ends(etcd)
}

// An attachment is committed, and its answer is lost: the heartbeat's repeat finds it.
func TestAttachmentWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	l := beginLingering(t, s)
	link := newLink(s)
	lost := lose(s.Faults, puts("/dlm/sessions/"+l.ID))
	_, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: l.Credential, Attachment: 2, Link: link})
	if err == nil || errors.Is(err, etcdstore.ErrSessionExpired) {
		t.Fatalf("Heartbeat whose answer is lost: %v; want an indeterminate error", err)
	}
	storetest.Await(t, "the loss", lost)
	l.link.Close(true)
	l.beat(s, 2, link, 2)
	l.outlasts(s, etcd)
	link.Close(true)
	l.ends(etcd)
}

// A store marks a session, and crashes before it has revoked the lease: another one does.
func TestMarkedByAStoreThatCrashed(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	l := beginLingering(t, a)
	revoking, _ := holdKind(t, a.Faults, faults.Revoke)
	l.link.Close(true)
	storetest.Await(t, "the revocation", revoking)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !l.alive(etcd) {
		t.Fatal("the session has ended: the store did not crash in between")
	}
	openStore(t, etcd) // which finds it in its first listing
	l.ends(etcd)
}

// A store that sees a mark by its watch revokes the lease as well.
func TestMarkSeenByAnother(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	l := beginLingering(t, a)
	openStore(t, etcd)
	revoking, release := holdKind(t, a.Faults, faults.Revoke)
	defer release()
	l.link.Close(true)
	storetest.Await(t, "the revocation", revoking)
	l.ends(etcd)
}

// A store that stops ends no session: its clients go elsewhere, and it cannot know how soon.
func TestClosedStoreEndsNoSession(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStore(t, etcd)
	l := beginLingering(t, a)
	l.link.Close(true)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	l.outlasts(b, etcd)
	l.beat(b, 2, nil, 2)
}

// A linger is over while etcd cannot be reached: it is decided later.
func TestLingerOverWithoutEtcd(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	kept, left := beginLingering(t, s), beginLingering(t, s)
	tried := make(chan struct{}, 100)
	s.Before(func(_ context.Context, c faults.Call) error {
		if c.Kind == faults.Get && gets("/dlm/sessions/")(c.Op) {
			select {
			case tried <- struct{}{}:
			default:
			}
			return faults.ErrLost
		}
		return nil
	})
	kept.link.Close(true)
	left.link.Close(true)
	for range 2 {
		storetest.Await(t, "a linger's end to be tried", tried)
	}
	other := openStore(t, etcd)
	kept.beat(other, 2, nil, 2)
	s.Before(nil)
	left.ends(etcd)
	if !kept.alive(etcd) {
		t.Error("a session that was attached elsewhere meanwhile has ended")
	}
}

// Nothing is written for a session that does not linger, nor before it moves; then one put.
func TestLingerWritesOnceAMove(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	plain, l := begin(t, s), beginLingering(t, s)
	before := revision(t, etcd)
	l.beat(s, 1, l.link, 1)
	link := newLink(s)
	r, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: plain.Credential, Attachment: 7, Link: link})
	if err != nil || r.Attachment != 0 {
		t.Errorf("Heartbeat of a session that does not linger = %+v, %v; want no attachment", r, err)
	}
	if got := revision(t, etcd); got != before {
		t.Errorf("heartbeats without a move made %d revisions", got-before)
	}
	for range 3 {
		l.beat(s, 2, link, 2)
	}
	if got := revision(t, etcd); got != before+1 {
		t.Errorf("a move made %d revisions; want 1", got-before)
	}
	link.Close(true)
	l.ends(etcd)
	if resp, err := etcd.Get(storetest.Bounded(t), "/dlm/sessions/"+plain.ID); err != nil || len(resp.Kvs) != 1 {
		t.Errorf("the session that does not linger: %v, %v", resp, err)
	}
}

// Under etcd's alarm nothing can be put: neither that a session is attached, nor that it is over.
// Its lease is renewed all the same, and its client learns that it has to try again.
func TestLingerWithoutSpace(t *testing.T) {
	t.Parallel()
	etcd, ops := smallEtcd(t)
	s := openStore(t, etcd)
	l, left := beginLingering(t, s), beginLingering(t, s)
	fill(t, etcd)
	link := newLink(s)
	l.beat(s, 2, link, 1)
	left.link.Close(true)
	l.beat(s, 2, link, 1)
	empty(t, etcd, ops)
	l.beat(s, 2, link, 2)
	l.link.Close(true)
	left.ends(etcd)
	storetest.Eventually(t, "the store to see that there is room", s.HasRoom)
	l.outlasts(s, etcd)
	link.Close(true)
	l.ends(etcd)
}

// At 90 % of the space, where new sessions are refused, those that there are go on lingering.
func TestLingerNearlyFull(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	l := beginLingering(t, s)
	s.Status(func(st *clientv3.StatusResponse) { st.DbSizeInUse = st.DbSizeQuota * 91 / 100 })
	storetest.Eventually(t, "new data to be refused", func() bool {
		_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
		return errors.Is(err, etcdstore.ErrNoSpace)
	})
	link := newLink(s)
	l.beat(s, 2, link, 2)
	link.Close(true)
	l.ends(etcd)
}

// What a store knows of a session's acquisitions outlives the session's being attached anew: they
// are still ended by the next heartbeat, and late duplicates still refused.
func TestAttachedSessionIsKnown(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, elsewhere := openStore(t, etcd), openStore(t, etcd)
	for name, via := range map[string]linked{"here": s, "elsewhere": elsewhere} {
		l := beginLingering(t, s)
		ctx := storetest.Bounded(t)
		acquire := func(request string) (etcdstore.Grant, error) {
			return s.Acquire(ctx, etcdstore.AcquireArgs{
				Credential: l.Credential, Acquisition: etcdstore.Acquisition{Lock: name + "/" + request, Request: request},
			})
		}
		g, err := acquire("1")
		if err != nil {
			t.Fatal(err)
		}
		storetest.Want(t, "Release", s.Release(ctx, etcdstore.Section{Credential: l.Credential, Lock: name + "/1", Token: g.Token}), nil)
		if _, err := acquire("2"); err != nil {
			t.Fatal(err)
		}
		l.beat(via, 2, newLink(via), 2)
		caughtUp(t, etcd, s)
		_, err = acquire("1")
		storetest.Want(t, "a late Acquire of what was released, attached "+name, err, etcdstore.ErrLockExpired)
		if _, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: l.Credential, Highest: 2, Attachment: 2}); err != nil {
			t.Fatal(err)
		}
		if storetest.HolderOf(t, s, name+"/2") != 0 {
			t.Errorf("attached %s: what the heartbeat did not list is still held", name)
		}
	}
}

func TestLingerBounds(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	for _, test := range []struct {
		ttl, linger time.Duration
		want        error
	}{
		{0, etcdstore.DefaultTTL, nil},
		{0, etcdstore.DefaultTTL + time.Millisecond, etcdstore.ErrInvalidArgument},
		{etcdstore.MinTTL, etcdstore.MinLinger, nil},
		{etcdstore.MinTTL, etcdstore.MinTTL, nil},
		{etcdstore.MinTTL, etcdstore.MinTTL + 1, etcdstore.ErrInvalidArgument},
		{time.Minute, etcdstore.MinLinger - 1, etcdstore.ErrInvalidArgument},
		{time.Minute, -1, etcdstore.ErrInvalidArgument},
	} {
		_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{TTL: test.ttl, Linger: test.linger, Link: newLink(s)})
		storetest.Want(t, "Init with linger "+test.linger.String()+" and TTL "+test.ttl.String(), err, test.want)
	}
}

// A link over which any number of sessions come and go remembers few of those that have ended.
func TestLinkForgetsEndedSessions(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	link := newLink(s)
	for range 300 {
		session, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{Linger: linger, Link: link})
		if err == nil {
			err = s.CloseSession(storetest.Bounded(t), session.Credential)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := link.Attached(); n > 150 {
		t.Errorf("%d sessions are remembered, which have ended", n)
	}
}

// Where lingering is not switched on there may be servers that attach nothing: a session lives its
// TTL then, and is told so.
func TestLingerSwitchedOff(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	putKey(t, etcd, "/dlm/horizon", "0") // of an older server
	s := openStore(t, etcd)
	l := beginLingering(t, s)
	l.link.Close(true)
	for n := uint64(1); n < 3; n++ {
		l.beat(s, n, newLink(s), 0)
	}
	if !l.alive(etcd) {
		t.Error("the session is over")
	}
}
