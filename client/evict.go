package client

import (
	"context"
	"errors"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// evictions is how many holders in a row Evict follows when it was not told whom to evict.
const evictions = 5

// Evict takes a lock from the holder that has this token: its section is undone, the lock passes on. Token 0 evicts
// whoever holds the lock when Evict is called. The reason is kept and shown: 1 to 256 bytes of UTF-8 without control
// characters. It tells who was evicted; nil: the holder had already lost or left the lock. A repeat with a token changes
// nothing and succeeds. Errors: ErrLockExpired (another token holds the lock), ErrLockNotFound (nobody holds it),
// ErrInvalidName, ErrInvalidArgument, ErrUnavailable, ErrClosed, that of ctx.
func (c *Client) Evict(ctx context.Context, lock string, token int64, reason string) (*dlmv1.Holder, error) {
	h, err := c.evict(ctx, lock, token, reason)
	if err != nil {
		return nil, fmt.Errorf("evict from %q: %w", lock, err)
	}
	return h, nil
}

func (c *Client) evict(ctx context.Context, lock string, token int64, reason string) (*dlmv1.Holder, error) {
	if err := errors.Join(names(lock), text(reason)); err != nil {
		return nil, err
	}
	if token != 0 {
		return c.evictToken(ctx, lock, token, reason)
	}
	// A call without a token must not be repeated, as it could meet the next holder: find out whose it is first.
	for range evictions {
		state, err := c.Inspect(ctx, lock)
		if err != nil {
			return nil, err
		}
		if state.GetHolder().GetToken() == 0 {
			return nil, fmt.Errorf("%w: nobody holds it", ErrLockNotFound)
		}
		h, err := c.evictToken(ctx, lock, state.GetHolder().GetToken(), reason)
		if !errors.Is(err, ErrLockExpired) {
			return h, err
		}
	}
	return nil, fmt.Errorf("%w: it changed hands %d times meanwhile", ErrLockExpired, evictions)
}

func (c *Client) evictToken(ctx context.Context, lock string, token int64, reason string) (*dlmv1.Holder, error) {
	r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Evict{
		Evict: &dlmv1.EvictRequest{Lock: lock, Token: token, Reason: reason},
	}}, (*dlmv1.StreamResponse).GetEvict)
	return r.GetEvicted(), err
}
