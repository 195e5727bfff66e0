package client_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Every answer that leaves the effect open has the call repeated elsewhere with the same ids.
func TestIndeterminateAnswersAreRepeated(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled} {
		t.Run(code.String(), func(t *testing.T) {
			bad := startScripted(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
				return refusal(code, "NO_QUORUM")
			}))
			good := startScripted(t, when(isHeartbeat, bad.usual)) // they know the same
			c := open(t, client.Config{Endpoints: []string{bad.addr, good.addr}})
			l := lock(t, c, "a")
			must(t, l.Append(t.Context(), "f", []byte("x")))
			first, second := bad.received(isAppend), good.received(isAppend)
			if len(first) != 1 || len(second) != 1 || first[0].GetAppend().GetRequest() != second[0].GetAppend().GetRequest() {
				t.Errorf("sent %v, then %v", first, second)
			}
			must(t, l.Unlock(t.Context()))
			if len(bad.received(isRelease)) != 0 {
				t.Error("the client went back to the server that could not serve")
			}
		})
	}
}

// A heartbeat that a server fails to serve is soon sent again: only a third of the TTL lies between
// two that succeed, so that two failures in a row would cost the session.
func TestFailedHeartbeatIsSoonRepeated(t *testing.T) {
	var beats atomic.Int64
	s := startScripted(t, when(isHeartbeat, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if beats.Add(1) <= 3 {
			return refusal(codes.Internal, "")
		}
		return nil
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 6 * time.Second})
	l := lock(t, c, "a")
	before := l.Expiry()
	storetest.Eventually(t, "a heartbeat that is served", func() bool { return l.Context().Err() != nil || l.Expiry().After(before) })
	must(t, l.Context().Err())
}

// A server that serves others meanwhile is not left for one call that it could not serve.
func TestBusyServerIsNotLeft(t *testing.T) {
	served, refused := make(chan struct{}), atomic.Bool{}
	s := startScripted(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if !refused.CompareAndSwap(false, true) {
			return nil
		}
		<-served
		return refusal(codes.Unavailable, "NO_QUORUM")
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	l := lock(t, c, "a")
	appended := make(chan error, 1)
	go func() { appended <- l.Append(t.Context(), "f", nil) }()
	storetest.Eventually(t, "the Append", func() bool { return len(s.received(isAppend)) == 1 })
	_, err := c.Read(t.Context(), "a", "f")
	must(t, err)
	close(served)
	must(t, <-appended)
	if s.opened() != 1 {
		t.Errorf("%d streams were made, want 1", s.opened())
	}
}

// Waits are sent to another server only once it serves: a thousand of them would not help it to.
func TestWaitsFollowTheFirstAnswer(t *testing.T) {
	const waits = 50
	var leaving, serving atomic.Bool
	first := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		switch {
		case leaving.Load():
			return refusal(codes.Unavailable, "SHUTTING_DOWN")
		case isAcquire(r):
			return silence
		}
		return nil
	})
	second := startScripted(t, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if serving.Load() {
			return nil
		}
		return refusal(codes.Unavailable, "NO_QUORUM")
	})
	c := open(t, client.Config{Endpoints: []string{first.addr, second.addr}})
	granted := make(chan error, waits)
	for range waits {
		go func() {
			_, err := c.Lock(t.Context(), "a")
			granted <- err
		}()
	}
	storetest.Eventually(t, "the Acquires", func() bool { return len(first.received(isAcquire)) == waits })
	leaving.Store(true)
	go func() { _, _ = c.Read(t.Context(), "a", "f") }()
	storetest.Eventually(t, "refusals", func() bool { return len(second.received(isHeartbeat)) > 3 })
	if n := len(second.received(isAcquire)); n != 0 {
		t.Errorf("%d Acquires were sent to a server that does not serve", n)
	}
	serving.Store(true)
	for range waits {
		must(t, <-granted)
	}
}

// A call that every server refuses for want of a quorum ends like one that none answers.
func TestNoQuorumAnywhere(t *testing.T) {
	s := startScripted(t, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return refusal(codes.Unavailable, "NO_QUORUM") })
	c := open(t, client.Config{Endpoints: []string{s.addr}, ConnectTimeout: time.Second})
	_, err := c.Lock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Reason != "NO_QUORUM" {
		t.Errorf("%v does not say why", err)
	}
	if n := len(s.received(func(*dlmv1.StreamRequest) bool { return true })); n > 30 {
		t.Errorf("%d attempts within a second", n)
	}
}

func TestOtherErrorsAreReturned(t *testing.T) {
	for _, code := range []codes.Code{codes.Unknown, codes.Internal, codes.PermissionDenied, codes.Code(99)} {
		s := startScripted(t, when(isRead, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return refusal(code, "") }))
		c := open(t, client.Config{Endpoints: []string{s.addr}})
		_, err := c.Read(t.Context(), "a", "f")
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("got %v, want code %v", err, code)
		}
		if n := len(s.received(isRead)); n != 1 {
			t.Errorf("%v: sent %d times", code, n)
		}
	}
}

// A server that takes calls and answers none is left.
func TestMuteServerIsLeft(t *testing.T) {
	mute := startScripted(t, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return silence })
	good := startScripted(t, usually)
	c := open(t, client.Config{Endpoints: []string{mute.addr, good.addr}, ConnectTimeout: 3 * time.Second})
	_, err := c.Read(t.Context(), "a", "f")
	must(t, err)
	if len(mute.received(isRead)) != 1 || len(good.received(isRead)) != 1 {
		t.Errorf("sent %v, then %v", mute.received(isRead), good.received(isRead))
	}
}

// A wait that is given up is no longer listed, so that the server ends it even if the Cancel is
// lost; a lock granted meanwhile is given back.
func TestGivenUpWaitIsCancelled(t *testing.T) {
	granted := atomic.Bool{}
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		switch {
		case isAcquire(r):
			return silence
		case isCancel(r) && granted.Load():
			return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Cancel{Cancel: &dlmv1.CancelResponse{Token: 7}}}
		}
		return nil
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 3 * time.Second})
	giveUp := func() (request string) {
		t.Helper()
		n := len(s.received(isAcquire))
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := c.Lock(ctx, "a")
			failed <- err
		}()
		storetest.Eventually(t, "the Acquire", func() bool { return len(s.received(isAcquire)) > n })
		cancel()
		is(t, <-failed, context.Canceled)
		request = s.received(isAcquire)[n].GetAcquire().GetRequest()
		storetest.Eventually(t, "the Cancel", func() bool {
			calls := s.received(isCancel)
			return len(calls) > 0 && calls[len(calls)-1].GetCancel().GetRequest() == request
		})
		return request
	}
	request := giveUp()
	number, err := strconv.ParseUint(request, 10, 64)
	must(t, err)
	n := len(s.received(isHeartbeat))
	storetest.Eventually(t, "a heartbeat", func() bool { return len(s.received(isHeartbeat)) > n })
	if h := s.received(isHeartbeat)[n].GetHeartbeat(); h.GetHighestRequest() < number || len(h.GetUnfinished()) != 0 {
		t.Errorf("the heartbeat says %v, request %s was given up", h, request)
	}
	if len(s.received(isDiscard)) != 0 {
		t.Error("discarded what was not granted")
	}
	granted.Store(true)
	giveUp()
	storetest.Eventually(t, "the Discard", func() bool {
		calls := s.received(isDiscard)
		return len(calls) == 1 && calls[0].GetDiscard().GetToken() == 7
	})
}

// An Acquire that a server has lost is sent again once a heartbeat shows it.
func TestLostAcquireIsSentAgain(t *testing.T) {
	lost := atomic.Bool{}
	s := startScripted(t, when(isAcquire, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if lost.CompareAndSwap(false, true) {
			return silence
		}
		return nil
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 3 * time.Second})
	lock(t, c, "a")
	sent := s.received(isAcquire)
	if len(sent) != 2 || sent[0].GetAcquire().GetRequest() != sent[1].GetAcquire().GetRequest() || sent[0].GetCall() == sent[1].GetCall() {
		t.Errorf("sent %v", sent)
	}
}

func TestUnlockWaitsForAppends(t *testing.T) {
	reply := make(chan struct{})
	s := startScripted(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		<-reply
		return nil
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	l := lock(t, c, "a")
	ctx, cancel := context.WithCancel(t.Context())
	appended := make(chan error, 1)
	go func() { appended <- l.Append(ctx, "f", nil) }()
	storetest.Eventually(t, "the Append", func() bool { return len(s.received(isAppend)) == 1 })
	cancel()
	is(t, <-appended, context.Canceled) // it goes on
	unlocked := make(chan error, 1)
	go func() { unlocked <- l.Unlock(t.Context()) }()
	_, err := c.Read(t.Context(), "a", "f") // a round trip
	must(t, err)
	if len(s.received(isRelease)) != 0 {
		t.Error("released over an unanswered append")
	}
	close(reply)
	must(t, <-unlocked)
	if r := s.received(isRelease); len(r) != 1 || !r[0].GetRelease().GetAppended() {
		t.Errorf("released as %v", r)
	}
}

func TestUnlockGivenUpDiscards(t *testing.T) {
	s := startScripted(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return silence }))
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	l := lock(t, c, "a")
	ctx, cancel := context.WithCancel(t.Context())
	appended := make(chan error, 1)
	go func() { appended <- l.Append(ctx, "f", nil) }()
	storetest.Eventually(t, "the Append", func() bool { return len(s.received(isAppend)) == 1 })
	cancel()
	is(t, <-appended, context.Canceled)
	is(t, l.Commit(ctx), context.Canceled)
	is(t, l.Unlock(ctx), context.Canceled)
	is(t, l.Unlock(t.Context()), context.Canceled)
	if len(s.received(isRelease)) != 0 || len(s.received(isDiscard)) != 1 {
		t.Errorf("released %v, discarded %v", s.received(isRelease), s.received(isDiscard))
	}
	is(t, ended(t, l.Context()), client.ErrEnded)
}

// An append that failed in a way that proves nothing keeps its section from being published.
func TestDoubtfulAppendIsNotPublished(t *testing.T) {
	for name, end := range map[string]func(*client.Lock) error{
		"Unlock": func(l *client.Lock) error { return l.Unlock(t.Context()) },
		"Commit": func(l *client.Lock) error { return l.Commit(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := startScripted(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
				return refusal(codes.Internal, "INTERNAL")
			}))
			c := open(t, client.Config{Endpoints: []string{s.addr}})
			l := lock(t, c, "a")
			if err := l.Append(t.Context(), "f", nil); err == nil {
				t.Error("the append succeeded")
			}
			var refused *client.Error
			if err := end(l); !errors.As(err, &refused) {
				t.Errorf("got %v, want the append's error", err)
			}
			if len(s.received(isDiscard)) != 1 {
				t.Error("not discarded")
			}
			is(t, ended(t, l.Context()), client.ErrEnded)
		})
	}
}

// A release that is refused for want of space leaves the section as it is.
func TestRefusedUnlockMayBeRepeated(t *testing.T) {
	full := atomic.Bool{}
	full.Store(true)
	s := startScripted(t, when(isRelease, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if full.Load() {
			return refusal(codes.ResourceExhausted, "NO_SPACE")
		}
		return nil
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	l := lock(t, c, "a")
	must(t, l.Append(t.Context(), "f", nil))
	is(t, l.Unlock(t.Context()), client.ErrNoSpace)
	must(t, l.Context().Err())
	full.Store(false)
	must(t, l.Append(t.Context(), "f", nil))
	must(t, l.Unlock(t.Context()))

	full.Store(true)
	is(t, c.Do(t.Context(), "a", func(context.Context, *client.Lock) error { return nil }), client.ErrNoSpace)
	if len(s.received(isDiscard)) != 1 {
		t.Error("Do left the lock behind")
	}
}

// stoppable is a connection whose writes can be made to wait.
type stoppable struct {
	net.Conn
	going *sync.RWMutex // locked: they wait
}

func (c stoppable) Write(b []byte) (int, error) {
	c.going.RLock()
	defer c.going.RUnlock()
	return c.Conn.Write(b)
}

// A caller's context counts, however much waits to be sent.
func TestStuckConnectionHoldsNobody(t *testing.T) {
	s := startScripted(t, usually)
	var going sync.RWMutex
	var dialed atomic.Int32
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		dialed.Add(1)
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		return stoppable{conn, &going}, err
	}
	c := open(t, client.Config{
		Endpoints: []string{s.addr}, TTL: 10 * time.Minute, DialOptions: []grpc.DialOption{grpc.WithContextDialer(dial)},
	})
	l := lock(t, c, "a")
	must(t, l.Append(t.Context(), "f", nil))
	going.Lock()
	defer going.Unlock()
	for range 64 { // 256 KB, four times what gRPC holds back for a stream
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := l.Append(ctx, "f", make([]byte, 4<<10)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("append: %v", err)
		}
		cancel()
	}
	if dialed.Load() != 1 {
		t.Error("an append waited until the connection was given up")
	}
}
