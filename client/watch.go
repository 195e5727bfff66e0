package client

import (
	"context"
	"fmt"
	"iter"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Watch gives what happens to the locks whose names begin with the prefix: first the state as it is, marked as initial,
// then each change in order, for as long as the loop over it runs. It finds another server by itself; as changes may have
// been missed meanwhile, the state comes again, marked as initial. An error ends it: that of ctx, ErrInvalidArgument,
// ErrQuota, ErrClosed, or ErrUnavailable when no server was found within the connect timeout.
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
