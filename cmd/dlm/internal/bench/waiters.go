package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// queuePoll is how often it is looked whether all wait.
const queuePoll = 50 * time.Millisecond

// waiters lets a queue build up behind a holder, looks what it costs, and drains it: each waiter
// releases at once. An operation is a hand-over, its latency the time since the one before.
func (c Config) waiters(ctx context.Context, s load.Slice, servers *servers, w Watcher) (row load.Row, err error) {
	sys, err := c.open(s.Clients)
	if err != nil {
		return load.Row{}, err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	// Connections and sessions are not to count as the waiters' memory.
	for i := range sys.clients {
		if _, err := sys.Client(ctx, i); err != nil {
			return load.Row{}, err
		}
	}
	lock := load.Prefix()
	holder, err := sys.clients[0].Lock(ctx, lock)
	if err != nil {
		return load.Row{}, err
	}
	before := servers.resident()

	q := &queue{meter: load.NewMeter()}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel(nil)
	for i := range s.Clients {
		waiting.Go(func() {
			if err := q.take(ctx, sys.clients[i%len(sys.clients)], lock); err != nil {
				cancel(err)
			}
		})
	}
	if err := queued(ctx, sys.clients[0], lock, s.Clients); err != nil {
		return load.Row{}, err
	}
	if err := settle(ctx, s.Warmup); err != nil {
		return load.Row{}, err
	}
	grown := max(servers.resident()-before, 0)

	servers.start()
	w.Meter(q.meter)
	q.last = time.Now() // before the release, which every grant comes after
	began := q.last
	if err := holder.Unlock(ctx); err != nil {
		return load.Row{}, err
	}
	waiting.Wait()
	if err := context.Cause(ctx); err != nil {
		return load.Row{}, err
	}
	row = q.meter.Row(q.last.Sub(began))
	servers.stop()
	row.Workload, row.Clients, row.Connections = s.Workload, s.Clients, len(sys.clients)
	row.ServerPerClient = float64(grown) / float64(s.Clients)
	return row, nil
}

// queue measures a drain.
type queue struct {
	meter *load.Meter
	mu    sync.Mutex
	last  time.Time // the last grant, or the first release
}

// take waits for the lock and passes it on.
func (q *queue) take(ctx context.Context, c *client.Client, lock string) error {
	l, err := c.Lock(ctx, lock)
	if err != nil {
		return err
	}
	q.mu.Lock()
	now := time.Now()
	q.meter.Add(now.Sub(q.last))
	q.last = now
	q.mu.Unlock()
	return l.Unlock(ctx)
}

// queued waits until so many wait for the lock.
func queued(ctx context.Context, c *client.Client, lock string, n int) error {
	for {
		state, err := c.Inspect(ctx, lock)
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		if int(state.GetQueueLength()) == n {
			return nil
		}
		if err := settle(ctx, queuePoll); err != nil {
			return err
		}
	}
}

// settle lets a time pass.
func settle(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
}
