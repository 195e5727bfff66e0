package client

import (
	"context"
	"errors"
	"time"
)

// settleTimeout is how long the end of a section goes on after the caller's context has ended.
const settleTimeout = 5 * time.Second

// Do acquires a lock, runs fn under it, and ends the section:
//   - fn returns nil: the section is published.
//   - fn returns an error: the section is discarded, and Do returns that error as it is.
//   - fn panics: the section is discarded, and the panic goes on.
//   - fn ends the section itself: Do leaves it at that.
//
// The context that fn gets ends with ctx, and with the hold; its cause is then that of
// [Lock.Context]. fn may append and commit.
//
// The section's end goes on for up to 5 s after ctx has ended, so that what fn has finished is
// published, and the lock is not left to the session's TTL.
//
// Do returns the errors of [Client.Lock], of fn and of [Lock.Unlock]. After each of them the lock
// is not held any more.
func (c *Client) Do(ctx context.Context, name string, fn func(ctx context.Context, l *Lock) error, opts ...LockOption) error {
	l, err := c.Lock(ctx, name, opts...)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.Context(), func() { cancel(context.Cause(l.Context())) })()
	// This also frees the lock if fn panics or ends its goroutine. After an Unlock it changes
	// nothing.
	defer func() {
		ending, stop := outlive(ctx, settleTimeout)
		defer stop()
		_ = l.Discard(ending)
	}()
	if err := fn(inner, l); err != nil {
		return err
	}
	ending, stop := outlive(ctx, settleTimeout)
	defer stop()
	err = l.Unlock(ending)
	if errors.Is(err, ErrEnded) {
		return nil // fn discarded it
	}
	return err
}

// outlive returns a context that ends some time after ctx.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(d, cancel)
	timer.Stop()
	stop := context.AfterFunc(ctx, func() { timer.Reset(d) })
	return out, func() {
		stop()
		cancel()
		timer.Stop()
	}
}
