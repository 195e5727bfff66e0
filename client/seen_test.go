package client_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// says is what a message says that its client has seen; nil: it says nothing.
func says(r *dlmv1.StreamRequest) *dlmv1.Seen {
	if r.GetInit() != nil {
		return r.GetInit().GetSeen()
	}
	return r.GetHeartbeat().GetSeen()
}

// clustered is a scripted server that says of which cluster it is, and may refuse who asks that.
func clustered(t *testing.T, refused func(*dlmv1.StreamRequest) *dlmv1.StreamResponse) *scripted {
	t.Helper()
	var s *scripted
	s = startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if resp := refused(r); resp != nil {
			return resp
		}
		resp := s.usual(r)
		switch m := resp.GetResponse().(type) {
		case *dlmv1.StreamResponse_Init:
			m.Init.Cluster, m.Init.Revision = "cluster", 1000
		case *dlmv1.StreamResponse_Heartbeat:
			m.Heartbeat.Cluster, m.Heartbeat.Revision = "cluster", 500
		case *dlmv1.StreamResponse_Append:
			m.Append.Revision = 1500
		}
		return resp
	})
	return s
}

// A client says what it has seen by then: with its first session, with each heartbeat, and with the
// next session.
func TestWhatWasSeenIsSaid(t *testing.T) {
	t.Parallel()
	s := clustered(t, usually)
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	l := lock(t, c, "l")
	must(t, l.Append(t.Context(), "f", nil))
	said := func(revision int64) func() bool {
		return func() bool {
			for _, r := range s.received(func(r *dlmv1.StreamRequest) bool { return isInit(r) || isHeartbeat(r) }) {
				if seen := says(r); seen.GetCluster() == "cluster" && seen.GetRevision() == revision {
					return true
				}
			}
			return false
		}
	}
	storetest.Eventually(t, "a heartbeat after the append", said(1500))
	if first := s.received(isInit)[0]; says(first) != nil {
		t.Errorf("the first Init says %v; want nothing", says(first))
	}
	s.mu.Lock()
	s.token = 2000
	s.mu.Unlock()
	lock(t, c, "another")
	storetest.Eventually(t, "a heartbeat after the grant", said(2001))
}

// Every server says that it went back, or is another cluster: what is held is lost, and so is each
// new try, until they do not say so any more.
func TestRefusedByAll(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]error{"WENT_BACK": client.ErrWentBack, "OTHER_CLUSTER": client.ErrOtherCluster} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			var back atomic.Bool
			refuse := func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
				if back.Load() && says(r) != nil {
					return refusal(codes.FailedPrecondition, reason)
				}
				return nil
			}
			a, b := clustered(t, refuse), clustered(t, refuse)
			c := open(t, client.Config{Endpoints: []string{a.addr, b.addr}})
			l := lock(t, c, "l")
			back.Store(true)
			cause := ended(t, l.Context())
			is(t, cause, client.ErrLockExpired)
			is(t, cause, want)
			is(t, l.Append(t.Context(), "f", nil), want)
			is(t, l.Unlock(t.Context()), want)
			for range 3 {
				start := time.Now()
				_, err := c.Lock(t.Context(), "l")
				is(t, err, want)
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("Lock failed after %v; want at once", took)
				}
			}
			for _, s := range []*scripted{a, b} {
				if n := len(s.received(isInit)) + len(s.received(isHeartbeat)); n == 0 {
					t.Errorf("%s was not asked", s.addr)
				}
			}
			back.Store(false)
			must(t, lock(t, c, "l").Unlock(t.Context()))
		})
	}
}

// Nothing but the question whose it is goes to a server before that has answered it. One of another
// cluster would answer that the lock is lost.
func TestNothingIsSentToAnotherCluster(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	a := clustered(t, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if silent.Load() {
			return silence
		}
		return nil
	})
	b := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if says(r) != nil {
			return refusal(codes.FailedPrecondition, "OTHER_CLUSTER")
		}
		return refusal(codes.FailedPrecondition, "LOCK_EXPIRED")
	})
	c := open(t, client.Config{Endpoints: []string{a.addr, b.addr}, ConnectTimeout: patience})
	l := lock(t, c, "l")
	silent.Store(true)
	answers := make(chan error, 2)
	go func() { answers <- l.Append(t.Context(), "f", nil) }()
	go func() {
		_, err := c.Read(t.Context(), "l", "f")
		answers <- err
	}()
	storetest.Eventually(t, "the client to try the other server", func() bool { return len(b.received(isHeartbeat)) > 0 })
	silent.Store(false)
	for range 2 {
		must(t, <-answers)
	}
	must(t, l.Unlock(t.Context()))
	if others := b.received(func(r *dlmv1.StreamRequest) bool { return says(r) == nil }); len(others) > 0 {
		t.Errorf("the other cluster was sent %v", others)
	}
}

// An endpoint of another cluster is passed over while the client's own has a pause.
func TestTwoClustersBehindOneClient(t *testing.T) {
	t.Parallel()
	a, b := facadetest.Start(t), facadetest.Start(t)
	c := open(t, client.Config{Endpoints: []string{a.Addr(), b.Addr()}, TTL: time.Minute, ConnectTimeout: patience})
	other := open(t, client.Config{Endpoints: []string{b.Addr()}})
	name := fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("one;")))
	a.Stop()
	appended := make(chan error, 1)
	go func() { appended <- l.Append(t.Context(), "f", []byte("two;")) }()
	select {
	case err := <-appended:
		t.Fatalf("an append while the client's cluster is down: %v", err)
	case <-time.After(2 * time.Second):
	}
	a.Restart()
	must(t, <-appended)
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "one;two;")
	_, err := other.Read(t.Context(), name, "f")
	is(t, err, client.ErrFileNotFound)
}

// Somebody empties the servers' etcd: holders and waiters of all of them are told.
func TestServersWhoseEtcdWentBack(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithFacades(2))
	holder := open(t, client.Config{Endpoints: n.Addrs()})
	waiter := open(t, client.Config{Endpoints: []string{n.Addrs()[1], n.Addrs()[0]}})
	name := fresh(t)
	l := lock(t, holder, name)
	must(t, l.Append(t.Context(), "f", []byte("x")))
	waited := make(chan error, 1)
	go func() {
		l, err := waiter.Lock(t.Context(), name)
		if err == nil { // with the new session that it began before its server looked, twice a second
			<-l.Context().Done()
			err = context.Cause(l.Context())
		}
		waited <- err
	}()
	waiting(t, holder, name, 1)
	watched := make(chan error, 1)
	go func() {
		for _, err := range waiter.Watch(t.Context(), "") {
			if err != nil {
				watched <- err
			}
		}
	}()
	n.Empty()
	cause := ended(t, l.Context())
	is(t, cause, client.ErrLockExpired)
	if !errors.Is(cause, client.ErrWentBack) {
		t.Logf("the holder was told by its lease: %v", cause)
	}
	is(t, <-waited, client.ErrWentBack)
	is(t, <-watched, client.ErrWentBack)
	if err := l.Unlock(t.Context()); err == nil {
		t.Error("the section was published")
	}
	_, err := holder.Lock(t.Context(), name)
	is(t, err, client.ErrWentBack)
	_, err = holder.Read(t.Context(), name, "f")
	is(t, err, client.ErrWentBack)
	anew := open(t, client.Config{Endpoints: n.Addrs()})
	_, err = anew.Lock(t.Context(), name)
	is(t, err, client.ErrWentBack) // as long as the servers are not started again
	n.Restart()
	must(t, lock(t, anew, fresh(t)).Unlock(t.Context()))
	_, err = holder.Lock(t.Context(), name)
	is(t, err, client.ErrOtherCluster)
}
