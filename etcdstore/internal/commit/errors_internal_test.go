package commit

import (
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/raft/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What etcd says in the middle of an election sends a client elsewhere: it is not a failure of
// ours.
func TestUnavailable(t *testing.T) {
	for err, want := range map[error]bool{
		rpctypes.ErrLeaderChanged:                        true,
		rpctypes.ErrTimeout:                              true,
		rpctypes.ErrTimeoutDueToLeaderFail:               true,
		rpctypes.ErrNoLeader:                             true,
		rpctypes.ErrTooManyRequests:                      true,
		status.Error(codes.Unavailable, "refused"):       true,
		raft.ErrStopped:                                  true,
		fmt.Errorf("put: %w", rpctypes.ErrLeaderChanged): true,
		rpctypes.ErrInvalidAuthToken:                     true,
		rpctypes.ErrAuthFailed:                           false,
		rpctypes.ErrPermissionDenied:                     false,
		rpctypes.ErrTooManyOps:                           false,
		rpctypes.ErrDuplicateKey:                         false,
		errors.New("something else"):                     false,
	} {
		if got := unavailable(err); got != want {
			t.Errorf("unavailable(%v): got %v, want %v", err, got, want)
		}
	}
}
