package client_test

import (
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// A wait that was repeated through another server ends at the first one when its time is over, and
// the other one then sees a place that somebody gave up. Whoever waits is told that the time is
// over, and not that somebody else gave up the wait.
func TestCancelledAfterItsTimeIsBusy(t *testing.T) {
	t.Parallel()
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if !isAcquire(r) {
			return nil
		}
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Acquire{
			Acquire: &dlmv1.AcquireResponse{Outcome: dlmv1.AcquireResponse_OUTCOME_CANCELLED},
		}}
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: longTTL})
	_, err := c.TryLock(t.Context(), fresh(t))
	is(t, err, client.ErrBusy)
	_, err = c.Lock(t.Context(), fresh(t))
	is(t, err, client.ErrCancelled)
	_, err = c.Lock(t.Context(), fresh(t), client.WithWait(time.Hour))
	is(t, err, client.ErrCancelled)
}
