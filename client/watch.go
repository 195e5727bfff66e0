package client

import (
	"context"
	"fmt"
	"iter"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Watch returns what happens to the locks whose names begin with the prefix, for as long as the
// loop over it runs. First comes the state as it is, marked as initial, then each change in order.
// If a server fails, Watch finds another one, and it goes along when the connection is replaced. As
// changes may have been missed meanwhile, the state comes again, marked as initial.
//
// An error ends the loop:
//   - [ErrUnavailable]: no server was found within the connect timeout.
//   - [ErrPermissionDenied], [ErrUnauthenticated]: the servers refuse it.
//   - [ErrInvalidArgument], [ErrQuota], [ErrClosed], that of ctx.
func (c *Client) Watch(ctx context.Context, prefix string) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		err := checkText(prefix)
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

// WatchSince returns what has happened after a revision to the locks whose names begin with the
// prefix, and goes on with what happens, for as long as the loop over it runs: every event once and
// in order, none of them initial, also when a server fails. The events of one revision come
// together, so that whoever has News may later go on after its revision. News without events say
// only how far it has come.
//
// An error ends the loop:
//   - [ErrCompacted]: it is not known any more what happened after that.
//   - [ErrInvalidArgument]: also, that the revision is none, or has not been yet.
//   - those of [Client.Watch].
func (c *Client) WatchSince(ctx context.Context, prefix string, revision int64) iter.Seq2[*News, error] {
	return func(yield func(*News, error) bool) {
		err := checkText(prefix)
		if err == nil && revision <= 0 {
			err = fmt.Errorf("%w: revision %d", ErrInvalidArgument, revision)
		}
		if err == nil {
			var part []*Event // of revisions of which more may come
			err = follow(ctx, c.wire, func(ctx context.Context, api dlmv1.LockServiceClient) (receiver[dlmv1.WatchResponse], error) {
				part = nil
				return api.Watch(ctx, &dlmv1.WatchRequest{Prefix: prefix, Since: revision})
			}, func(m *dlmv1.WatchResponse) bool {
				part = append(part, m.GetEvents()...)
				if m.GetRevision() <= revision {
					return true
				}
				revision = m.GetRevision()
				whole := len(part)
				for whole > 0 && part[whole-1].GetRevision() > revision {
					whole--
				}
				n := &News{Events: part[:whole:whole], Revision: revision}
				part = part[whole:]
				return yield(n, nil)
			})
		}
		if err != nil {
			yield(nil, fmt.Errorf("watch %q after revision %d: %w", prefix, revision, err))
		}
	}
}
