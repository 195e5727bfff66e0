package facade

import (
	"context"
	"sync"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// drain knows the calls in progress and brings them to their end in two steps: first what could
// last for ever, then the streams of other services. Everything else ends by itself, within
// callTimeout.
type drain struct {
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // of this API, multiplexed ones and streams included

	// receivers are the goroutines that read multiplexed streams: each lives until gRPC has ended
	// its stream, which is after the handler has returned.
	receivers sync.WaitGroup

	ending  context.Context // ends waits, watches, tails and multiplexed streams
	end     context.CancelFunc
	leaving context.Context // ends the streams of other services
	leave   context.CancelFunc
}

func newDrain() *drain {
	d := &drain{}
	d.ending, d.end = context.WithCancel(context.Background())
	d.leaving, d.leave = context.WithCancel(context.Background())
	return d
}

// begin counts a call in and reports whether it did: none is after close. Whoever is counted calls
// d.calls.Done.
func (d *drain) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.calls.Add(1)
	return true
}

// close makes begin refuse all calls from now on, and ends those that wait.
func (d *drain) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.end()
}

// bind returns a context that ends with ctx, and also with other: then its cause is ErrClosed.
func bind(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	unbind := context.AfterFunc(other, func() { cancel(etcdstore.ErrClosed) })
	return ctx, func() {
		unbind()
		cancel(nil)
	}
}
