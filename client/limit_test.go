package client_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// limited is a limit's refusal as a server sends it.
func limited(retry time.Duration) *dlmv1.StreamResponse {
	e := &dlmv1.Error{Code: int32(codes.ResourceExhausted), Message: "too many", Details: limitDetails(retry)}
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Error{Error: e}}
}

func limitDetails(retry time.Duration) (details []*anypb.Any) {
	info, err := anypb.New(&errdetails.ErrorInfo{Domain: "dlm", Reason: "LIMIT", Metadata: map[string]string{"limit": "sessions"}})
	if err != nil {
		panic(err)
	}
	again, err := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	if err != nil {
		panic(err)
	}
	return append(details, info, again)
}

// firstLimited answers the first calls of one kind with a limit, and the others as usual.
func firstLimited(n int64, kind func(*dlmv1.StreamRequest) bool) func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
	var seen atomic.Int64
	return when(kind, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if seen.Add(1) <= n {
			return limited(time.Millisecond)
		}
		return nil
	})
}

// Every kind of call waits for a limit on the same stream, however often it is refused.
func TestLimitsAreWaitedFor(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]func(*dlmv1.StreamRequest) bool{
		"Init": isInit, "Acquire": isAcquire, "Append": isAppend, "Release": isRelease, "Read": isRead, "Heartbeat": isHeartbeat,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, firstLimited(3, kind))
			c := open(t, client.Config{Endpoints: []string{s.addr, storetest.FreeAddr(t)}, TTL: 3 * time.Second, ConnectTimeout: 2 * time.Second})
			l := lock(t, c, "a")
			if name == "Heartbeat" {
				storetest.Eventually(t, "heartbeats", func() bool { return len(s.received(isHeartbeat)) > 4 })
			}
			must(t, l.Append(t.Context(), "f", []byte("text")))
			must(t, l.Unlock(t.Context()))
			_, err := c.Read(t.Context(), "a", "f")
			must(t, err)
			if err := l.Context().Err(); name == "Heartbeat" && errors.Is(context.Cause(l.Context()), client.ErrLockExpired) {
				t.Errorf("the lock was lost: %v", err)
			}
			if n := s.opened(); n != 1 {
				t.Errorf("%d streams were opened, want 1", n)
			}
		})
	}
}

// What ended a section once, and was refused by a limit before, is known to have ended it: the
// refusal changed nothing.
func TestLimitedReleaseIsSentOnce(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	s := startScripted(t, when(isRelease, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if seen.Add(1) == 1 {
			return limited(0)
		}
		return refusal(codes.Aborted, "SESSION_EXPIRED")
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute})
	err := lock(t, c, "a").Unlock(t.Context())
	is(t, err, client.ErrLockExpired)
	if errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
}

// An end that a limit keeps out for longer than the lock lasts has not been carried out, and that
// is known.
func TestLimitedEndOfALostLock(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context, *client.Lock) error{
		"Unlock": func(ctx context.Context, l *client.Lock) error { return l.Unlock(ctx) },
		"Commit": func(ctx context.Context, l *client.Lock) error { return l.Commit(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ending atomic.Bool
			s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
				switch {
				case isRelease(r), isCommit(r):
					ending.Store(true)
					return limited(time.Millisecond)
				case isHeartbeat(r) && ending.Load():
					return refusal(codes.FailedPrecondition, "SESSION_EXPIRED")
				}
				return nil
			})
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 3 * time.Second, ConnectTimeout: time.Second})
			err := end(t.Context(), lock(t, c, "a"))
			is(t, err, client.ErrLockExpired)
			if errors.Is(err, client.ErrOutcomeUnknown) {
				t.Errorf("got %v", err)
			}
			if n := len(s.received(func(r *dlmv1.StreamRequest) bool { return isRelease(r) || isCommit(r) })); n < 2 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// The caller's own bound is the bound of that wait, and the error says what was waited for.
func TestWaitForALimitIsBounded(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]func(*dlmv1.StreamRequest) bool{"Init": isInit, "Acquire": isAcquire} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, firstLimited(1<<40, kind))
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute, ConnectTimeout: 2 * patience})
			check := func(what string, err error, start time.Time, want time.Duration) {
				t.Helper()
				within(t, what, start, want)
				is(t, err, client.ErrLimit)
				e, ok := errors.AsType[*client.Error](err)
				if !ok || e.Limit != "sessions" || e.RetryAfter != time.Millisecond {
					t.Errorf("%s: got %#v", what, e)
				}
			}
			start := time.Now()
			_, err := c.TryLock(t.Context(), "a")
			check("without a wait", err, start, 0)
			if errors.Is(err, client.ErrBusy) || errors.Is(err, client.ErrUnavailable) {
				t.Errorf("got %v", err)
			}

			start = time.Now()
			_, err = c.Lock(t.Context(), "a", client.WithWait(300*time.Millisecond))
			check("with a wait", err, start, 300*time.Millisecond)
			if took := time.Since(start); took < 300*time.Millisecond {
				t.Errorf("it took %v", took)
			}

			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			start = time.Now()
			_, err = c.Lock(ctx, "a")
			check("with a context", err, start, 300*time.Millisecond)
			is(t, err, context.DeadlineExceeded)
		})
	}
}

// While a limit is waited for, the client says so.
func TestLimitedSaysWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	var free atomic.Bool
	s := startScripted(t, when(isRead, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if free.Load() {
			return nil
		}
		return limited(20 * time.Millisecond)
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute})
	if e := c.Limited(); e != nil {
		t.Errorf("at first: %v", e)
	}
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(t.Context(), "a", "f")
		read <- err
	}()
	storetest.Eventually(t, "the limit to show", func() bool { e := c.Limited(); return e != nil && e.Limit == "sessions" })
	free.Store(true)
	must(t, <-read)
	if e := c.Limited(); e != nil {
		t.Errorf("at last: %v", e)
	}
}

// A server that has no room even for heartbeats is left in time.
func TestLimitedHeartbeatsGoElsewhere(t *testing.T) {
	t.Parallel()
	full := startScripted(t, firstLimited(1<<40, isHeartbeat))
	free := startScripted(t, usually)
	c := open(t, client.Config{Endpoints: []string{full.addr, free.addr}, TTL: 3 * time.Second})
	lock(t, c, "a")
	storetest.Eventually(t, "heartbeats elsewhere", func() bool { return len(free.received(isHeartbeat)) > 0 })
	if n := len(full.received(isHeartbeat)); n < 2 {
		t.Errorf("%d heartbeats were tried at the first server, want some", n)
	}
}

// The server's word on when to come again is heeded.
func TestRetryAfterIsHeeded(t *testing.T) {
	t.Parallel()
	const retry = 700 * time.Millisecond
	var first atomic.Bool
	s := startScripted(t, when(isRead, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if first.CompareAndSwap(false, true) {
			return limited(retry)
		}
		return nil
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute})
	start := time.Now()
	_, err := c.Read(t.Context(), "a", "f")
	must(t, err)
	if took := time.Since(start); took < retry {
		t.Errorf("it was asked again within %v, want %v", took, retry)
	}
}

// A watch that a limit refuses is begun again, with the rest of the client left alone; so is one
// that something refuses which gives no reason.
func TestLimitedWatchIsTriedAgain(t *testing.T) {
	t.Parallel()
	withReason, err := status.FromProto(status.New(codes.ResourceExhausted, "too many").Proto()).WithDetails(
		&errdetails.ErrorInfo{Domain: "dlm", Reason: "LIMIT", Metadata: map[string]string{"limit": "watchers"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	must(t, err)
	noReason := status.New(codes.ResourceExhausted, "no stream")
	for name, refused := range map[string]*status.Status{"LIMIT": withReason, "no reason": noReason} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, usually)
			var asked atomic.Int64
			s.setWatch(func(send func(*dlmv1.WatchResponse) error) error {
				if asked.Add(1) <= 2 {
					return refused.Err()
				}
				return send(&dlmv1.WatchResponse{Events: []*dlmv1.Event{{Lock: "a"}}})
			})
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute})
			l := lock(t, c, "a")
			for e, err := range c.Watch(t.Context(), "") {
				must(t, err)
				if e.GetLock() != "a" {
					t.Errorf("got %v", e)
				}
				break
			}
			must(t, l.Unlock(t.Context()))
			if n := s.opened(); n != 1 {
				t.Errorf("%d streams were opened, want 1", n)
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		s := startScripted(t, usually)
		s.setWatch(func(func(*dlmv1.WatchResponse) error) error { return withReason.Err() })
		c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		for _, err := range c.Watch(ctx, "") {
			is(t, err, client.ErrLimit)
			is(t, err, context.DeadlineExceeded)
		}
	})
}

// A stream that is refused is asked for again, not at once; and elsewhere.
func TestLimitedStreamGoesElsewhere(t *testing.T) {
	t.Parallel()
	full := startScripted(t, usually)
	full.refuse(status.Error(codes.ResourceExhausted, "no stream"))
	free := startScripted(t, usually)
	c := open(t, client.Config{Endpoints: []string{full.addr, free.addr}, TTL: time.Minute})
	must(t, lock(t, c, "a").Unlock(t.Context()))
	if n := free.opened(); n != 1 {
		t.Errorf("%d streams were opened at the server that has room, want 1", n)
	}

	c = open(t, client.Config{Endpoints: []string{full.addr}, TTL: time.Minute, ConnectTimeout: 1500 * time.Millisecond})
	before := full.opened()
	_, err := c.Lock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	if n := full.opened() - before; n > 10 {
		t.Errorf("the server that is full was asked %d times", n)
	}
}
