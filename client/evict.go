package client

import (
	"context"
	"errors"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Evict takes a lock from the holder that has this token: its section is undone, and the lock
// passes on. Token 0 stands for whoever holds the lock when Evict looks, and for nobody else:
// should that holder leave by itself before it is evicted, the next one is not hit. The reason is
// kept and shown: 1 to 256 bytes of UTF-8 without control characters. A repeat with a token changes
// nothing and succeeds.
//
// It returns who was evicted, or an error:
//   - nil, nil: the token does not hold the lock any more, so there was nothing to do. (Or an
//     earlier sending of this very call did it, and its answer was lost.)
//   - [ErrLockNotFound]: token 0 was given, and nobody holds the lock.
//   - [ErrInvalidName], [ErrInvalidArgument], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) Evict(ctx context.Context, lock string, token int64, reason string) (*Holder, error) {
	h, err := c.evict(ctx, lock, token, reason)
	if err != nil {
		return nil, fmt.Errorf("evict from %q: %w", lock, err)
	}
	return h, nil
}

func (c *Client) evict(ctx context.Context, lock string, token int64, reason string) (*Holder, error) {
	if err := errors.Join(checkNames(lock), checkText(reason)); err != nil {
		return nil, err
	}
	if token == 0 {
		// Without a token, a call that is repeated after a lost answer would evict the next holder:
		// name the holder that it is about.
		state, err := c.Inspect(ctx, lock)
		if err != nil {
			return nil, err
		}
		if token = state.GetHolder().GetToken(); token == 0 {
			return nil, fmt.Errorf("%w: nobody holds it", ErrLockNotFound)
		}
	}
	r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Evict{
		Evict: &dlmv1.EvictRequest{Lock: lock, Token: token, Reason: reason},
	}}, (*dlmv1.StreamResponse).GetEvict)
	return r.GetEvicted(), err
}
