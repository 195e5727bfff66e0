package commit

import (
	"context"
	"runtime"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/internal/turns"
)

// callsAtOnce is how many calls of etcd a gate lets through at once. A linearizable read takes etcd
// a millisecond or two, however many ask at the same time.
const callsAtOnce = 64

// longAtOnce is callsAtOnce for reads that return many keys. If etcd is in this process, each keeps
// a processor busy, and who commits meanwhile waits behind all of them.
func longAtOnce(near bool) int {
	if near {
		return max(1, runtime.GOMAXPROCS(0)/2)
	}
	return callsAtOnce / 4
}

// short bounds the operations of a read that is not long.
const short = 16

// long reports whether a read returns many keys, or may.
func (t Txn) long() bool {
	return len(t.Then) > short || slices.ContainsFunc(t.Then, func(o *pb.RequestOp) bool {
		r := o.GetRequestRange()
		return r != nil && len(r.RangeEnd) > 0 && !r.CountOnly && (r.Limit == 0 || r.Limit > short)
	})
}

// gate lets so many calls through at once, and the others by turns, client by client.
type gate struct {
	mu      sync.Mutex
	free    int
	waiting turns.Queue[*visitor]
}

// visitor is a call that waits to be let through.
type visitor struct {
	admitted chan struct{} // closed when it is
	gone     bool          // it does not wait any more
}

func newGate(atOnce int) *gate { return &gate{free: atOnce} }

// enter waits to be let through, for as long as ctx says. Whoever was let through has to leave.
func (g *gate) enter(ctx context.Context, client string) error {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return nil
	}
	v := &visitor{admitted: make(chan struct{})}
	g.waiting.Push(client, v)
	g.mu.Unlock()
	select {
	case <-v.admitted:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-v.admitted:
		return nil
	default:
		v.gone = true
		return ctx.Err()
	}
}

// leave makes room for the next.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for v, ok := g.waiting.Pop(); ok; v, ok = g.waiting.Pop() {
		if !v.gone {
			close(v.admitted)
			return
		}
	}
	g.free++
}
