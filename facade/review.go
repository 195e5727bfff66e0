package facade

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/certs"
)

// How often files are looked at, and what goes on is looked at again though nothing was changed in
// them: certificates and tokens end by themselves.
const (
	lookEvery   = 200 * time.Millisecond
	reviewEvery = time.Second
	endEvery    = 5 * time.Second // sessions and waits, which may have come from elsewhere
)

// watch looks after what goes on until ctx ends: what of it may not go on any more is ended.
func (g *gate) watch(ctx context.Context) {
	if !g.access.changes() {
		return
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	changes := make(chan struct{}, 1) // for keepEnding: one or more
	var running sync.WaitGroup
	running.Go(func() { g.keepEnding(ctx, changes) })
	defer running.Wait()
	var (
		set      *certs.Set
		policy   *auth.Policy
		reviewed time.Time
	)
	for {
		g.look()
		now := time.Now()
		changed := set != g.certificates() || policy != g.policy()
		set, policy = g.certificates(), g.policy()
		if changed || now.Sub(reviewed) >= reviewEvery {
			reviewed = now
			g.review()
		}
		if changed {
			select {
			case changes <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// keepEnding ends what is to be ended after each change, and every few seconds, until ctx ends. It
// may take long, and holds up nothing else.
func (g *gate) keepEnding(ctx context.Context, changes <-chan struct{}) {
	again := time.NewTicker(endEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-again.C:
		}
		g.endAll(ctx)
	}
}

// look rereads what has changed in the files.
func (g *gate) look() {
	if g.access.Certificates != nil {
		g.access.Certificates.Look()
	}
	if g.access.Policy != nil {
		g.access.Policy.Look()
	}
}

// review ends connections and calls that may not go on.
func (g *gate) review() {
	g.reviewing.Lock() // by each of several listeners' Serve
	defer g.reviewing.Unlock()
	now := time.Now()
	g.mu.Lock()
	var conns []*watchedConn
	var calls []*call
	for conn := range g.conns {
		conns = append(conns, conn)
	}
	for c := range g.lasting {
		calls = append(calls, c)
	}
	g.mu.Unlock()
	for _, conn := range conns {
		if err := g.goesOn(conn, now); err != nil {
			g.logger.Info("closing a connection", "peer", conn.RemoteAddr().String(), "identity", string(conn.caller.identity), "cause", err)
			_ = conn.account.Close()
		}
	}
	for _, c := range calls {
		if err := g.check(c, c.req, now); err != nil && !errors.Is(err, errNoAudit) {
			c.leave(err)
		}
	}
}

// goesOn is why a connection may not go on; nil: it may. One whose caller never was known may: it
// is told so with each call.
func (g *gate) goesOn(conn *watchedConn, now time.Time) error {
	who := conn.caller
	switch {
	case who.identity == "":
		return nil
	case !now.Before(who.expires):
		return unauthenticated("its certificate has expired")
	case who.standing(g.policy()).revoked:
		return revoked(who)
	}
	if set := g.access.Certificates.Get(); conn.verified != set {
		if err := g.verify(conn.chain); err != nil {
			return unauthenticated("its certificate is refused now: %w", err)
		}
		conn.verified = set
	}
	return nil
}

// endAll ends what those have left behind who may not do it themselves any more: the sessions of
// the revoked, if the policy says so, and places in queues of which a lock would be granted to
// somebody who may not acquire it.
func (g *gate) endAll(ctx context.Context) {
	policy := g.policy()
	if policy == nil {
		return
	}
	if policy.EndsAny() {
		n, err := g.store.EndSessions(ctx, func(owner string, issued time.Time) bool { return policy.EndsSessions(auth.Identity(owner), issued) })
		g.tellEnded(ctx, "sessions whose owner was revoked", n, err)
	}
	n, err := g.store.EndWaits(ctx, func(owner, lock string) bool { return !policy.For(auth.Identity(owner)).Allows(auth.Acquire, lock) })
	g.tellEnded(ctx, "waits of those who may not acquire the lock", n, err)
}

func (g *gate) tellEnded(ctx context.Context, what string, n int, err error) {
	if n > 0 {
		g.logger.Warn("ended by the policy", "what", what, "count", n)
	}
	if err != nil && ctx.Err() == nil {
		g.logger.Error("not all could be ended that the policy ends; it is tried again", "what", what, "err", err)
	}
}

// enter has a call reviewed for as long as it lasts.
func (g *gate) enter(c *call) {
	g.mu.Lock()
	g.lasting[c] = struct{}{}
	g.mu.Unlock()
}

// exit ends that.
func (g *gate) exit(c *call) {
	g.mu.Lock()
	delete(g.lasting, c)
	g.mu.Unlock()
}
