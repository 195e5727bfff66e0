package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// idle keeps many sessions alive over few connections. An operation is a heartbeat. The clock runs
// for whole intervals of them, at least one.
func (c Config) idle(ctx context.Context, s load.Slice, servers *servers, w Watcher) (row load.Row, err error) {
	n := min(c.Connections, s.Clients)
	beat := c.TTL / 3 // as the SDK does it
	meter := load.NewMeter()
	before := servers.resident()
	ending := make(chan struct{})
	var conns []*idleConn
	var made, running sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		cancel(nil)
		running.Wait()
		for _, conn := range conns {
			err = errors.Join(err, conn.grpc.Close())
		}
	}()
	for i := range n {
		share := s.Clients / n
		if i < s.Clients%n {
			share++
		}
		conn, err := dialIdle(c.Endpoints[i%len(c.Endpoints)], c.Way, share, max(idleCalls/n, 1), c.TTL, meter)
		if err != nil {
			return load.Row{}, err
		}
		conns = append(conns, conn)
		made.Add(1)
		running.Go(func() {
			if err := conn.run(ctx, made.Done, ending); err != nil {
				cancel(err)
			}
		})
	}
	made.Wait()
	if err := settle(ctx, s.Warmup); err != nil {
		return load.Row{}, err
	}
	servers.start()
	began := time.Now()
	for _, conn := range conns {
		conn.counts.Store(true)
	}
	w.Meter(meter)
	if err := settle(ctx, (s.Duration + beat - 1).Truncate(beat)); err != nil {
		return load.Row{}, err
	}
	row = meter.Row(time.Since(began))
	servers.stop()
	row.Workload, row.Clients, row.Connections = s.Workload, s.Clients, n
	row.ServerPerClient = float64(max(servers.resident()-before, 0)) / float64(s.Clients)
	close(ending)
	running.Wait()
	return row, context.Cause(ctx)
}
