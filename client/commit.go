package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Commit publishes the section and goes on holding the lock under a new token, in one step. It
// waits for appends that are unanswered, and holds up new ones until it is answered itself.
//
//   - nil: the section is published. If the lock was lost right after that, the Context says so.
//   - [ErrLockExpired]: the lock is lost, the section was not published.
//   - [ErrOutcomeUnknown]: the lock is lost, and it is not known whether the section was published:
//     no server could be asked, or the commit was sent more than once and it is too late to find
//     out what became of the first.
//   - [ErrDataLoss]: an append that had succeeded is gone. Nothing was published, the section goes
//     on, and can only be discarded.
//   - the error of ctx, while appends were unanswered: nothing was committed, the section goes on.
//   - the error of ctx, after that: the commit goes on without the caller, and the next call on
//     this Lock waits for it.
//   - [ErrEnded], [ErrClosed]: the section had ended before, or the client was closed.
//   - an error that wraps an append's, when it is not known whether that append was staged: the
//     section is discarded and the lock given up.
//   - any other error, as [ErrNoSpace] or [ErrPermissionDenied]: nothing was committed, the section
//     goes on.
func (l *Lock) Commit(ctx context.Context) error {
	hooks := l.begin(ctx, Call{Op: OpCommit})
	err := l.commit(ctx, hooks.Traceparent)
	if hooks.End != nil {
		hooks.End(l.result(err))
	}
	if err != nil {
		return fmt.Errorf("commit %q: %w", l.a.lock, err)
	}
	return nil
}

func (l *Lock) commit(ctx context.Context, traceparent string) error {
	answers := make(chan error, 1)
	if err := l.enter(ctx); err != nil {
		return err
	}
	l.committing = true
	l.epoch++
	var err error
	for len(l.staging) > 0 && l.lost == nil && err == nil {
		err = l.pause(ctx)
	}
	if l.lost != nil {
		err = l.lost
	}
	if doubt := l.doubt; err == nil && doubt != nil {
		l.endCommit()
		l.mu.Unlock()
		_ = l.endBy(ctx, discard, traceparent)
		return undone(doubt)
	}
	if err == nil {
		err = l.sendCommit(answers, traceparent)
	}
	if err != nil {
		l.endCommit()
		l.mu.Unlock()
		return err
	}
	l.mu.Unlock()
	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendCommit starts the call, whose outcome goes to answers. mu is held.
func (l *Lock) sendCommit(answers chan<- error, traceparent string) error {
	s := l.a.s
	s.pin()
	err := s.c.wire.start(&call{
		message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Commit{Commit: &dlmv1.CommitRequest{
			Session: s.credential, Lock: l.a.lock, Token: l.token, Appended: l.appended || l.shared, Last: l.last(),
		}}}),
		lease: s,
		done:  func(a answer) { l.commitAnswered(a, answers) },

		traceparent: traceparent,
	})
	if err != nil {
		s.unpin()
		return err
	}
	l.asked = true
	return nil
}

// commitAnswered takes the answer to a commit.
func (l *Lock) commitAnswered(a answer, answers chan<- error) {
	s := l.a.s
	err := a.err
	m := a.msg.GetCommit()
	l.mu.Lock()
	if err == nil && (m == nil || m.GetToken() != 0 && m.GetToken() <= l.token) {
		err = errMalformed // a new token is above the old one
	}
	switch {
	case err == nil && m.GetToken() != 0:
		l.token, l.numbered, l.appended, l.unsure = m.GetToken(), 0, false, nil
		l.lasts = nil
	case err == nil:
		l.heed()
		l.loseLocked(fmt.Errorf("%w: %q was lost after the commit of token %d", ErrLockExpired, l.a.lock, l.token))
	case isOver(err):
		err = l.outcome(a)
		l.loseLocked(err)
	case foreign(err):
		// An earlier sending may have been carried out, by a state that is not there any more.
		l.loseLocked(fmt.Errorf("%w: %w", ErrLockExpired, err))
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	case untouched(a) != nil:
		err = cmp.Or(l.lost, error(untouched(a)))
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		// The lock is lost: while it is held, the call is repeated.
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	case !definite(err, a.once):
		l.unsure = err
	}
	l.heed()
	answers <- err
	l.endCommit()
	l.mu.Unlock()
	s.unpin()
}

// endCommit lets the section go on after a commit, whatever became of it: what the commit held up
// is done now. mu is held.
func (l *Lock) endCommit() {
	l.committing, l.asked = false, false
	l.epoch++
	if l.lost != nil && l.end == nil {
		l.a.s.delist(l.a)
	}
	l.advance()
	l.announce()
}
