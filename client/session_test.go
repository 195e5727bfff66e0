package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// A section's end that is sent while the session is being lost comes before the session's own end,
// which is sent once.
func TestLostSessionIsClosedOnce(t *testing.T) {
	t.Parallel()
	for name, answeredBefore := range map[string]bool{
		"the release is answered before the holder is told": true,
		"the release is answered after the holder is told":  false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			released := make(chan struct{})
			s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
				switch {
				case isHeartbeat(r):
					return refusal(codes.Internal, "")
				case isRelease(r):
					<-released
				case isClose(r):
					select {
					case <-released:
					default:
						t.Error("the session was closed before the release was answered")
					}
				}
				return nil
			})
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 2 * time.Second})
			reached, resumed := make(chan struct{}), make(chan struct{})
			client.AtLoss(c, func() {
				close(reached)
				<-resumed
			})
			release, resume := sync.OnceFunc(func() { close(released) }), sync.OnceFunc(func() { close(resumed) })
			t.Cleanup(release)
			t.Cleanup(resume)
			l := lock(t, c, "a")
			<-reached
			unlocked := make(chan error, 1)
			go func() { unlocked <- l.Unlock(t.Context()) }()
			storetest.Eventually(t, "the Release", func() bool { return len(s.received(isRelease)) == 1 })
			if answeredBefore {
				release()
				must(t, <-unlocked)
				resume()
			} else {
				resume()
				is(t, ended(t, l.Context()), client.ErrLockExpired)
				_, err := c.Read(t.Context(), "a", "f") // a round trip, for a Close that comes too early
				must(t, err)
				release()
				must(t, <-unlocked)
			}
			storetest.Eventually(t, "the Close", func() bool { return len(s.received(isClose)) > 0 })
			_, err := c.Read(t.Context(), "a", "f") // a round trip, for a Close too many
			must(t, err)
			if n := len(s.received(isClose)); n != 1 {
				t.Errorf("the session was closed %d times", n)
			}
		})
	}
}

// Many holders end their sections while their session is being lost.
func TestManyHoldersLoseTheirSession(t *testing.T) {
	t.Parallel()
	const holders = 40
	for name, tc := range map[string]struct {
		locks int // of each holder
		work  func(ctx context.Context, c *client.Client, name string, lost <-chan struct{}) error
	}{
		"Do inside Do": {2, func(ctx context.Context, c *client.Client, name string, _ <-chan struct{}) error {
			return c.Do(ctx, name, func(ctx context.Context, _ *client.Lock) error {
				return c.Do(ctx, name+"/inner", func(ctx context.Context, _ *client.Lock) error {
					<-ctx.Done() // with the first of the two locks: the other one may not have been told yet
					return nil
				})
			})
		}},
		"Unlock": {1, func(ctx context.Context, c *client.Client, name string, lost <-chan struct{}) error {
			l, err := c.Lock(ctx, name)
			if err != nil {
				return err
			}
			<-lost
			return l.Unlock(ctx)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ending *endingStore
			n := facadetest.Start(t, facadetest.WithStore(func(s facade.Store) facade.Store {
				ending = &endingStore{Store: s}
				return ending
			}))
			for range 10 {
				c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 2 * time.Second})
				lost := make(chan struct{})
				var running sync.WaitGroup
				prefix := fresh(t)
				for i := range holders {
					running.Go(func() {
						// The truth depends on what came first: the server knows nothing of a loss.
						err := tc.work(t.Context(), c, fmt.Sprintf("%s/%d", prefix, i), lost)
						if err != nil && !errors.Is(err, client.ErrLockExpired) {
							t.Error(err)
						}
					})
				}
				storetest.Eventually(t, "all of them to hold", func() bool {
					locks, err := c.List(t.Context(), prefix+"/")
					must(t, err)
					return len(locks) == holders*tc.locks
				})
				refused := sync.OnceFunc(func() { close(lost) })
				ending.refused.Store(&refused)
				running.Wait()
				ending.refused.Store(nil)
				must(t, c.Close())
			}
		})
	}
}

// endingStore is a store that says of sessions, when it is told to, that they have ended.
type endingStore struct {
	facade.Store
	refused atomic.Pointer[func()] // called with the first refusal; nil: none is refused
}

func (s *endingStore) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	if refused := s.refused.Load(); refused != nil {
		(*refused)()
		return etcdstore.Renewal{}, etcdstore.ErrSessionExpired
	}
	return s.Store.Heartbeat(ctx, args)
}
