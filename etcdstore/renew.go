package etcdstore

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// renewals renews leases over one stream, one request behind the other without waiting for the
// answers: a stream for each renewal costs more than the renewal. Inside the process there is no
// stream, and nothing to save.
type renewals struct {
	leases func() pb.LeaseClient // of the member to which the next stream goes

	mu      sync.Mutex
	queue   []clientv3.LeaseID                  // to be sent
	waiting map[clientv3.LeaseID][]chan renewal // in the order of their requests; each has room for one
	arrived chan struct{}                       // of size 1
}

type renewal struct {
	ttl int64 // seconds; 0: the lease has ended
	err error
}

// streamPause is how long a broken stream of renewals is left alone.
const streamPause = 100 * time.Millisecond

func newRenewals(leases func() pb.LeaseClient) *renewals {
	return &renewals{leases: leases, waiting: map[clientv3.LeaseID][]chan renewal{}, arrived: make(chan struct{}, 1)}
}

// do renews a lease. A stream is refused when its login has ended, which etcd counts for each
// member: the next stream has logged in anew, so it asks again.
func (r *renewals) do(ctx context.Context, lease clientv3.LeaseID) (ttl int64, err error) {
	for {
		ttl, err = r.ask(ctx, lease)
		if status.Code(err) != codes.Unauthenticated {
			return ttl, err
		}
	}
}

// ask sends a request of its own, even if one for this lease is on its way. The answer to that one
// would promise too much: a lease of 10 s renewed at 0 s ends at 10 s, and a client that asked at 2
// s would count on it until 12 s. Who gives up stays in waiting until the answer comes, to keep the
// order.
func (r *renewals) ask(ctx context.Context, lease clientv3.LeaseID) (ttl int64, err error) {
	done := make(chan renewal, 1)
	r.mu.Lock()
	r.queue = append(r.queue, lease)
	r.waiting[lease] = append(r.waiting[lease], done)
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
	select {
	case a := <-done:
		return a.ttl, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run keeps a stream open until ctx ends, one after the other.
func (r *renewals) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.serve(ctx)
		r.fail(err)
		select {
		case <-ctx.Done():
		case <-time.After(streamPause):
		}
	}
	r.fail(ctx.Err())
}

// serve sends requests and receives answers over one stream, until that breaks.
func (r *renewals) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	stream, err := r.leases().LeaseKeepAlive(ctx)
	if err != nil {
		cancel()
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	sending.Go(func() {
		for {
			for _, lease := range r.take() {
				if stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(lease)}) != nil {
					return // the receiver says why
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-r.arrived:
			}
		}
	})
	for {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		r.answer(clientv3.LeaseID(resp.ID), renewal{ttl: resp.TTL})
	}
}

func (r *renewals) take() []clientv3.LeaseID {
	r.mu.Lock()
	defer r.mu.Unlock()
	leases := r.queue
	r.queue = nil
	return leases
}

func (r *renewals) answer(lease clientv3.LeaseID, a renewal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ws := r.waiting[lease]
	if len(ws) == 0 {
		return
	}
	ws[0] <- a // the first that asked, as etcd answers in order
	if len(ws) == 1 {
		delete(r.waiting, lease)
	} else {
		r.waiting[lease] = ws[1:]
	}
}

// fail ends the wait of all who asked: whether their leases were renewed is not known, and they may
// ask again.
func (r *renewals) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ws := range r.waiting {
		for _, done := range ws {
			done <- renewal{err: err}
		}
	}
	clear(r.waiting)
	r.queue = nil
}
