package client_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// bearable is what may be added to a caller's bound on a busy machine. It is far below the connect
// timeout of these tests.
const bearable = 8 * time.Second

// within checks how long something took.
func within(t *testing.T, what string, start time.Time, want time.Duration) {
	t.Helper()
	took := time.Since(start)
	t.Logf("%s took %v", what, took.Round(time.Millisecond))
	if took > want+bearable {
		t.Errorf("%s took %v, want about %v", what, took, want)
	}
}

// quietAddr returns an address where connections are made, and nothing is ever said.
func quietAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l.Addr().String()
}

func bounded(t *testing.T, endpoints ...string) *client.Client {
	t.Helper()
	return open(t, client.Config{Endpoints: endpoints, TTL: time.Minute, ConnectTimeout: 2 * patience})
}

// A caller that does not wait for the lock does not wait for servers that cannot be reached.
func TestTryLockWithoutServers(t *testing.T) {
	t.Parallel()
	start := time.Now()
	_, err := bounded(t, storetest.FreeAddr(t), storetest.FreeAddr(t), storetest.FreeAddr(t)).TryLock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	within(t, "three that refuse", start, 0)

	start = time.Now()
	_, err = bounded(t, quietAddr(t)).TryLock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	within(t, "one that is silent", start, 2*time.Second)

	start = time.Now()
	_, err = bounded(t, quietAddr(t), storetest.FreeAddr(t), quietAddr(t)).TryLock(t.Context(), "a")
	is(t, err, client.ErrUnavailable)
	within(t, "all kinds", start, 2*time.Second)
}

// But one server that works is found behind others that do not.
func TestTryLockFindsTheServerThatWorks(t *testing.T) {
	t.Parallel()
	for name, endpoints := range map[string][]string{
		"refused":             {storetest.FreeAddr(t), endpoint},
		"silent":              {quietAddr(t), endpoint},
		"refused, and silent": {storetest.FreeAddr(t), quietAddr(t), endpoint},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := bounded(t, endpoints...).TryLock(t.Context(), fresh(t))
			must(t, err)
			must(t, l.Unlock(t.Context()))
		})
	}
}

// Callers that wait for the same session have bounds of their own.
func TestBoundsOfCallersThatShareASession(t *testing.T) {
	t.Parallel()
	c := bounded(t, quietAddr(t))
	ctx, cancel := context.WithCancel(t.Context())
	patient := make(chan error, 1)
	go func() {
		_, err := c.Lock(ctx, "a")
		patient <- err
	}()
	start := time.Now()
	_, err := c.TryLock(t.Context(), "b")
	is(t, err, client.ErrUnavailable)
	within(t, "TryLock", start, 2*time.Second)
	select {
	case err := <-patient:
		t.Errorf("the other one gave up too: %v", err)
	default:
	}
	cancel()
	is(t, <-patient, context.Canceled)
}

// The wait is over when it is over, though the server that it was spent at is gone. What is left
// of it goes when a server is back.
func TestBoundedWaitAndServerDies(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	name := fresh(t)
	holder := bounded(t, n.Addr())
	l := lock(t, holder, name)
	waiter := bounded(t, n.Addr())
	done := make(chan error, 1)
	start := time.Now()
	const wait = 2 * time.Second
	go func() {
		_, err := waiter.Lock(t.Context(), name, client.WithWait(wait))
		done <- err
	}()
	waiting(t, holder, name, 1)
	n.Stop()
	is(t, <-done, client.ErrUnavailable)
	within(t, "the wait", start, wait+time.Second)
	n.Restart()
	must(t, l.Unlock(t.Context()))
	// Its own session goes on, and it could hold the lock by the place that it had.
	must(t, lock(t, holder, name).Unlock(t.Context()))
}

// A server may stop without a word. What it might have granted is cancelled, and the end of the
// client does not take long either.
func TestBoundedWaitAndServerFalls(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]client.LockOption{
		"at once":        {client.WithWait(0)},
		"after a second": {client.WithWait(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, when(isAcquire, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
				return silence
			}))
			c := bounded(t, s.addr)
			start := time.Now()
			_, err := c.Lock(t.Context(), "a", opts...)
			is(t, err, client.ErrUnavailable)
			within(t, "the wait", start, 2*time.Second)
			await.Eventually(t, patience, "a cancel", func() bool { return len(s.received(isCancel)) > 0 })
			if a, b := s.received(isAcquire)[0].GetAcquire(), s.received(isCancel)[0].GetCancel(); a.GetRequest() != b.GetRequest() {
				t.Errorf("acquired as %s, cancelled %s", a.GetRequest(), b.GetRequest())
			}
			start = time.Now()
			must(t, c.Close())
			within(t, "Close", start, 0)
		})
	}
}

// When nobody has answered for a while, Close does not wait long for anybody.
func TestCloseInAnOutage(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	c := bounded(t, n.Addr())
	l := lock(t, c, fresh(t))
	n.Stop()
	_, err := c.TryLock(t.Context(), fresh(t))
	is(t, err, client.ErrUnavailable)
	<-time.After(client.LastTry) // Nothing is waited for: this is the outage.
	start := time.Now()
	is(t, c.Close(), client.ErrUnavailable)
	if took := time.Since(start); took >= client.CloseTimeout {
		t.Errorf("Close took %v, want about %v", took, client.LastTry)
	}
	is(t, ended(t, l.Context()), client.ErrClosed)
}

// A wait that a server answers is over when the server says so.
func TestBoundedWaitIsTheServers(t *testing.T) {
	t.Parallel()
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	start := time.Now()
	_, err := open(t, client.Config{}).Lock(t.Context(), name, client.WithWait(time.Second))
	is(t, err, client.ErrBusy)
	if took := time.Since(start); took < time.Second {
		t.Errorf("it waited for %v, want 1s", took)
	}
	must(t, l.Unlock(t.Context()))
}
