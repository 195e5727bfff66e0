package commit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What becomes of a transaction but for an answer. An error that is none of these, and neither the
// caller's own end, is etcd's word for what this package has none for; whether the transaction took
// effect is then not known.
var (
	// ErrNoQuorum: etcd could not be reached, has no leader, or did not answer in time.
	// Indeterminate.
	ErrNoQuorum = errors.New("no quorum")
	// ErrClosed: there will be no answer, as the engine is being closed. Indeterminate.
	ErrClosed = errors.New("store closed")
	// ErrNoSpace: etcd's space quota is used up. Nothing was changed, unless this very transaction
	// used it up: etcd runs that one, and refuses it all the same.
	ErrNoSpace = errors.New("no space")
	// ErrAlarm is [ErrNoSpace] as etcd itself says it: from then on it refuses every put, until
	// somebody takes the alarm back.
	ErrAlarm = fmt.Errorf("%w: etcd has raised its alarm and refuses all new data: make room, or raise the quota, and disarm it, as "+
		"docs/operations.md says under \"When the space runs out\"", ErrNoSpace)
	// ErrSessionExpired: a lease that something is put on has ended. Nothing was changed.
	ErrSessionExpired = errors.New("session expired")
)

// notSent is the error of a transaction that etcd was never asked to run.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// NotSent reports whether an error says that etcd was never asked to run the transaction: it has
// changed nothing, and will not.
func NotSent(err error) bool {
	_, is := errors.AsType[notSent](err)
	return is
}

// explain turns what etcd said into one of the errors above, where it is one. ctx is that of the
// call of etcd, whose cause tells the caller's end from a bound of ours.
func (e *Engine) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrWentBack):
		return err
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return ErrSessionExpired
	case errors.Is(err, rpctypes.ErrNoSpace):
		return ErrAlarm
	case e.env.Closed():
		return ErrClosed
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrNoQuorum):
		return fmt.Errorf("%w: no answer in time", ErrNoQuorum)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case unavailable(err):
		return fmt.Errorf("%w: %w", ErrNoQuorum, err)
	}
	return fmt.Errorf("etcd: %w", err)
}

// unavailable reports whether an error says nothing but: not here, or not now.
func unavailable(err error) bool {
	code := status.Code(err)
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok { // which hides its code from status
		code = e.Code()
	}
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted:
		return true
	case codes.Unauthenticated: // a login that this member does not know, or not any more; a wrong password has another code
		return true
	case codes.Unknown: // an in-process etcd that has stopped answers so
		return strings.Contains(err.Error(), "stopped") || errors.Is(err, context.DeadlineExceeded)
	default:
		return false
	}
}
