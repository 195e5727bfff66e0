package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	mayOwe   = 400 * time.Millisecond // how long a server that owes an answer may say nothing before it is asked for a sign of life
	signLife = time.Second            // how long it may owe that

	// With more than this on its way to the server, a sign of life would only tell how fast the
	// network is.
	signBytes = 64 << 10
)

// quiet reports whether a server has said nothing since a call was sent, or for long enough to ask
// for a sign of life. Whoever waits for a lock asks less often: nothing is owed, but a server that
// stops would not tell of a grant, and the lock would stand still until the next heartbeat. mu is
// held.
func (t *transport) quiet(l *link, c *call, now time.Time) bool {
	allowed := mayOwe
	if c.waits {
		allowed = max(allowed, t.stall/3)
	}
	return now.Sub(later(later(c.began, l.received), l.signed)) > allowed
}

// sign asks the link's server for a sign of life: a call that needs nothing but the process, and
// that any server answers, be it by not knowing it. A server whose process is stopped, or whose
// machine is gone, is so told from one that waits for its cluster: that may take longer, and to
// move would help nobody. If there is no other server there is nothing to be told. mu is held.
func (t *transport) sign(l *link) {
	if l.asked || len(t.cfg.Endpoints) < 2 || l.sentBytes-l.arrivedBytes > signBytes {
		return
	}
	l.asked = true
	asked := time.Now()
	t.running.Go(func() {
		ctx, cancel := context.WithTimeout(l.ctx, signLife)
		defer cancel()
		_, _ = healthpb.NewHealthClient(l.conn).Check(ctx, &healthpb.HealthCheckRequest{})
		t.mu.Lock()
		defer t.mu.Unlock()
		l.asked, l.signed = false, time.Now()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && !l.received.After(asked) {
			t.leave(l, fmt.Errorf("no sign of life for %v", signLife), time.Now())
		}
	})
}

// dialLimit is how long a connection may take to be made. One to a server that is stopped is never
// made, and there is nobody to refuse it: so where there are several servers, each is first tried
// briefly, and longer each time that all have been tried. mu is held.
func (t *transport) dialLimit() time.Duration {
	most := t.cfg.dialing()
	n := len(t.cfg.Endpoints)
	if n < 2 {
		return most
	}
	return min(most, minDial<<min(t.failures/n, 10))
}
