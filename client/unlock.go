package client

import (
	"context"
	"errors"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// How a section ends.
type way int

const (
	unlock way = iota + 1
	discard
)

// ending is a section's end, from the call of Unlock or Discard to its answer.
type ending struct {
	way  way
	why  error // an Unlock that had to become a discard
	sent bool
	done chan struct{} // closed when it is over
	err  error         // set before
}

// hasEnded reports whether the section has ended.
func (e *ending) hasEnded() bool {
	if e == nil {
		return false
	}
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// Unlock publishes the section and gives the lock up, in one step. It waits for appends that are unanswered, and is
// repeated until it is answered. A second Unlock answers as the first; after Discard it fails with ErrEnded.
//
// nil: the section is published. ErrLockExpired: the lock had been lost, the section was not published.
// ErrOutcomeUnknown: no server could be asked, and the lease has ended meanwhile. The error of ctx: if appends were
// still unanswered, the section is discarded; otherwise the release goes on without the caller, and a second Unlock
// waits for what becomes of it. If an append's outcome cannot be known, the section is discarded and the error says so.
// Other errors, as ErrNoSpace: the section goes on; unlock it again, or discard it.
func (l *Lock) Unlock(ctx context.Context) error {
	if err := l.endBy(ctx, unlock); err != nil {
		return fmt.Errorf("unlock %q: %w", l.a.lock, err)
	}
	return nil
}

// Discard drops the section and gives the lock up. If the lock has been lost there is nothing to drop, and it succeeds. A
// second Discard answers as the first; after Unlock it changes nothing and fails with ErrEnded.
//
// nil: the section is not published and never will be. ErrPublished: an earlier release, refused at first, went through
// after all. The error of ctx: the discard goes on without the caller. Other errors: the section goes on.
func (l *Lock) Discard(ctx context.Context) error {
	if err := l.endBy(ctx, discard); err != nil {
		return fmt.Errorf("discard %q: %w", l.a.lock, err)
	}
	return nil
}

func (l *Lock) endBy(ctx context.Context, w way) error {
	l.mu.Lock()
	e := l.end
	switch {
	case e == nil:
		e = &ending{way: w, done: make(chan struct{})}
		l.end = e
		l.epoch++
		if l.lost != nil {
			l.settle(l.lossOf(e))
		} else {
			l.advance()
		}
		l.announce()
	case e.way != w:
		l.mu.Unlock()
		return ErrEnded
	}
	l.mu.Unlock()
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.hasEnded() {
		return e.err
	}
	if w == unlock && !e.sent {
		e.why = ctx.Err()
		l.advance()
		return undone(e.why)
	}
	return ctx.Err()
}

// undone is the error of a section that was to be published and is discarded.
func undone(why error) error {
	return fmt.Errorf("the section is discarded, not all of its appends were answered: %w", why)
}

// lossOf is the result of an end that was not sent before the hold was lost: nothing was published, unless a server
// failed over an earlier attempt in a way that proves nothing.
func (l *Lock) lossOf(e *ending) error {
	switch {
	case l.unsure != nil:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, l.unsure)
	case e.way == discard:
		return nil
	}
	return l.lost
}

// advance sends the section's end as soon as it can be sent. mu is held.
func (l *Lock) advance() {
	e := l.end
	if e == nil || e.sent || e.hasEnded() || l.committing {
		return
	}
	publish := e.way == unlock && e.why == nil
	if publish && len(l.staging) > 0 {
		return
	}
	if publish && l.doubt != nil {
		e.why, publish = l.doubt, false
	}
	s := l.a.s
	appended := l.appended || l.shared
	m := &dlmv1.StreamRequest{}
	if publish {
		m.Request = &dlmv1.StreamRequest_Release{Release: &dlmv1.ReleaseRequest{
			Session: s.credential, Lock: l.a.lock, Token: l.token, Appended: appended,
		}}
	} else {
		m.Request = &dlmv1.StreamRequest_Discard{Discard: &dlmv1.DiscardRequest{
			Session: s.credential, Lock: l.a.lock, Token: l.token, Appended: appended,
		}}
	}
	e.sent = true
	s.pin()
	err := s.c.wire.start(&call{
		message: request(m),
		lease:   s,
		done:    func(a answer) { l.endAnswered(e, a) },
	})
	if err != nil {
		l.settle(err)
		s.unpin()
	}
}

// settle ends the ending. mu is held.
func (l *Lock) settle(err error) {
	e := l.end
	if e.why != nil {
		err = undone(e.why)
	}
	e.err = err
	if errors.Is(err, ErrLockExpired) {
		l.cancel(err)
	}
	l.cancel(ErrEnded)
	l.a.s.delist(l.a)
	close(e.done)
	l.announce()
}

// endAnswered takes the answer to a release or discard.
func (l *Lock) endAnswered(e *ending, a answer) {
	l.mu.Lock()
	err := a.err
	switch {
	case err == nil && a.msg.GetRelease() != nil:
		l.settle(nil)
	case err == nil && a.msg.GetDiscard() != nil:
		if a.msg.GetDiscard().GetPublished() {
			err = ErrPublished
		}
		l.settle(err)
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		// The lease has ended: while it lives, the call is repeated.
		if e.way == unlock && e.why == nil {
			l.settle(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
		} else {
			l.settle(nil)
		}
	case errors.Is(err, ErrLockExpired), errors.Is(err, ErrOutcomeUnknown), errors.Is(err, ErrSessionExpired):
		l.settle(err)
	default:
		if err == nil {
			err = errMalformed
		}
		l.reopen(e, err)
	}
	l.mu.Unlock()
	l.a.s.unpin()
}

// reopen lets the section go on after an end that was refused, unless it was lost meanwhile. mu is held.
func (l *Lock) reopen(e *ending, err error) {
	if !definite(err) {
		l.unsure = err
	}
	if l.lost != nil {
		l.settle(l.lossOf(e))
		return
	}
	e.err = err
	l.end = nil
	l.epoch++
	close(e.done)
	l.announce()
}
