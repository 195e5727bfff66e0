package client

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// receiver is a stream of answers.
type receiver[M any] interface {
	Recv() (*M, error)
}

// errStopped ends a follow whose caller has seen enough.
var errStopped = errors.New("stopped")

// follow opens a stream of answers, and opens it again, on another server if need be. It returns
// nil when give returns false, which is when the caller wants no more; otherwise it returns the
// error that ended it. open is to resume where the last answer ended.
func follow[M any](
	ctx context.Context,
	t *transport,
	open func(context.Context, dlmv1.LockServiceClient) (receiver[M], error),
	give func(*M) bool,
) error {
	var failing time.Time // since when nothing has come; zero: all is well
	limits := 0           // that refused it, in a row
	refusals := 0         // of who this client is
	for {
		opened := time.Now()
		since := opened
		if !failing.IsZero() {
			since = failing
		}
		l, err := t.current(ctx, since)
		if err != nil {
			return err
		}
		got, err := followOn(ctx, t, l, open, give)
		var refused *Error
		switch {
		case errors.Is(err, errStopped):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrQuota) && got:
			continue // the caller did not keep up, and begins anew
		case errors.As(err, &refused) && refused.limited():
			switch {
			case got || refused.Reason != "":
				failing = time.Time{}
			case failing.IsZero():
				failing = opened
			case time.Since(failing) >= t.cfg.ConnectTimeout:
				return errors.Join(ErrUnavailable, err)
			}
			if got {
				limits = 0
			}
			limits++
			if err := t.pause(ctx, refused, limits); err != nil {
				return err
			}
			continue
		case errors.Is(err, ErrUnauthenticated) && got:
			continue // the token that it was opened with has ended, and there may be another one
		case denied(err):
			if refusals++; !errors.Is(err, ErrUnauthenticated) || t.useful(l) || refusals >= len(t.cfg.Endpoints) {
				return err
			}
			// On to a server that may see this otherwise.
		case errors.As(err, &refused) && foreign(refused) && t.passedOver(l, refused):
			// On to a server that may not say so.
		case errors.As(err, &refused) && refused.Reason != "" && !refused.indeterminate():
			return err // an error without a reason is a connection that broke
		}
		t.suspect(l, err)
		limits = 0
		// A stream that stayed open had been accepted, even if nothing came on it.
		if failing.IsZero() || got || time.Since(opened) > t.cfg.ConnectTimeout {
			failing = time.Now()
		}
		if time.Since(failing) >= t.cfg.ConnectTimeout {
			return errors.Join(ErrUnavailable, err)
		}
	}
}

// followOn follows on one link. It returns whether any answer came, and why it ended.
func followOn[M any](
	ctx context.Context,
	t *transport,
	l *link,
	open func(context.Context, dlmv1.LockServiceClient) (receiver[M], error),
	give func(*M) bool,
) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx, dlmv1.NewLockServiceClient(l.conn))
	if err != nil {
		return false, rpcError(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = status.Error(codes.Unavailable, "the server ended the stream")
		}
		if err != nil {
			return got, rpcError(err)
		}
		got = true
		t.heard(l)
		if !give(m) {
			return true, errStopped
		}
	}
}
