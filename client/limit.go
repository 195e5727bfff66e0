package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// A server that refuses a call because of a limit has changed nothing, and says when to ask again.
// It is asked again, at growing intervals, for as long as the caller waits; its other calls, and
// heartbeats above all, go on. To move to another server would be of no use where every client does
// so at once. Only a server that refuses the whole stream is left, or heartbeats for too long.

const (
	minLimitDelay  = 100 * time.Millisecond
	maxLimitDelay  = 5 * time.Second
	maxLimitAdvice = time.Minute // what a server may ask for
	limitTellEvery = time.Minute // in the log
)

// limited reports whether a call came upon a limit, and may be made again a little later. Without a
// reason it is gRPC, a proxy perhaps, that refused it.
func (e *Error) limited() bool {
	return e.Reason == "LIMIT" || e.Reason == "" && e.Code == codes.ResourceExhausted
}

// delay is how long to wait before the next try, after so many limits in a row: as long as the
// server asks for at least, and with jitter, so that those that were refused together do not come
// back together.
func (e *Error) delay(limits int) time.Duration {
	least := max(minLimitDelay, min(e.RetryAfter, maxLimitAdvice))
	d := max(least, min(maxLimitDelay, least<<min(max(limits-1, 0), 10)))
	return d + rand.N(d/2)
}

// repeatLimited has a call repeated that a limit has refused. It returns false if the caller's wait
// is over: then the refusal is the answer. mu is held.
func (t *transport) repeatLimited(l *link, s sending, number uint64, err *Error, now time.Time) bool {
	c := s.call
	delete(t.sendings, number)
	c.numbers = slices.DeleteFunc(c.numbers, func(n uint64) bool { return n == number })
	if err.Reason != "" {
		c.sends-- // it changed nothing
		t.served(l, now)
	} else if c.refusedSince.IsZero() {
		c.refusedSince = now
	}
	if !c.bound.by.IsZero() && !now.Before(c.bound.due) {
		return false
	}
	if c.limited == nil && now.Sub(t.limitTold) > limitTellEvery {
		t.limitTold = now
		t.journal.write(func(log *slog.Logger) {
			log.Info("waiting for a limit", "endpoint", l.endpoint, "limit", err.Limit, "err", err)
		})
	}
	c.limited = err
	c.limits++
	if c.limitedSince.IsZero() {
		c.limitedSince = now
	}
	if c.limit > 0 && now.Sub(c.limitedSince) > c.limit && len(t.cfg.Endpoints) > 1 {
		t.leave(l, err, now)
		return true
	}
	wait := err.delay(c.limits)
	if c.limit > 0 { // a heartbeat's lease does not wait
		wait = min(wait, max(minBackoff, c.limit/4))
	}
	if c.retryAt = now.Add(wait); !c.bound.by.IsZero() && c.bound.due.Before(c.retryAt) {
		c.retryAt = c.bound.due // once more, and that counts
	}
	c.link, c.resent = nil, 0 // it is not owed until it is sent again
	return true
}

// orLimit is the error of a caller who did not wait any longer: err, and the limit that its call
// came upon, if any.
func (t *transport) orLimit(c *call, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.orLimit(err)
}

// orLimit is the transport's of that name. mu is held.
func (c *call) orLimit(err error) error {
	if c == nil || c.limited == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, c.limited)
}

// Limited returns the limit of a server that calls are waiting for just now, as an operator may
// want to know, or nil.
func (c *Client) Limited() *Error {
	t := c.wire
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.calls {
		if c.limited != nil && !c.retryAt.IsZero() {
			return c.limited
		}
	}
	return t.following
}

// pause waits until a stream of answers that a limit has refused may be opened again.
func (t *transport) pause(ctx context.Context, err *Error, limits int) error {
	t.mu.Lock()
	t.following = err
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.following = nil
	}()
	timer := time.NewTimer(err.delay(limits))
	defer timer.Stop()
	for {
		t.mu.Lock()
		closed, changed := t.closed, t.changed
		t.mu.Unlock()
		if closed {
			return ErrClosed
		}
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-changed:
		}
	}
}

// untouched is the limit that has refused all sendings of a call, which has then changed nothing,
// though its lease has ended meanwhile; nil: it is not so.
func untouched(a answer) *Error {
	if e, ok := errors.AsType[*Error](a.err); ok && a.once && errors.Is(a.err, ErrLimit) {
		return e
	}
	return nil
}

// refusedByLimit is the limit by which a server refused a stream; nil: it was not refused so.
func refusedByLimit(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e.limited() {
		return e
	}
	return nil
}
