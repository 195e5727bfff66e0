package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// evictions is how many holders in a row Evict follows when it was not told whom to evict.
const evictions = 5

// Inspect tells who holds a lock and who waits for it. Errors: ErrLockNotFound (nobody holds it, nobody waits for it, and
// it has no files), ErrInvalidName, ErrUnavailable, ErrClosed, that of ctx.
func (c *Client) Inspect(ctx context.Context, lock string) (*dlmv1.Lock, error) {
	err := names(lock)
	var r *dlmv1.InspectResponse
	if err == nil {
		r, err = ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Inspect{
			Inspect: &dlmv1.InspectRequest{Lock: lock},
		}}, (*dlmv1.StreamResponse).GetInspect)
	}
	if err == nil && r.GetLock() == nil {
		err = errMalformed
	}
	if err != nil {
		return nil, fmt.Errorf("inspect %q: %w", lock, err)
	}
	return r.GetLock(), nil
}

// List tells which locks are held or waited for whose names begin with the prefix, in name order; of each only the first
// 10 waiters are listed. Errors: ErrInvalidArgument, ErrUnavailable, ErrClosed, that of ctx.
func (c *Client) List(ctx context.Context, prefix string) ([]*dlmv1.Lock, error) {
	if err := text(prefix); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	var out []*dlmv1.Lock
	for page := ""; ; {
		r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_List{
			List: &dlmv1.ListRequest{Prefix: prefix, PageToken: page},
		}}, (*dlmv1.StreamResponse).GetList)
		if err == nil && page != "" && r.GetNextPageToken() == page {
			err = errMalformed
		}
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		out = append(out, r.GetLocks()...)
		if page = r.GetNextPageToken(); page == "" {
			return out, nil
		}
	}
}

// Watch gives what happens to the locks whose names begin with the prefix: first the state as it is, marked as initial,
// then each change in order, for as long as the loop over it runs. It finds another server by itself; as changes may have
// been missed meanwhile, the state comes again, marked as initial. An error ends it: that of ctx, ErrInvalidArgument,
// ErrQuota, ErrClosed, or ErrUnavailable when no server was found within the connect timeout.
func (c *Client) Watch(ctx context.Context, prefix string) iter.Seq2[*dlmv1.Event, error] {
	return func(yield func(*dlmv1.Event, error) bool) {
		err := text(prefix)
		if err == nil {
			err = follow(ctx, c.wire, func(ctx context.Context, api dlmv1.LockServiceClient) (receiver[dlmv1.WatchResponse], error) {
				return api.Watch(ctx, &dlmv1.WatchRequest{Prefix: prefix})
			}, func(m *dlmv1.WatchResponse) bool {
				for _, e := range m.GetEvents() {
					if !yield(e, nil) {
						return false
					}
				}
				return true
			})
		}
		if err != nil {
			yield(nil, fmt.Errorf("watch %q: %w", prefix, err))
		}
	}
}

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
