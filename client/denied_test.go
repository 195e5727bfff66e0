package client_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Whoever is not accepted is told so at once, once every server has been asked.
func TestUnauthenticatedFailsAtOnce(t *testing.T) {
	t.Parallel()
	everything := func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		return refusal(codes.Unauthenticated, "UNAUTHENTICATED")
	}
	for name, start := range map[string]func() *scripted{
		"streams are refused": func() *scripted {
			s := startScripted(t, usually)
			s.refuse(asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED")))
			return s
		},
		"messages are refused": func() *scripted { return startScripted(t, everything) },
		"a proxy refuses": func() *scripted {
			s := startScripted(t, usually)
			s.refuse(asStatus(refusal(codes.Unauthenticated, "")))
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := start(), start()
			c := open(t, client.Config{Endpoints: []string{first.addr, second.addr}, ConnectTimeout: time.Minute})
			began := time.Now()
			_, err := c.Lock(t.Context(), "a")
			is(t, err, client.ErrUnauthenticated)
			if errors.Is(err, client.ErrUnavailable) {
				t.Errorf("%v is said to be no server", err)
			}
			if !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), second.addr) {
				t.Errorf("%v does not say who says what", err)
			}
			if first.opened() != 1 || second.opened() != 1 {
				t.Errorf("%d and %d streams were opened, want one each", first.opened(), second.opened())
			}
			for range 5 { // Whoever goes on to ask does not hammer.
				_, err := c.Read(t.Context(), "a", "f")
				is(t, err, client.ErrUnauthenticated)
			}
			took := time.Since(began)
			if n := first.opened() + second.opened(); n > 7+int(took/(400*time.Millisecond)) {
				t.Errorf("%d streams were opened within %v", n, took)
			}
		})
	}
}

// Another server may have other clocks, or know other authorities.
func TestUnauthenticatedTriesTheOthers(t *testing.T) {
	t.Parallel()
	bad, good := startScripted(t, usually), startScripted(t, usually)
	bad.refuse(asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED")))
	c := open(t, client.Config{Endpoints: []string{bad.addr, good.addr}})
	must(t, lock(t, c, "a").Unlock(t.Context()))
	if bad.opened() != 1 {
		t.Errorf("%d streams were opened to the server that refuses them", bad.opened())
	}
}

// What is asked for beside the stream fails as the rest does.
func TestUnauthenticatedWatchFailsAtOnce(t *testing.T) {
	t.Parallel()
	s := startScripted(t, usually)
	s.setWatch(func(func(*dlmv1.WatchResponse) error) error {
		return asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED"))
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}, ConnectTimeout: time.Minute})
	for _, err := range c.Watch(t.Context(), "") {
		is(t, err, client.ErrUnauthenticated)
	}
	s.refuse(asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED")))
	none := open(t, client.Config{Endpoints: []string{s.addr}, ConnectTimeout: time.Minute})
	for _, err := range none.Watch(t.Context(), "") {
		is(t, err, client.ErrUnauthenticated)
	}
}

// A watch whose token has ended is opened again: there is another one by now.
func TestWatchOutlastsItsToken(t *testing.T) {
	t.Parallel()
	s := startScripted(t, usually)
	var opened atomic.Int64
	s.setWatch(func(send func(*dlmv1.WatchResponse) error) error {
		opened.Add(1)
		if err := send(&dlmv1.WatchResponse{Events: []*dlmv1.Event{{Lock: "a"}}}); err != nil {
			return err
		}
		return asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED"))
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	events := 0
	for _, err := range c.Watch(t.Context(), "") {
		must(t, err)
		if events++; events == 3 {
			break
		}
	}
	if opened.Load() != 3 || s.opened() != 1 {
		t.Errorf("%d watches on %d links", opened.Load(), s.opened())
	}
}

// A server refuses a holder for a while, as while its files and the client's are being replaced.
// The session outlasts that.
func TestSessionOutlastsARefusal(t *testing.T) {
	t.Parallel()
	var refuses atomic.Bool
	s := startScripted(t, when(isHeartbeat, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if refuses.Load() {
			return refusal(codes.Unauthenticated, "UNAUTHENTICATED")
		}
		return nil
	}))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 3 * time.Second})
	l := lock(t, c, "a")
	refuses.Store(true)
	n := len(s.received(isHeartbeat))
	storetest.Eventually(t, "heartbeats that are refused", func() bool { return len(s.received(isHeartbeat)) > n+2 })
	refuses.Store(false)
	held := l.Expiry()
	storetest.Eventually(t, "a heartbeat that is served", func() bool { return l.Expiry().After(held) || l.Context().Err() != nil })
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
}

// A holder that is refused is told that it lost the lock when its lease says so, and why.
func TestRefusedHolderIsToldInTime(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*scripted, *pipe, *atomic.Bool){
		"its heartbeats are refused": func(_ *scripted, _ *pipe, beats *atomic.Bool) { beats.Store(true) },
		"its streams are refused": func(s *scripted, p *pipe, _ *atomic.Bool) {
			s.refuse(asStatus(refusal(codes.Unauthenticated, "UNAUTHENTICATED")))
			p.cut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var beats atomic.Bool
			s := startScripted(t, when(isHeartbeat, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
				if beats.Load() {
					return refusal(codes.Unauthenticated, "UNAUTHENTICATED")
				}
				return nil
			}))
			p := newPipe(t, s.addr)
			c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: 3 * time.Second})
			l := lock(t, c, "a")
			refuse(s, p, &beats)
			cause := ended(t, l.Context())
			if late := time.Since(l.Expiry()); late > 0 {
				t.Errorf("told %v after the lease", late)
			}
			is(t, cause, client.ErrLockExpired)
			is(t, cause, client.ErrUnauthenticated)
		})
	}
}

// A release that the policy does not allow any more leaves the lock as it is: it can be discarded.
func TestDeniedReleaseCanBeDiscarded(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]error{"PERMISSION_DENIED": client.ErrPermissionDenied, "UNAUTHENTICATED": client.ErrUnauthenticated} {
		code := codes.PermissionDenied
		if reason == "UNAUTHENTICATED" {
			code = codes.Unauthenticated
		}
		s := startScripted(t, when(isRelease, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return refusal(code, reason) }))
		c := open(t, client.Config{Endpoints: []string{s.addr}})
		l := lock(t, c, "a")
		must(t, l.Append(t.Context(), "f", []byte("x")))
		is(t, l.Unlock(t.Context()), want)
		must(t, l.Context().Err())
		must(t, l.Discard(t.Context()))
		if len(s.received(isRelease)) != 1 || len(s.received(isDiscard)) != 1 {
			t.Errorf("%s: %d releases and %d discards were sent, want one each", reason, len(s.received(isRelease)), len(s.received(isDiscard)))
		}
	}
}

// An append that is denied was not staged. It may have been if it was sent before, and that was not
// answered: then its section cannot be published.
func TestDeniedAppend(t *testing.T) {
	t.Parallel()
	var lose atomic.Bool
	denied := func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if lose.CompareAndSwap(true, false) {
			return silence
		}
		return refusal(codes.PermissionDenied, "PERMISSION_DENIED")
	}
	s := startScripted(t, when(isAppend, denied))
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 2 * time.Second})
	l := lock(t, c, "a")
	is(t, l.Append(t.Context(), "f", []byte("x")), client.ErrPermissionDenied)
	must(t, l.Unlock(t.Context()))

	l = lock(t, c, "a")
	lose.Store(true)
	is(t, l.Append(t.Context(), "f", []byte("x")), client.ErrPermissionDenied)
	is(t, l.Unlock(t.Context()), client.ErrPermissionDenied)
	if len(s.received(isRelease)) != 1 || len(s.received(isDiscard)) != 1 {
		t.Errorf("%d releases and %d discards were sent, want one each", len(s.received(isRelease)), len(s.received(isDiscard)))
	}
}

// A holder whose sessions are ended, because it was revoked, is told that at once: somebody else
// has the lock by then.
func TestRevokedHolderIsToldAtOnce(t *testing.T) {
	t.Parallel()
	s := startScripted(t, usually)
	p := newPipe(t, s.addr)
	c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: time.Minute})
	l := lock(t, c, "a")
	st, err := status.New(codes.Unauthenticated, "revoked").WithDetails(&errdetails.ErrorInfo{
		Reason: "UNAUTHENTICATED", Domain: "dlm", Metadata: map[string]string{"sessions_end": "true"},
	})
	must(t, err)
	s.refuse(st.Err())
	p.cut()
	cause := ended(t, l.Context())
	is(t, cause, client.ErrLockExpired)
	is(t, cause, client.ErrSessionExpired)
	is(t, cause, client.ErrUnauthenticated)
	_, err = c.Lock(t.Context(), "b")
	is(t, err, client.ErrUnauthenticated)
}
