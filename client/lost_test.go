package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

const (
	longTTL  = 10 * time.Minute // whose heartbeats tell nothing while a test lasts
	shortTTL = 6 * time.Second  // whose heartbeats come while a test lasts
)

// lostBecause checks why a hold was lost.
func lostBecause(t *testing.T, l *client.Lock, reason string) {
	t.Helper()
	cause := ended(t, l.Context())
	is(t, cause, client.ErrLockExpired)
	if !strings.Contains(cause.Error(), reason) {
		t.Errorf("the hold was lost because of %q, want %q", cause, reason)
	}
}

// A holder learns of its eviction at once, whatever the TTL, and whichever server it was made
// through; so it does of the end of its session.
func TestEvictionIsToldSoon(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithFacades(2))
	c := open(t, client.Config{Endpoints: n.Addrs()[:1], TTL: longTTL})
	for i, addr := range n.Addrs() {
		operator := open(t, client.Config{Endpoints: []string{addr}})
		l := lock(t, c, fresh(t))
		_, err := operator.Evict(t.Context(), l.Name(), l.Token(), "because")
		must(t, err)
		lostBecause(t, l, "evicted: because")
		is(t, l.Unlock(t.Context()), client.ErrLockExpired)

		l, other := lock(t, c, fresh(t)), lock(t, c, fresh(t))
		session := state(t, operator, l.Name()).GetHolder().GetSession()
		api := dlmv1.NewLockServiceClient(n.Dial(i))
		_, err = api.Close(t.Context(), &dlmv1.CloseRequest{Session: l.Credential()})
		must(t, err)
		lostBecause(t, l, "session")
		is(t, context.Cause(l.Context()), client.ErrSessionExpired)
		is(t, ended(t, other.Context()), client.ErrSessionExpired)
		l = lock(t, c, fresh(t))
		if state(t, operator, l.Name()).GetHolder().GetSession() == session {
			t.Error("the session was not replaced")
		}
		must(t, l.Unlock(t.Context()))
	}
}

// A client that has moved to another server is told by that one.
func TestLossIsToldByTheNextServer(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithFacades(3))
	c := open(t, client.Config{Endpoints: n.Addrs()[:2], TTL: longTTL})
	operator := open(t, client.Config{Endpoints: n.Addrs()[2:]})
	before, after := lock(t, c, fresh(t)), lock(t, c, fresh(t))
	n.StopFacade(0)
	_, err := operator.Evict(t.Context(), before.Name(), before.Token(), "while it moved")
	must(t, err)
	is(t, ended(t, before.Context()), client.ErrLockExpired)
	_, err = operator.Evict(t.Context(), after.Name(), after.Token(), "moved")
	must(t, err)
	is(t, ended(t, after.Context()), client.ErrLockExpired)
	storetest.Eventually(t, "the server to tell, and not a heartbeat that comes with a move", func() bool {
		l := lock(t, c, fresh(t))
		_, err = operator.Evict(t.Context(), l.Name(), l.Token(), "settled")
		must(t, err)
		return strings.Contains(ended(t, l.Context()).Error(), "evicted: settled")
	})
}

// untold is a store of before: it tells nobody, and does not say as of when a heartbeat speaks.
type untold struct{ facade.Store }

func (s untold) Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error) {
	args.TakesLost = false
	session, err := s.Store.Init(ctx, args)
	session.Revision = 0
	return session, err
}

func (s untold) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	args.TakesLost = false
	renewal, err := s.Store.Heartbeat(ctx, args)
	renewal.Revision = 0
	return renewal, err
}

// With a server that does not tell, a loss is learned from the next heartbeat.
func TestLossIsLearnedFromAHeartbeat(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(facade.Store) facade.Store{
		"of a server of before": func(s facade.Store) facade.Store { return untold{s} },
		"of a server that lets its client down": func(s facade.Store) facade.Store {
			return silent{s}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := facadetest.Start(t, facadetest.WithStore(wrap))
			c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 2 * time.Second})
			l := lock(t, c, "l")
			_, err := c.Evict(t.Context(), "l", l.Token(), "unheard")
			must(t, err)
			lostBecause(t, l, `"l" is not held under token`)
		})
	}
}

// silent is a store that tells nobody.
type silent struct{ facade.Store }

func (s silent) NewLink(func(etcdstore.Loss)) *etcdstore.Link {
	return s.Store.NewLink(func(etcdstore.Loss) {})
}

// A release is carried out and its answer lost. The server that the client moves to says that the
// lock is not held any more, and answers the release after that: nothing was lost.
func TestOwnReleaseIsNoLoss(t *testing.T) {
	t.Parallel()
	lost := &losing{beats: make(chan struct{})}
	n := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithStore(func(s facade.Store) facade.Store {
		return &losingStore{Store: s, losing: lost}
	}))
	c := open(t, client.Config{Endpoints: n.Addrs(), TTL: shortTTL})
	for range 2 {
		l := lock(t, c, "l")
		must(t, l.Append(t.Context(), "f", []byte("x")))
		lost.arm(t)
		must(t, l.Unlock(t.Context()))
		if cause := context.Cause(l.Context()); !errors.Is(cause, client.ErrEnded) {
			t.Fatalf("the hold ended with %v", cause)
		}
	}
	reads(t, c, "l", "f", "xx")
}

// losing loses the answer of a release, and holds its repeat back until the client's heartbeats
// were answered on the server that it has moved to.
type losing struct {
	mu     sync.Mutex
	t      *testing.T
	armed  bool
	passed int           // heartbeats that were answered since
	beats  chan struct{} // closed when that is enough
}

func (l *losing) arm(t *testing.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t, l.armed, l.passed, l.beats = t, true, 0, make(chan struct{})
}

type losingStore struct {
	facade.Store
	*losing
}

func (s *losingStore) StartRelease(ctx context.Context, sec etcdstore.Section, done func(error)) {
	s.mu.Lock()
	first, beats := s.armed, s.beats
	s.armed = false
	s.mu.Unlock()
	if first {
		s.Store.StartRelease(ctx, sec, func(error) { done(etcdstore.ErrNoQuorum) })
		return
	}
	go func() {
		select {
		case <-beats:
		case <-time.After(patience):
			s.t.Error("no heartbeats")
		}
		s.Store.StartRelease(ctx, sec, done)
	}()
}

func (s *losingStore) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	renewal, err := s.Store.Heartbeat(ctx, args)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(renewal.States) > 0 && renewal.States[0].State == etcdstore.None {
		if s.passed++; s.passed == 2 {
			close(s.beats)
		}
	}
	return renewal, err
}

// told is a client of a scripted server, that holds a lock under token 1.
type told struct {
	*testing.T
	s *scripted
	c *client.Client
	l *client.Lock
}

func newTold(t *testing.T, answer func(*dlmv1.StreamRequest) *dlmv1.StreamResponse) *told {
	t.Helper()
	s := startScripted(t, answer)
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: longTTL})
	return &told{T: t, s: s, c: c, l: lock(t, c, "l")}
}

// lost tells that the acquisition of a request holds nothing as of a revision, and returns when the
// client has taken that in.
func (d *told) lost(request string, rev int64) {
	d.Helper()
	d.s.tell(&dlmv1.Lost{Session: "id", Lock: "l", Request: request, Revision: rev, Reason: "evicted: told"})
	d.roundTrip()
}

func (d *told) roundTrip() {
	d.Helper()
	_, err := d.c.Read(d.Context(), "l", "f")
	must(d.T, err)
}

func (d *told) holds() {
	d.Helper()
	if d.l.Context().Err() != nil {
		d.Fatalf("the hold ended: %v", context.Cause(d.l.Context()))
	}
}

// committed is the answer to a commit.
func committed(token int64) *dlmv1.StreamResponse {
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Commit{Commit: &dlmv1.CommitResponse{Token: token}}}
}

func TestClientsSayThatTheyTakeLosses(t *testing.T) {
	t.Parallel()
	s := startScripted(t, usually)
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 2 * time.Second})
	l := lock(t, c, "l")
	storetest.Eventually(t, "heartbeats", func() bool { return len(s.received(isHeartbeat)) > 1 })
	for _, r := range s.received(func(*dlmv1.StreamRequest) bool { return true }) {
		if r.GetInit() != nil && !r.GetInit().GetTakesLost() || isHeartbeat(r) && !r.GetHeartbeat().GetTakesLost() {
			t.Errorf("%v does not say so", r)
		}
	}
	must(t, l.Unlock(t.Context()))
}

// What is told of something else, or of before, changes nothing.
func TestLossOfSomethingElse(t *testing.T) {
	t.Parallel()
	d := newTold(t, when(isCommit, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return committed(5) }))
	for _, m := range []*dlmv1.Lost{
		{},
		{Session: "another", Lock: "l", Request: "1", Revision: 9},
		{Session: "another", Revision: 9},
		{Session: "id", Lock: "m", Request: "1", Revision: 9},
		{Session: "id", Lock: "l", Request: "2", Revision: 9},
		{Session: "id", Lock: "l", Request: "one", Revision: 9},
		{Session: "id", Lock: "l", Request: "1"},
	} {
		d.s.tell(m)
	}
	d.roundTrip()
	d.holds()
	must(t, d.l.Commit(t.Context()))
	d.lost("1", 4) // of before the commit
	d.holds()
	d.lost("1", 5)
	lostBecause(t, d.l, "evicted: told")
	d.lost("1", 9)
	is(t, d.l.Unlock(t.Context()), client.ErrLockExpired)
	d.l = lock(t, d.c, "l")
	must(t, d.l.Unlock(t.Context()))
	d.lost("2", 9)
	if cause := context.Cause(d.l.Context()); !errors.Is(cause, client.ErrEnded) {
		t.Errorf("the hold ended with %v", cause)
	}
}

// A loss that is told while the section's end is on its way: the answer decides.
func TestLossBesideAnEnd(t *testing.T) {
	t.Parallel()
	unlock, discard := (*client.Lock).Unlock, (*client.Lock).Discard
	for name, tc := range map[string]struct {
		end    func(*client.Lock, context.Context) error
		answer *dlmv1.StreamResponse // nil: success
		want   error
		cause  error
	}{
		"released":           {unlock, nil, nil, client.ErrEnded},
		"discarded":          {discard, nil, nil, client.ErrEnded},
		"expired":            {unlock, refusal(codes.FailedPrecondition, "LOCK_EXPIRED"), client.ErrLockExpired, client.ErrLockExpired},
		"unknown":            {unlock, refusal(codes.FailedPrecondition, "OUTCOME_UNKNOWN"), client.ErrOutcomeUnknown, client.ErrLockExpired},
		"refused":            {unlock, refusal(codes.ResourceExhausted, "NO_SPACE"), client.ErrLockExpired, client.ErrLockExpired},
		"refused, a discard": {discard, refusal(codes.ResourceExhausted, "NO_SPACE"), nil, client.ErrLockExpired},
		"not understood":     {unlock, refusal(codes.Internal, "INTERNAL"), client.ErrOutcomeUnknown, client.ErrLockExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resume := make(chan struct{})
			isEnd := func(r *dlmv1.StreamRequest) bool { return isRelease(r) || isDiscard(r) }
			d := newTold(t, when(isEnd, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
				<-resume
				return tc.answer
			}))
			over := make(chan error, 1)
			go func() { over <- tc.end(d.l, t.Context()) }()
			storetest.Eventually(t, "the end", func() bool { return len(d.s.received(isEnd)) > 0 })
			d.lost("1", 7)
			d.holds()
			close(resume)
			err := await.Receive(t, patience, "the answer", over)
			if !errors.Is(err, tc.want) {
				t.Errorf("it returned %v, want %v", err, tc.want)
			}
			cause := context.Cause(d.l.Context())
			is(t, cause, tc.cause)
			if tc.cause != client.ErrEnded && !strings.Contains(cause.Error(), "told") { //nolint:errorlint // as it is in the table
				t.Errorf("the hold ended because of %q", cause)
			}
		})
	}
}

// An end is never answered, for no server is there any more. What was told of its hold is the
// reason that it is lost for.
func TestLossBesideAnEndWithoutAnswer(t *testing.T) {
	t.Parallel()
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if isRelease(r) || isHeartbeat(r) {
			return silence
		}
		return nil
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 2 * time.Second, ConnectTimeout: time.Second})
	d := &told{T: t, s: s, c: c, l: lock(t, c, "l")}
	over := make(chan error, 1)
	go func() { over <- d.l.Unlock(t.Context()) }()
	storetest.Eventually(t, "the release", func() bool { return len(s.received(isRelease)) > 0 })
	s.tell(&dlmv1.Lost{Session: "id", Lock: "l", Request: "1", Revision: 7, Reason: "evicted: told"})
	lostBecause(t, d.l, "told")
	is(t, await.Receive(t, patience, "the end", over), client.ErrOutcomeUnknown)
}

// A loss that is told while a commit is on its way is kept: it is of the section before it, or of
// the one after it, which nobody will tell again.
func TestLossBesideACommit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rev    int64
		answer *dlmv1.StreamResponse
		want   error
		lost   bool
	}{
		"of before":              {4, committed(5), nil, false},
		"of after":               {5, committed(5), nil, true},
		"of long after":          {9, committed(5), nil, true},
		"the commit found out":   {9, committed(0), nil, true},
		"the commit was refused": {9, refusal(codes.ResourceExhausted, "NO_SPACE"), client.ErrNoSpace, true},
	} {
		for by, heartbeat := range map[string]bool{"told": false, "by a heartbeat": true} {
			t.Run(name+", "+by, func(t *testing.T) {
				t.Parallel()
				resume, beats := make(chan struct{}), make(chan struct{}, 1)
				s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
					switch {
					case isCommit(r):
						<-resume
						return tc.answer
					case heartbeat && isHeartbeat(r) && len(r.GetHeartbeat().GetUnfinished()) > 0:
						select {
						case beats <- struct{}{}:
						default:
						}
						return holdsNothing(r, tc.rev)
					}
					return nil
				})
				cfg := client.Config{Endpoints: []string{s.addr}, TTL: longTTL}
				if heartbeat {
					cfg.TTL = shortTTL
				}
				c := open(t, cfg)
				d := &told{T: t, s: s, c: c, l: lock(t, c, "l")}
				over := make(chan error, 1)
				go func() { over <- d.l.Commit(t.Context()) }()
				storetest.Eventually(t, "the commit", func() bool { return len(s.received(isCommit)) > 0 })
				if heartbeat {
					wakeUp(t, beats)
					wakeUp(t, beats) // the first is answered
				} else {
					d.lost("1", tc.rev)
				}
				d.holds()
				close(resume)
				if err := await.Receive(t, patience, "the commit", over); !errors.Is(err, tc.want) {
					t.Errorf("it returned %v, want %v", err, tc.want)
				}
				switch {
				case !tc.lost:
					d.holds()
				case context.Cause(d.l.Context()) == nil: // not at the next heartbeat
					t.Error("the hold goes on")
				case heartbeat:
					lostBecause(t, d.l, "l")
				default:
					lostBecause(t, d.l, "told")
				}
			})
		}
	}
}

func wakeUp(t *testing.T, beats <-chan struct{}) {
	t.Helper()
	await.Receive(t, patience, "a heartbeat", beats)
}

// holdsNothing is the answer to a heartbeat that nothing is held as of a revision.
func holdsNothing(r *dlmv1.StreamRequest, rev int64) *dlmv1.StreamResponse {
	m := &dlmv1.HeartbeatResponse{Ttl: durationpb.New(shortTTL), Revision: rev}
	for _, a := range r.GetHeartbeat().GetUnfinished() {
		m.States = append(m.States, &dlmv1.AcquisitionState{
			Lock: a.GetLock(), Request: a.GetRequest(), State: dlmv1.AcquisitionState_STATE_NONE,
		})
	}
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Heartbeat{Heartbeat: m}}
}

// What was not sent yet when a loss is told is not waited for.
func TestLossBeforeAnEndIsSent(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*client.Lock, context.Context) error{
		"unlock": (*client.Lock).Unlock, "commit": (*client.Lock).Commit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTold(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return silence }))
			appended, over := make(chan error, 1), make(chan error, 1)
			go func() { appended <- d.l.Append(t.Context(), "f", nil) }()
			storetest.Eventually(t, "the append", func() bool { return len(d.s.received(isAppend)) > 0 })
			go func() { over <- call(d.l, t.Context()) }()
			d.lost("1", 7)
			lostBecause(t, d.l, "told")
			is(t, await.Receive(t, patience, "the append", appended), client.ErrLockExpired)
			is(t, await.Receive(t, patience, name, over), client.ErrLockExpired)
		})
	}
}

// A hold is lost while its grant is on its way: the holder never has it, and asks anew.
func TestLossBeforeTheGrant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rev  int64
		want string // the request that holds in the end
	}{
		"of this grant": {7, "2"}, "of before": {4, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resume := make(chan struct{})
			s := startScripted(t, when(isAcquire, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
				token := int64(8)
				if r.GetAcquire().GetRequest() == "1" {
					<-resume
					token = 5
				}
				return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Acquire{Acquire: &dlmv1.AcquireResponse{
					Outcome: dlmv1.AcquireResponse_OUTCOME_GRANTED, Token: token,
				}}}
			}))
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: longTTL})
			locked := make(chan *client.Lock, 1)
			go func() {
				l, err := c.Lock(t.Context(), "l")
				if err != nil {
					t.Error(err)
				}
				locked <- l
			}()
			storetest.Eventually(t, "the Acquire", func() bool { return len(s.received(isAcquire)) > 0 })
			d := &told{T: t, s: s, c: c}
			d.lost("1", tc.rev)
			close(resume)
			d.l = await.Receive(t, patience, "the lock", locked)
			d.holds()
			if got := fmt.Sprint(len(s.received(isAcquire))); got != tc.want {
				t.Errorf("%s requests, want %s", got, tc.want)
			}
			must(t, d.l.Unlock(t.Context()))
		})
	}
}

// The end of a session is not believed of one that began later.
func TestLossOfASession(t *testing.T) {
	t.Parallel()
	d := newTold(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if r.GetInit() == nil {
			return nil
		}
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Init{Init: &dlmv1.InitResponse{
			Session: "id.secret", Id: "id", Ttl: r.GetInit().GetTtl(), Revision: 5,
		}}}
	})
	d.s.tell(&dlmv1.Lost{Session: "id", Revision: 4, Reason: "its session ended"})
	d.roundTrip()
	d.holds()
	d.s.tell(&dlmv1.Lost{Session: "id", Revision: 7, Reason: "its session ended"})
	lostBecause(t, d.l, "its session ended")
	is(t, d.l.Unlock(t.Context()), client.ErrSessionExpired)
}
