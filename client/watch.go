package client

import (
	"context"
	"fmt"
	"iter"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Watch returns what happens to the locks whose names begin with the prefix, for as long as the
// loop over it runs. First comes the state as it is, marked as initial, then each change in order.
// If a server fails, Watch finds another one. As changes may have been missed meanwhile, the state
// comes again, marked as initial.
//
// An error ends the loop:
//   - [ErrUnavailable]: no server was found within the connect timeout.
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
