package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLimit: the call would exceed a limit that protects the others: the error is a [*LimitError].
// Nothing was changed, and the call may be made again a little later.
var ErrLimit = errors.New("limit reached")

// LimitError says which limit a call would exceed. errors.Is(err, ErrLimit) holds.
type LimitError struct {
	Limit string        // its key in the configuration, below "limits."
	Text  string        // what would be exceeded, for people
	Retry time.Duration // when to ask again at the earliest
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s (%s): %s", ErrLimit, e.Limit, e.Text) }

// Is makes a LimitError an [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

type clientKey struct{}

// WithClient returns a context whose calls are made for a client: what waits for etcd is served by
// turns, client by client, and some limits are each client's own. Two calls of one client have the
// same name here, whatever it is: a connection's, as long as nobody says who is calling. Calls
// without a client are one client's.
func WithClient(ctx context.Context, client string) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

// clientOf is for whom a context's calls are made.
func clientOf(ctx context.Context) string {
	client, _ := ctx.Value(clientKey{}).(string)
	return client
}
