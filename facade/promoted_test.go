package facade_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Whoever holds a lock, and whoever waits for it, is shown and taken for who it is, when the lock
// is handed on, at other servers, and after all of them were started anew: and nobody else is.
func TestHoldersAndWaitersStayWhoTheyAre(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, everything)
	const lock = "l"
	first := take(t, g.api(0, "alice"), "alice", lock)
	type waiter struct {
		name, session string
	}
	var queue []waiter
	for i, name := range []string{"bob", "carol", "bob"} {
		w := waiter{name, initiate(t, g.api(i%2, name)).GetSession()}
		queue = append(queue, w)
		ctx, leave := context.WithCancel(storetest.Bounded(t))
		left := make(chan struct{})
		api := g.api(i%2, name)
		go func() { // the place is kept when the call ends
			defer close(left)
			_, _ = api.Acquire(ctx, &dlmv1.AcquireRequest{Session: w.session, Lock: lock, Request: "1"})
		}()
		storetest.Eventually(t, "a place", func() bool {
			info, err := g.api(0, "alice").Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: lock})
			return err == nil && int(info.GetLock().GetQueueLength()) == i+1
		})
		leave()
		<-left
	}
	shown := func(when, holder string, waiters ...string) (token int64) {
		t.Helper()
		for i := range 2 {
			var info *dlmv1.InspectResponse
			storetest.Eventually(t, when+": the lock to be handed on", func() (is bool) {
				var err error
				info, err = g.api(i, "dave").Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: lock})
				return err == nil && info.GetLock().GetHolder().GetIdentity() == identityOf(holder)
			})
			var got []string
			for _, w := range info.GetLock().GetWaiters() {
				got = append(got, w.GetIdentity())
			}
			var want []string
			for _, name := range waiters {
				want = append(want, identityOf(name))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, at %d: %v wait, want %v", when, i, got, want)
			}
			token = info.GetLock().GetHolder().GetToken()
		}
		return token
	}
	// refused makes all calls as a session's holder by those who are not.
	refused := func(when string, h *hold) {
		t.Helper()
		for i := range 2 {
			for _, name := range []string{"alice", "bob", "carol"} {
				if name == h.owner {
					continue
				}
				for way, api := range bothWays(t, g.to(i, name)) {
					g.still(when, func() {
						for _, try := range h.attempts(h.credential) {
							if code, _ := refusalOf(try.call(storetest.Bounded(t), api)); code != codes.PermissionDenied {
								t.Errorf("%s: %s by %s, %s at %d: %v", when, try.name, name, way, i, code)
							}
						}
					})
				}
			}
		}
	}
	shown("at first", "alice", "bob", "carol", "bob")
	refused("at first", first)
	committed, err := g.api(1, "alice").Commit(storetest.Bounded(t), &dlmv1.CommitRequest{
		Session: first.credential, Lock: lock, Token: first.token, Appended: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	first.token = committed.GetToken()
	shown("committed", "alice", "bob", "carol", "bob")
	refused("committed", first)
	g.Restart()
	if got := shown("after a restart", "alice", "bob", "carol", "bob"); got != first.token {
		t.Errorf("token %d holds after a restart, want %d", got, first.token)
	}
	refused("after a restart", first)
	end := []func() error{
		func() error { // released
			return second(g.api(1, "alice").Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{Session: first.credential, Lock: lock, Token: first.token}))
		},
		func() error { // evicted
			return second(g.api(0, "dave").Evict(storetest.Bounded(t), &dlmv1.EvictRequest{Lock: lock, Reason: "r"}))
		},
		func() error { // its session ends
			return second(g.api(0, "carol").Close(storetest.Bounded(t), &dlmv1.CloseRequest{Session: queue[1].session}))
		},
	}
	for i, w := range queue {
		if err := end[i](); err != nil {
			t.Fatal(err)
		}
		var rest []string
		for _, w := range queue[i+1:] {
			rest = append(rest, w.name)
		}
		when := "handed on to " + w.name
		h := &hold{owner: w.name, credential: w.session, lock: lock, request: "1", token: shown(when, w.name, rest...)}
		refused(when, h)
		if i == 1 {
			g.StopFacade(0)
			g.StartFacade(0)
			refused(when+", at a server that was started anew", h)
		}
		own := g.api(1-i%2, w.name) // where it did not wait
		granted, err := own.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: w.session, Lock: lock, Request: "1"})
		if err != nil || granted.GetToken() != h.token {
			t.Errorf("%s: its repeat is %v, %v; want the token %d", when, granted, err, h.token)
		}
		if _, err := own.Append(storetest.Bounded(t), &dlmv1.AppendRequest{Session: w.session, Lock: lock, Token: h.token, Request: "2", File: "f"}); err != nil {
			t.Errorf("%s: its append: %v", when, err)
		}
	}
	lines := g.of("bob", 3)
	for _, line := range lines {
		if line.Outcome == "OK" && line.Method != "Init" && line.Method != "Append" {
			t.Errorf("it is written that bob did %+v", line)
		}
	}
}
