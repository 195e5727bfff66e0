package commit

import (
	"context"
	"sync"
)

// callsAtOnce is how many calls of etcd each gate lets through at once. A linearizable read takes
// etcd a millisecond or two, however many ask at the same time.
const callsAtOnce = 64

// gate lets so many calls through at once, and the others by turns, client by client.
type gate struct {
	mu      sync.Mutex
	free    int
	waiting Turns[*visitor]
}

// visitor is a call that waits to be let through.
type visitor struct {
	admitted chan struct{} // closed when it is
	gone     bool          // it does not wait any more
}

func newGate() *gate { return &gate{free: callsAtOnce} }

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
