package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Section is a section that another process holds, and shares by its [Lock.Credential]. It can only
// be appended to.
type Section struct {
	wire       *transport
	lock       string
	credential string
	token      int64
	prefix     string
	number     atomic.Uint64
}

// Section returns access to a section that another process holds under this token. Nothing is
// checked before the first Append.
func (c *Client) Section(lock, credential string, token int64) *Section {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	// The holder numbers its requests in decimal. A letter in front keeps these apart from them.
	return &Section{wire: c.wire, lock: lock, credential: credential, token: token, prefix: "s" + hex.EncodeToString(b[:])}
}

// EndSession ends a session that another process has begun, by its [Lock.Credential]: with it ends,
// at once, all that it holds or waits for, and sections that are open are undone. That process must
// have ended before. It succeeds if the session has ended already, as a repeat finds it.
//
// Errors:
//   - [ErrSessionExpired], [ErrInvalidArgument]: the credential is wrong, and nothing was changed.
//   - [ErrUnavailable], [ErrClosed], that of ctx: whether it was ended is not known.
func (c *Client) EndSession(ctx context.Context, credential string) error {
	err := checkText(credential)
	if err == nil {
		_, err = ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Close{
			Close: &dlmv1.CloseRequest{Session: credential},
		}}, (*dlmv1.StreamResponse).GetClose)
	}
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Append stages one record, as [Lock.Append] does. Records of one Section are in the order of calls
// that do not overlap. They come before those that the holder itself appended in the same section.
//
// A repeat of Append is another record, so an error matters:
//   - nil: the record is in the section, once.
//   - [ErrLockExpired]: the token does not hold the lock any more.
//   - [ErrTooLarge], [ErrQuota], [ErrNoSpace], [ErrInvalidName]: nothing was staged.
//   - [ErrUnavailable], the error of ctx, any other error: whether the record was staged is not
//     known, and the holder should discard.
func (s *Section) Append(ctx context.Context, file string, data []byte) error {
	return s.Stage(ctx, Append(file, data))
}

// Stage stages one operation, as [Lock.Stage] does. Everything else is as of [Section.Append], and
// there is one error more:
//   - [ErrUnimplemented]: the servers do not do that, or not before the feature `life` is switched
//     on. Nothing was staged.
func (s *Section) Stage(ctx context.Context, o *Operation) error {
	m, err := appendOf(o)
	if err = errors.Join(checkNames(s.lock), err, checkText(s.credential)); err == nil {
		m.Session, m.Lock, m.Token = s.credential, s.lock, s.token
		m.Request = s.prefix + "." + strconv.FormatUint(s.number.Add(1), 10)
		_, err = ask(ctx, s.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: m}}, (*dlmv1.StreamResponse).GetAppend)
	}
	if err != nil {
		return fmt.Errorf("%s %q of %q: %w", whatDoes(o), o.GetFile(), s.lock, err)
	}
	return nil
}

// errStillHeld is the answer to a question that was asked too early.
var errStillHeld = errors.New("the section is held still")

// Outcome returns how the section ended, for somebody who outlives its holder. The holder must have
// ended: it is an error, and nothing is changed, if the section is still held.
//
//   - nil: the holder released the lock.
//   - [ErrLockExpired]: it was lost or discarded, and its records were not published.
//   - [ErrOutcomeUnknown]: that was too long ago to be told.
//   - [ErrUnavailable], [ErrClosed], that of ctx, any other error: nothing is known.
func (s *Section) Outcome(ctx context.Context) error {
	if err := s.outcome(ctx); err != nil {
		return fmt.Errorf("how a section of %q ended: %w", s.lock, err)
	}
	return nil
}

func (s *Section) outcome(ctx context.Context) error {
	if err := checkText(s.credential); err != nil {
		return err
	}
	info, err := inspect(ctx, s.wire, s.lock)
	switch {
	case errors.Is(err, ErrLockNotFound):
	case err != nil:
		return err
	case info.GetHolder().GetToken() == s.token:
		return errStillHeld
	}
	// Tokens do not come back, so that this finds out how the section ended, and ends nothing.
	_, err = ask(ctx, s.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Release{
		Release: &dlmv1.ReleaseRequest{Session: s.credential, Lock: s.lock, Token: s.token},
	}}, (*dlmv1.StreamResponse).GetRelease)
	return err
}
