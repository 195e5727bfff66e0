package client_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

func isInit(r *dlmv1.StreamRequest) bool { return r.GetInit() != nil }

// A connection that is cut again and again, by something in between, costs no session and no hold:
// the client comes back each time, and attaches before all else.
func TestReconnectsLoseNoSession(t *testing.T) {
	t.Parallel()
	const reconnects, workers = 100, 8
	n := facadetest.Start(t, facadetest.WithFacades(2))
	pipes := []*pipe{newPipe(t, n.Addrs()[0]), newPipe(t, n.Addrs()[1])}
	c := open(t, client.Config{
		Endpoints: []string{pipes[0].addr(), pipes[1].addr()}, TTL: time.Minute, Linger: 10 * time.Second,
	})
	direct := open(t, client.Config{Endpoints: n.Addrs()})
	name := fresh(t)
	l := lock(t, c, name)
	session := state(t, direct, name).GetHolder().GetSession()
	var cycles atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	for w := range workers {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				own, err := c.Lock(t.Context(), fmt.Sprintf("%s/%d", name, w))
				if err == nil {
					err = own.Append(t.Context(), "f", []byte("x"))
				}
				if err == nil {
					err = own.Unlock(t.Context())
				}
				if err != nil {
					t.Errorf("worker %d: %v", w, err)
					return
				}
				cycles.Add(1)
			}
		})
	}
	for range reconnects {
		before := cycles.Load()
		storetest.Eventually(t, "work", func() bool { return cycles.Load() > before || t.Failed() })
		for _, p := range pipes {
			p.cut()
		}
	}
	close(stop)
	running.Wait()
	if got := state(t, direct, name).GetHolder(); got.GetSession() != session || got.GetToken() != l.Token() {
		t.Errorf("held by %v, want session %s", got, session)
	}
	must(t, l.Unlock(t.Context()))
	t.Logf("%d reconnects, %d cycles", reconnects, cycles.Load())
}

// Something in between closes the connection, and lets nobody back for long. The hold's Context
// ends before the lock passes on, though its lease has nearly all of its TTL left.
func TestContextEndsBeforeTheLinger(t *testing.T) {
	t.Parallel()
	const linger = 6 * time.Second
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: 10 * time.Minute, Linger: linger})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	l := lock(t, c, name)
	granted := make(chan time.Time, 1)
	go func() {
		next, err := other.Lock(t.Context(), name)
		if err != nil {
			t.Error(err)
		}
		granted <- time.Now()
		if next != nil {
			_ = next.Unlock(context.WithoutCancel(t.Context()))
		}
	}()
	waiting(t, other, name, 1)
	p.freeze()
	cut := time.Now()
	p.cut()
	is(t, ended(t, l.Context()), client.ErrLockExpired)
	over := time.Now()
	next := await.Receive(t, patience, "the next grant", granted)
	t.Logf("the context ended %v after the cut, the lock passed on after %v", over.Sub(cut).Round(time.Millisecond), next.Sub(cut).Round(time.Millisecond))
	if !over.Before(next) {
		t.Errorf("the context ended %v after the lock had passed on", over.Sub(next))
	}
	is(t, l.Unlock(t.Context()), client.ErrLockExpired)
}

// What lies between may have closed the server's side alone: the client hears nothing any more. Its
// hold is uncertain once a heartbeat has been unanswered for long enough.
func TestSilenceBehindAProxyEndsTheHold(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: 10 * time.Minute, Linger: time.Second})
	l := lock(t, c, fresh(t))
	p.freeze()
	frozen := time.Now()
	is(t, ended(t, l.Context()), client.ErrLockExpired)
	// A heartbeat is due within 5 s. After 15 s a ping would find out as well.
	if took := time.Since(frozen); took > 12*time.Second {
		t.Errorf("the hold ended after %v of silence", took)
	}
	if left := time.Until(l.Expiry()); left > time.Minute {
		t.Errorf("the hold ended, and its lease is said to live for %v", left)
	}
}

// The server is closed, for longer than the linger, and comes back. It had the client's own
// connection, so nobody can have taken its end for the client's: hold and session outlast it.
func TestLingeringHoldOutlastsARestart(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	// A heartbeat falls into the outage.
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: time.Minute, Linger: time.Second})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	l := lock(t, c, name)
	session := state(t, other, name).GetHolder().GetSession()
	n.Stop()
	<-time.After(6 * time.Second) // Nothing is waited for: this is the outage.
	n.Restart()
	must(t, l.Append(t.Context(), "f", []byte("x")))
	if got := state(t, other, name).GetHolder().GetSession(); got != session || l.Context().Err() != nil {
		t.Errorf("held by session %s, want %s; the context: %v", got, session, context.Cause(l.Context()))
	}
	must(t, l.Unlock(t.Context()))
}

// No heartbeat is answered for longer than the linger, as while etcd has no leader that says so.
// The client looks elsewhere, and leaves its stream open until it has been attached to another:
// closed, it would be the client's own side that ends the session.
func TestLingeringHoldOutlastsSilence(t *testing.T) {
	t.Parallel()
	var mute *muteStore
	n := facadetest.Start(t, facadetest.WithStore(func(s facade.Store) facade.Store {
		mute = &muteStore{Store: s}
		return mute
	}))
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: time.Minute, Linger: 3 * time.Second})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	l := lock(t, c, name)
	session := state(t, other, name).GetHolder().GetSession()
	speak := make(chan struct{})
	mute.until.Store(&speak)
	storetest.Eventually(t, "two heartbeats, on two streams", func() bool { return mute.asked.Load() >= 2 })
	<-time.After(4 * time.Second) // past the linger of a stream that was closed
	close(speak)
	must(t, l.Append(t.Context(), "f", []byte("x")))
	if got := state(t, other, name).GetHolder().GetSession(); got != session || l.Context().Err() != nil {
		t.Errorf("held by session %s, want %s; the context: %v", got, session, context.Cause(l.Context()))
	}
	must(t, l.Unlock(t.Context()))
}

// muteStore is a store that answers no heartbeat until it is told to.
type muteStore struct {
	facade.Store
	until atomic.Pointer[chan struct{}]
	asked atomic.Int64 // meanwhile
}

func (s *muteStore) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	if until := s.until.Load(); until != nil {
		s.asked.Add(1)
		select {
		case <-*until:
		case <-ctx.Done():
		}
	}
	return s.Store.Heartbeat(ctx, args)
}

// A server that drains sends its clients elsewhere. Their sessions go on, however long the drain
// takes.
func TestDrainEndsNoLingeringSession(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithFacades(2))
	p := newPipe(t, n.Addrs()[0])
	c := open(t, client.Config{Endpoints: []string{p.addr(), n.Addrs()[1]}, TTL: time.Minute, Linger: time.Second})
	other := open(t, client.Config{Endpoints: n.Addrs()[1:]})
	name := fresh(t)
	l := lock(t, c, name)
	n.StopFacade(0)
	must(t, l.Append(t.Context(), "f", []byte("x")))
	<-time.After(2 * time.Second) // for a linger that was begun by mistake
	if got := state(t, other, name).GetHolder(); got.GetToken() != l.Token() || l.Context().Err() != nil {
		t.Errorf("held by %v; the context: %v", got, context.Cause(l.Context()))
	}
	must(t, l.Unlock(t.Context()))
}

// A session that lingers out while its client lives, because something in between kept that away,
// costs a waiter its place, and no more.
func TestWaitOutlivesItsLinger(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: time.Minute, Linger: time.Second, ConnectTimeout: patience})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	held := lock(t, other, name)
	got := make(chan error, 1)
	go func() {
		l, err := c.Lock(t.Context(), name)
		if err == nil {
			err = l.Unlock(t.Context())
		}
		got <- err
	}()
	waiting(t, other, name, 1)
	p.freeze()
	p.cut()
	waiting(t, other, name, 0)
	p.thaw()
	waiting(t, other, name, 1)
	must(t, held.Unlock(t.Context()))
	must(t, await.Receive(t, patience, "the waiter", got))
}

// attaching answers heartbeats with an attachment: the one they ask for, unless recorded says
// otherwise.
func attaching(s *scripted, recorded func(asked uint64) uint64) func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
	return func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		m := s.usual(r)
		m.GetHeartbeat().Attachment = recorded(r.GetHeartbeat().GetAttachment())
		m.GetHeartbeat().Ttl = durationpb.New(time.Minute)
		return m
	}
}

// The first message of a new stream is the heartbeat that attaches the session to it, numbered; all
// that is asked for meanwhile comes behind it.
func TestAttachesBeforeAllElse(t *testing.T) {
	t.Parallel()
	var s *scripted
	var leaving atomic.Bool
	s = startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		switch {
		case isRead(r) && leaving.CompareAndSwap(true, false):
			return refusal(codes.Unavailable, "SHUTTING_DOWN")
		case isHeartbeat(r):
			return attaching(s, func(asked uint64) uint64 { return asked })(r)
		}
		return nil
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute, Linger: 10 * time.Second})
	l := lock(t, c, "a")
	if m := s.received(isInit)[0].GetInit(); m.GetLinger().AsDuration() != 10*time.Second {
		t.Errorf("Init says linger %v", m.GetLinger())
	}
	for stream := 2; stream <= 4; stream++ {
		before := len(s.received(func(*dlmv1.StreamRequest) bool { return true }))
		leaving.Store(true)
		_, err := c.Read(t.Context(), "a", "f")
		must(t, err)
		storetest.Eventually(t, "a new stream", func() bool { return s.opened() == stream })
		calls := s.received(func(*dlmv1.StreamRequest) bool { return true })[before:]
		calls = calls[slices.IndexFunc(calls, isRead)+1:] // behind the one that was refused
		var number uint64
		for _, r := range calls {
			// A heartbeat of the stream before may have been on its way.
			if number = r.GetHeartbeat().GetAttachment(); number == 0 || number >= uint64(stream) { //nolint:gosec // small
				break
			}
		}
		if number != uint64(stream) { //nolint:gosec // small
			t.Errorf("stream %d began with attachment %d: %v", stream, number, calls)
		}
	}
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
}

// A server that could not record the attachment, for want of space, is asked again soon. Servers
// that know nothing of lingering leave the session its TTL.
func TestAttachmentThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		recorded func(asked, beat uint64) uint64
		again    bool // soon
	}{
		"too full":  {func(asked, beat uint64) uint64 { return map[bool]uint64{true: asked, false: asked - 1}[beat > 3] }, true},
		"not known": {func(uint64, uint64) uint64 { return 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *scripted
			var leaving atomic.Bool
			var beats atomic.Uint64
			s = startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
				switch {
				case isRead(r) && leaving.CompareAndSwap(true, false):
					return refusal(codes.Unavailable, "SHUTTING_DOWN")
				case isHeartbeat(r):
					return attaching(s, func(asked uint64) uint64 { return test.recorded(asked, beats.Add(1)) })(r)
				}
				return nil
			})
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute, Linger: 4 * time.Second})
			l := lock(t, c, "a")
			leaving.Store(true)
			_, err := c.Read(t.Context(), "a", "f")
			must(t, err)
			if test.again {
				storetest.Eventually(t, "the heartbeat to be repeated", func() bool { return beats.Load() > 3 })
			}
			<-time.After(4 * time.Second) // past the end of a linger that was believed in
			must(t, l.Context().Err())
		})
	}
}

// Heartbeats of a session that lingers come every five seconds, however long its TTL: they are what
// finds out that something in between has closed the server's side.
func TestLingeringHeartbeats(t *testing.T) {
	t.Parallel()
	var s *scripted
	s = startScripted(t, when(isHeartbeat, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		return attaching(s, func(asked uint64) uint64 { return asked })(r)
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 10 * time.Minute, Linger: time.Second})
	lock(t, c, "a")
	storetest.Eventually(t, "a heartbeat", func() bool { return len(s.received(isHeartbeat)) > 0 })
}

func TestLingerIsChecked(t *testing.T) {
	t.Parallel()
	for linger, ok := range map[time.Duration]bool{
		0: true, time.Second: true, client.DefaultTTL: true,
		-1: false, time.Second - 1: false, client.DefaultTTL + 1: false,
	} {
		c, err := client.Open(client.Config{Linger: linger})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "linger") {
			t.Errorf("linger %v: %v", linger, err)
		}
		if err == nil {
			must(t, c.Close())
		}
	}
}

// A session may have ended before its Init was through, if etcd is slow enough. Another one is
// asked for, within the connect timeout; then no server is said to be available.
func TestSessionThatEndsBeforeItBegins(t *testing.T) {
	t.Parallel()
	var refusals atomic.Int64
	refusals.Store(3)
	s := startScripted(t, when(isInit, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if refusals.Add(-1) < 0 {
			return nil
		}
		return refusal(codes.FailedPrecondition, "SESSION_EXPIRED")
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, ConnectTimeout: time.Second})
	must(t, lock(t, c, "a").Unlock(t.Context()))
	other := open(t, client.Config{Endpoints: []string{s.addr}, ConnectTimeout: 500 * time.Millisecond})
	refusals.Store(1 << 62)
	_, err := other.Lock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	if n := len(s.received(isInit)); n > 200 {
		t.Errorf("%d Inits within half a second", n)
	}
}

// Without a linger it makes no difference that the connection is closed: the session lives its TTL,
// counted from its last heartbeat.
func TestWithoutLingerItIsTheTTL(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: ttl})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	l := lock(t, c, name)
	before := l.Expiry()
	storetest.Eventually(t, "a heartbeat", func() bool { return l.Expiry().After(before) })
	p.freeze()
	cut := time.Now()
	p.cut()
	must(t, lock(t, other, name).Unlock(t.Context()))
	took := time.Since(cut)
	t.Logf("the lock passed on after %v", took.Round(time.Millisecond))
	if took < ttl/2 {
		t.Errorf("the lock passed on after %v, with a TTL of %v", took, ttl)
	}
}
