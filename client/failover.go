package client

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = time.Second

	maxRefusedOnLink = 3 // times that a server may fail to serve a call while it serves others
)

// announce wakes whoever waits for a link. mu is held.
func (t *transport) announce() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// leave gives the link up, if it is still the current one, and picks the next endpoint. mu is held.
func (t *transport) leave(l *link, err error, now time.Time) {
	if t.link != l {
		return
	}
	if !t.closed {
		t.journal.write(func(log *slog.Logger) { log.Info("server left", "endpoint", l.endpoint, "err", err) })
		if hook := t.cfg.Hooks.Disconnected; hook != nil {
			t.hooking.write(func(*slog.Logger) { hook(l.endpoint, err) })
		}
	}
	t.unclear.Store(false)
	t.link = nil
	t.lastErr = fmt.Errorf("%s: %w", l.endpoint, err)
	clear(t.sendings)
	if t.looking.IsZero() {
		t.looking = now
	}
	switch {
	case !l.usefulAt.IsZero() && now.Sub(l.upAt) > maxBackoff:
		t.failures = 0
	case !l.usefulAt.IsZero() && !l.unable:
		t.failures = min(t.failures, 1) // it broke, and the next one may do better
	}
	if l.upAt.IsZero() {
		for c := range t.calls {
			if c.bound.once && !l.openedAt.Before(c.started) {
				c.misses++
			}
		}
	}
	if errors.Is(err, ErrUnauthenticated) && l.usefulAt.IsZero() {
		t.turned, t.turnedAt = t.lastErr, now
	}
	if t.heir != nil {
		t.heir.cancel()
		t.heir = nil
	}
	t.failures++
	t.endpoint = (t.endpoint + 1) % len(t.cfg.Endpoints)
	wait := backoff(t.failures)
	if limit := refusedByLimit(err); limit != nil && t.failures >= len(t.cfg.Endpoints) {
		wait = max(wait, limit.delay(t.failures/len(t.cfg.Endpoints)))
	}
	t.retryAt = now.Add(wait)
	switch {
	case !l.up || len(t.attached) == 0 || harmless(l, err):
		l.cancel()
	case l.ended:
		t.abandon(l, now)
	default:
		t.keep(l, now)
	}
	t.announce()
	wake(t.kick)
}

// backoff is the pause after so many failures in a row. There is none after the first. Then it
// grows, with jitter, so that the clients of a server that failed do not come back in step.
func backoff(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	d := min(maxBackoff, minBackoff<<min(failures-2, 10))
	return d/2 + rand.N(d/2)
}

// manage opens links while they are needed, and watches over what is owed.
func (t *transport) manage() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.kick:
		case <-timer.C:
		}
		next, done := t.step(time.Now())
		if done {
			return
		}
		if next > 0 {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
	}
}

// step does what is due. It returns when to look again (0: not before a kick), and whether the
// transport is closed.
func (t *transport) step(now time.Time) (next time.Duration, done bool) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return 0, true
	}
	t.checkLink(now)
	overdue := t.overdue(now)
	renewAt := t.renew(now)
	if len(t.calls) == 0 && (t.wanted == 0 || t.link != nil) { // the end of a link is a kick
		t.asleep = true
	} else {
		t.asleep = false
		next = max(10*time.Millisecond, min(t.stall/8, 250*time.Millisecond))
		if t.link == nil {
			if wait := t.retryAt.Sub(now); wait > 0 {
				next = min(next, wait)
			} else {
				t.open(now)
			}
		}
	}
	if wait := renewAt.Sub(now); !renewAt.IsZero() && (next == 0 || wait < next) {
		next = wait
	}
	t.mu.Unlock()
	for c, err := range overdue {
		c.done(answer{err: err, once: errors.Is(err, ErrLimit) && c.sends == 0})
	}
	return next, false
}

// open begins a link to the endpoint whose turn it is. mu is held.
func (t *transport) open(now time.Time) {
	l := newLink(t, t.cfg.Endpoints[t.endpoint])
	l.openedAt = now
	// A server that cannot be reached must not cost more than one that is silent.
	l.limit = t.dialLimit()
	for c := range t.calls {
		l.limit = min(l.limit, t.patience(c))
	}
	l.limit = max(minDial, l.limit)
	t.link = l
	t.running.Go(l.run)
}

// patience is how long a server may owe an answer to a call without saying anything. If the
// caller's wait is bounded, every server is to have its share of what is left after the wait.
func (t *transport) patience(c *call) time.Duration {
	if n := len(t.cfg.Endpoints); n > 1 && !c.bound.by.IsZero() {
		from := c.started
		if c.waits {
			from = later(from, c.bound.due)
		}
		return max(minStall, min(t.stall, c.bound.by.Sub(from)/time.Duration(n+1)))
	}
	return t.stall
}

// checkLink gives up a link whose server owes an answer for too long, and repeats on it what seems
// to have been lost. mu is held.
//
// There are four degrees. A server that owes an answer, or has somebody wait, and says nothing for
// a moment is asked for a sign of life, see sign. One that has said nothing at all since a call was
// sent is taken for dead after longer, whatever its signs. A call with a limit, which is a
// heartbeat, also counts against a server that answers others, if there is another server to try.
// And a call that is merely unanswered is sent again, at intervals that double.
func (t *transport) checkLink(now time.Time) {
	l := t.link
	if l == nil || !l.up {
		return
	}
	for c := range t.calls {
		if !c.retryAt.IsZero() {
			if !now.Before(c.retryAt) {
				c.retryAt = time.Time{}
				t.enqueue(c)
			}
			continue
		}
		if c.queued || c.link != l {
			continue
		}
		if t.quiet(l, c, now) {
			t.sign(l)
		}
		if c.waits && (c.bound.due.IsZero() || now.Before(c.bound.due)) {
			continue
		}
		began, sent := later(c.began, c.bound.due), later(c.sent, c.bound.due)
		if !c.waits {
			began, sent = c.began, c.sent
		}
		owed, stall := now.Sub(began), t.patience(c)
		if len(t.attached) > 0 && l.bent {
			stall = min(stall, t.cfg.Linger/2)
		}
		silent := owed > stall && !l.received.After(began)
		late := c.limit > 0 && owed > c.limit && len(t.cfg.Endpoints) > 1
		if silent || late {
			if t.looking.IsZero() {
				t.looking = began
			}
			t.leave(l, fmt.Errorf("no answer for %v", owed.Round(time.Millisecond)), now)
			return
		}
		if now.Sub(sent) > stall<<min(c.resent, 6) {
			c.resent++
			t.enqueue(c)
		}
	}
}

// overdue takes the calls off the books that have looked for a server in vain, and returns each
// with its error. mu is held.
//
// A call whose caller's wait is bounded is among them when that is over, and, if it is not to wait
// at all, when no endpoint could be reached.
//
// A call about a lock is never among them while its session lives. All others count from when they
// began, or from when servers stopped answering if that is later: a call that waits for a lock, on
// a healthy server, may wait for ever. So may one that waits for a limit: its caller decides.
func (t *transport) overdue(now time.Time) map[*call]error {
	var out map[*call]error
	for c := range t.calls {
		if c.bound.over(now) || c.bound.once && c.misses >= len(t.cfg.Endpoints) {
			// Unlike the connect timeout, this may be over before a silent link is given up.
			if l := t.link; l != nil && c.link == l && !l.received.After(c.began) && t.looking.IsZero() {
				t.looking = c.began
			}
			out = t.expire(out, c, t.unavailable(now.Sub(c.started)))
			continue
		}
		if err := t.turnedAway(c.started); err != nil && c.lease == nil && !c.waits {
			out = t.expire(out, c, err)
			continue
		}
		since := c.started
		if c.lease != nil {
			lost, ok := c.lease.lostAt()
			if !ok {
				continue
			}
			since = later(since, lost)
		}
		unanswered := !t.looking.IsZero() && now.Sub(later(since, t.looking)) >= t.cfg.ConnectTimeout
		refused := !c.waits && !c.refusedSince.IsZero() && now.Sub(later(since, c.refusedSince)) >= t.cfg.ConnectTimeout
		limited := c.lease != nil && c.limited != nil && now.Sub(since) >= t.cfg.ConnectTimeout
		if !unanswered && !refused && !limited {
			continue
		}
		out = t.expire(out, c, t.unavailable(t.cfg.ConnectTimeout))
	}
	return out
}

// turnedAway is the error of whoever has looked for a server since then, and was turned away: one
// has refused who this client is, and by now no other is of more use. nil: it is not so. mu is
// held.
func (t *transport) turnedAway(since time.Time) error {
	if t.turned == nil || t.failures < len(t.cfg.Endpoints) || t.turnedAt.Before(since) {
		return nil
	}
	return t.turned
}

// turnedAwayNow is turnedAway for whoever has looked for a server for long.
func (t *transport) turnedAwayNow() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.turnedAway(time.Time{})
}

// expire takes a call off the books that nobody has answered, with an error. mu is held.
func (t *transport) expire(out map[*call]error, c *call, err error) map[*call]error {
	if out == nil {
		out = make(map[*call]error)
	}
	if t.drop(c) {
		out[c] = c.orLimit(err)
	}
	return out
}

// unanswered is the error of whoever has waited in vain since then.
func (t *transport) unanswered(since time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unavailable(time.Since(since))
}

// unavailable is the error of a call that nobody has answered for so long. mu is held.
func (t *transport) unavailable(after time.Duration) error {
	if t.lastErr == nil || t.link != nil && t.link.up {
		return fmt.Errorf("%w: %s: no answer for %v", ErrUnavailable, t.cfg.Endpoints[t.endpoint], after.Round(time.Millisecond))
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, t.lastErr)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// linked notes that a link's stream is made. Every unanswered call goes out on it, heartbeats
// first.
func (t *transport) linked(l *link) {
	t.mu.Lock()
	if t.link != l {
		t.mu.Unlock()
		return
	}
	l.number = t.numbered.Add(1)
	t.recognize(l)
	t.queue = t.queue[:0]
	for c := range t.calls {
		c.queued = true
		c.numbers, c.resent, c.refusals, c.retryAt, c.limitedSince = c.numbers[:0], 0, 0, time.Time{}, time.Time{}
		t.queue = append(t.queue, c)
	}
	slices.SortFunc(t.queue, func(a, b *call) int {
		return cmp.Or(-cmp.Compare(a.limit, b.limit), cmp.Compare(a.order, b.order))
	})
	t.mu.Unlock()
	t.onLink()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link != l {
		return
	}
	l.up, l.upAt = true, time.Now()
	if hook := t.cfg.Hooks.Connected; hook != nil {
		t.hooking.write(func(*slog.Logger) { hook(l.endpoint) })
	}
	l.renewAt = renewal(l.upAt, l.conn.Ends())
	wake(t.kick) // for that
	t.unclear.Store(true)
	wake(l.wake)
	t.announce()
}

// heard notes that the link's server gave an answer outside the stream.
func (t *transport) heard(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == l {
		l.received = time.Now()
		t.served(l, l.received)
	}
}

// useful reports whether the link's server has done what it was asked to.
func (t *transport) useful(l *link) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !l.usefulAt.IsZero()
}

// served notes that the link's server did what it was asked to. mu is held.
func (t *transport) served(l *link, now time.Time) {
	if l.usefulAt.IsZero() {
		wake(l.wake) // for the waits that were held back
	}
	l.usefulAt = now
	t.looking, t.turned = time.Time{}, nil
}

// repeatRefused has a call repeated that the server could not serve. It goes to another server,
// unless this one serves others meanwhile and may only be short of breath: to move would cost it
// every other call once more. mu is held.
func (t *transport) repeatRefused(l *link, s sending, err *Error, now time.Time) {
	c := s.call
	if c.refusedSince.IsZero() {
		c.refusedSince = now
	}
	c.refusals++
	if err.Reason == "SHUTTING_DOWN" || c.refusals >= maxRefusedOnLink || !l.usefulAt.After(s.at) {
		l.unable = true
		t.leave(l, err, now)
		return
	}
	c.retryAt = now.Add(backoff(c.refusals + 1))
}

// suspect gives a link up because of what a call outside the stream met on it.
func (t *transport) suspect(l *link, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(l, err, time.Now())
}
