package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Append stages one record of at most 1 MiB: it is durable, and readable at the end of the file once the section is
// published. Records of appends that overlap are in the order in which the calls began. No data: the file exists from
// the publication on. The data may be changed once Append has returned.
//
// nil: the record is in the section, once. ErrLockExpired: the lock is lost, the section will not be published. The error
// of ctx: the append goes on without the caller, and Unlock and Commit wait for it. ErrTooLarge, ErrQuota, ErrNoSpace,
// ErrInvalidName: nothing was staged, the section goes on. ErrEnded: the section has ended. An error that is none of
// these: the outcome is unknown, and the section can only be discarded. A repeat of Append is another record.
func (l *Lock) Append(ctx context.Context, file string, data []byte) error {
	if err := l.append(ctx, file, data); err != nil {
		return fmt.Errorf("append to %q of %q: %w", file, l.a.lock, err)
	}
	return nil
}

func (l *Lock) append(ctx context.Context, file string, data []byte) error {
	if err := checkNames(file); err != nil {
		return err
	}
	s := l.a.s
	m := &dlmv1.AppendRequest{Session: s.credential, Lock: l.a.lock, File: file, Data: bytes.Clone(data)}
	c := &call{message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: m}}), lease: s}
	answers := make(chan error, 1)
	c.done = func(a answer) { l.appendAnswered(c, a, answers) }

	if err := l.enter(ctx); err != nil {
		return err
	}
	m.Token, m.Number, m.Request = l.token, l.numbered+1, s.nextRequest()
	if err := s.c.wire.start(c); err != nil {
		l.mu.Unlock()
		return err
	}
	l.numbered++
	l.appended = true
	if l.staging == nil {
		l.staging = make(map[*call]struct{})
	}
	l.staging[c] = struct{}{}
	l.mu.Unlock()

	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
	case <-l.ctx.Done():
	}
	// What came first counts, and a loss is more to know than the end of a context that ends with the hold.
	select {
	case err := <-answers:
		return err
	default:
	}
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return ctx.Err()
}

// appendAnswered takes the answer to an append.
func (l *Lock) appendAnswered(c *call, a answer, answers chan<- error) {
	err := a.err
	if err == nil && a.msg.GetAppend() == nil {
		err = errMalformed
	}
	answers <- err
	if errors.Is(err, ErrSessionExpired) {
		l.a.s.lose(fmt.Errorf("%w: %w", ErrLockExpired, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.staging, c)
	switch {
	case err == nil:
	case errors.Is(err, ErrLockExpired):
		if !l.discarding() {
			l.loseLocked(err)
		}
	case !definite(err):
		l.doubt = err
	}
	l.advance()
	l.announce()
}

// discarding tells whether the section is being discarded, so that a refused append is no news. mu is held.
func (l *Lock) discarding() bool {
	return l.end != nil && (l.end.way == discard || l.end.why != nil)
}
