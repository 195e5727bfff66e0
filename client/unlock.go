package client

import (
	"context"
	"errors"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// way is how a section ends.
type way int

const (
	unlock way = iota + 1
	discard
)

// ending is a section's end, from the call of Unlock or Discard to its answer.
type ending struct {
	way way
	why error // why an Unlock had to become a discard; nil: it did not

	traceparent string // see call

	sent bool
	done chan struct{} // closed, once, by settle or reopen
	err  error         // set before done is closed
}

// publishes reports whether the end is to publish the section. mu is held.
func (e *ending) publishes() bool { return e.way == unlock && e.why == nil }

// hasEnded reports whether the end is over. A nil ending is not.
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

// Unlock publishes the section and gives the lock up, in one step. It waits for appends that are
// unanswered, and is repeated until it is answered. A second Unlock returns what the first did.
//
//   - nil: the section is published.
//   - [ErrLockExpired]: the lock had been lost, the section was not published.
//   - [ErrOutcomeUnknown]: it is not known whether the section is published: no server could be
//     asked, and the lease has ended meanwhile; or the release was sent more than once, and it is
//     too late to find out what became of the first; or the cluster went back, which then is an
//     [ErrWentBack] as well.
//   - [ErrDataLoss]: an append that had succeeded is gone. Nothing is published, the lock is held
//     still: discard the section.
//   - the error of ctx, while appends were unanswered: the section is discarded.
//   - the error of ctx, after that: the release goes on without the caller, and a second Unlock
//     waits for what becomes of it.
//   - [ErrEnded]: Discard was called before.
//   - [ErrClosed]: the client was closed before, the section was not published.
//   - an error that wraps an append's, when it is not known whether that append was staged: the
//     section is discarded. With [ErrPublished] an earlier Unlock, refused at first, went through.
//   - any other error, as [ErrNoSpace] or [ErrPermissionDenied]: the section goes on. Unlock it
//     again, or discard it.
func (l *Lock) Unlock(ctx context.Context) error {
	if err := l.endTold(ctx, OpRelease, unlock); err != nil {
		return fmt.Errorf("unlock %q: %w", l.a.lock, err)
	}
	return nil
}

// Discard drops the section and gives the lock up. If the lock has been lost there is nothing to
// drop, and Discard succeeds. A second Discard returns what the first did.
//
//   - nil: the section is not published and never will be. After a Commit that its caller has not
//     waited for that is what has been appended since, if the Commit went through: [Lock.Token]
//     then is another one.
//   - [ErrPublished]: an earlier release, refused at first, went through after all.
//   - [ErrOutcomeUnknown]: it is not known whether an earlier release, refused at first, went
//     through.
//   - [ErrEnded]: Unlock was called before. Discard changes nothing.
//   - the error of ctx: the discard goes on without the caller.
//   - any other error: the section goes on.
func (l *Lock) Discard(ctx context.Context) error {
	if err := l.endTold(ctx, OpDiscard, discard); err != nil {
		return fmt.Errorf("discard %q: %w", l.a.lock, err)
	}
	return nil
}

// endTold is endBy, of which the hooks are told if the section goes on until then: whoever discards
// it beside an Unlock does nothing.
func (l *Lock) endTold(ctx context.Context, op Op, w way) error {
	l.mu.Lock()
	over := l.end != nil
	l.mu.Unlock()
	if over || l.a.s.c.cfg.Hooks.Call == nil {
		return l.endBy(ctx, w, "")
	}
	hooks := l.begin(ctx, Call{Op: op})
	err := l.endBy(ctx, w, hooks.Traceparent)
	hooks.end(l.result(err))
	return err
}

// endBy ends the section in one way, and waits for what becomes of it.
func (l *Lock) endBy(ctx context.Context, w way, traceparent string) error {
	l.mu.Lock()
	e := l.end
	switch {
	case e == nil:
		e = &ending{way: w, done: make(chan struct{}), traceparent: traceparent}
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

// lossOf is the result of an end that was not sent before the hold was lost: nothing was published.
// It is unknown, though, if an earlier attempt met an error that proves nothing, as it may have
// been carried out. mu is held.
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
	publish := e.publishes()
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
			Session: s.credential, Lock: l.a.lock, Token: l.token, Appended: appended, Last: l.last(),
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

		traceparent: e.traceparent,
	})
	if err != nil {
		l.settle(err)
		s.unpin()
	}
}

// settle ends the section for good. It is called once for an ending: by whoever finds the hold lost
// while the end is not sent, and by the end's answer (or its failure to start) once it is. mu is
// held.
func (l *Lock) settle(err error) {
	e := l.end
	switch {
	case e.why == nil:
	case errors.Is(err, ErrPublished), errors.Is(err, ErrOutcomeUnknown):
		err = fmt.Errorf("%w: %w", err, e.why)
	default:
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
	case untouched(a) != nil:
		l.reopen(e, untouched(a), true)
	case foreign(err), errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		// The lease has ended: while it lives the call is repeated. Or the state is not there any
		// more in which an earlier sending may have been carried out.
		if e.publishes() || l.unsure != nil {
			l.settle(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
		} else {
			l.settle(nil)
		}
	case isOver(err):
		l.heed()
		err = l.outcome(a)
		if errors.Is(err, ErrLockExpired) && !e.publishes() {
			err = nil // nothing was published, which is what was wanted
		}
		l.settle(err)
	default:
		if err == nil {
			err = errMalformed
		}
		l.reopen(e, err, a.once)
	}
	l.mu.Unlock()
	l.a.s.unpin()
}

// isOver reports whether the error of an ending, or of a commit, says that the section is over.
func isOver(err error) bool {
	return errors.Is(err, ErrLockExpired) || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrSessionExpired)
}

// outcome is what the answer to an ending, or to a commit, says of a section that is over. If the
// server knows that the message it answers has not ended it, the section was lost: provided that
// there was no other message, of this call or of an earlier attempt, that may have. It knows that
// if it says so; and if it refuses the session, since then it has done nothing. mu is held.
func (l *Lock) outcome(a answer) error {
	var e *Error
	refused := errors.Is(a.err, ErrSessionExpired)
	switch {
	case !errors.As(a.err, &e), !e.notByThisCall && !refused:
		return a.err
	case a.once && l.unsure == nil && refused:
		return fmt.Errorf("%w: %w", ErrLockExpired, a.err)
	case a.once && l.unsure == nil:
		return fmt.Errorf("%w: %s", ErrLockExpired, a.err.Error()) // which is no unknown outcome
	case refused:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, a.err)
	}
	return a.err
}

// reopen lets the section go on after an end that was refused, unless it was lost meanwhile. mu is
// held.
func (l *Lock) reopen(e *ending, err error, once bool) {
	if !definite(err, once) {
		l.unsure = err
	}
	l.heed()
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
