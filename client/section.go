package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

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
	if err := names(file); err != nil {
		return err
	}
	s := l.a.s
	m := &dlmv1.AppendRequest{Session: s.credential, Lock: l.a.lock, File: file, Data: bytes.Clone(data)}
	c := &call{message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: m}}), lease: s}
	answers := make(chan error, 1)
	c.done = func(a answer) { l.stagedWith(c, a, answers) }

	if err := l.open(ctx); err != nil {
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

// stagedWith takes the answer to an append.
func (l *Lock) stagedWith(c *call, a answer, answers chan<- error) {
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

// Section is a section that another process holds and shares by its Lock's Credential. It can only be appended to.
type Section struct {
	wire       *transport
	lock       string
	credential string
	token      int64
	prefix     string
	number     atomic.Uint64
}

// Section gives access to a section that another process holds under this token. Nothing is checked before the first
// Append.
func (c *Client) Section(lock, credential string, token int64) *Section {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	// The holder numbers its requests in decimal: a letter in front keeps these apart from them.
	return &Section{wire: c.wire, lock: lock, credential: credential, token: token, prefix: "s" + hex.EncodeToString(b[:])}
}

// Append stages one record, as Lock.Append does. Records of one Section are in the order of calls that do not overlap;
// they come before those that the holder itself appended in the same section.
//
// nil: the record is in the section, once. ErrLockExpired: the token does not hold the lock any more. ErrTooLarge,
// ErrQuota, ErrNoSpace, ErrInvalidName: nothing was staged. ErrUnavailable, the error of ctx, or any other error: the
// outcome is unknown, and the holder should discard. A repeat of Append is another record.
func (s *Section) Append(ctx context.Context, file string, data []byte) error {
	err := errors.Join(names(s.lock, file), text(s.credential))
	if err == nil {
		_, err = ask(ctx, s.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: &dlmv1.AppendRequest{
			Session: s.credential,
			Lock:    s.lock,
			Token:   s.token,
			Request: s.prefix + "." + strconv.FormatUint(s.number.Add(1), 10),
			File:    file,
			Data:    bytes.Clone(data),
		}}}, (*dlmv1.StreamResponse).GetAppend)
	}
	if err != nil {
		return fmt.Errorf("append to %q of %q: %w", file, s.lock, err)
	}
	return nil
}
