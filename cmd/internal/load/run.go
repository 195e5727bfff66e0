package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// openAtOnce is how many clients are opened, or closed, at the same time.
const openAtOnce = 32

// Heap is how large the heap of a program that makes load should be let grow, in bytes, before it
// is collected. A thousand clients and nothing else keep so little alive that the collector, and
// the stacks that it shrinks, would be a third of what is measured on this side, of whichever
// system.
const Heap = 128 << 20

// Clock is told when the clock of a slice starts and stops. Both may be nil.
type Clock struct {
	Start func(m *Meter)
	Stop  func()
}

// run is a slice that runs.
type run struct {
	Slice
	prefix      string
	meter       *Meter
	open, close time.Time
	failed      onceError
}

// Run measures one slice. Errors: those of the slice, of the system, and of ctx.
func Run(ctx context.Context, s Slice, sys System, clock Clock) (Row, error) {
	if err := s.Check(); err != nil {
		return Row{}, err
	}
	clients := make([]Client, s.Clients)
	err := each(s.Clients, openAtOnce, func(i int) error {
		var err error
		if clients[i], err = sys.Client(ctx, i); err != nil {
			return fmt.Errorf("open client %d: %w", i, err)
		}
		return nil
	})
	var row Row
	if err == nil {
		row, err = drive(ctx, s, clients, clock)
	}
	row.Workload, row.Clients, row.Connections = s.Workload, s.Clients, sys.Connections()
	return row, errors.Join(err, each(s.Clients, openAtOnce, func(i int) error {
		if clients[i] == nil {
			return nil
		}
		return clients[i].Close()
	}))
}

func drive(ctx context.Context, s Slice, clients []Client, clock Clock) (Row, error) {
	// A slice must not pay for the garbage of the one before.
	runtime.GC()
	now := time.Now()
	r := &run{Slice: s, prefix: Prefix(), meter: NewMeter(), open: now.Add(s.Warmup)}
	r.close = r.open.Add(s.Duration)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait, cancelWait := context.WithDeadline(ctx, r.close)
	defer cancelWait()

	var working sync.WaitGroup
	for i, c := range clients {
		working.Go(func() {
			if err := r.work(ctx, wait, i, c); err != nil {
				r.failed.set(err)
				cancel()
			}
		})
	}
	stopped := r.keep(ctx, &working, clock)
	if err := r.failed.get(); err != nil {
		return Row{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return Row{}, err
	}
	return r.meter.Row(stopped.Sub(r.open)), nil
}

// keep keeps the clock until the work is done, and returns when it stopped.
func (r *run) keep(ctx context.Context, working *sync.WaitGroup, clock Clock) time.Time {
	until(ctx, r.open)
	if clock.Start != nil {
		clock.Start(r.meter)
	}
	stopped := r.close
	if slices.Contains(Records(), r.Workload) {
		working.Wait()
		stopped = time.Now()
	} else {
		until(ctx, r.close)
	}
	if clock.Stop != nil {
		clock.Stop()
	}
	working.Wait()
	return stopped
}

// until returns at a moment, or when ctx ends.
func until(ctx context.Context, moment time.Time) {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// work is the loop of one client.
func (r *run) work(ctx, wait context.Context, i int, c Client) error {
	switch r.Workload {
	case Append:
		return r.sections(ctx, i, c)
	case Publish:
		return r.publishes(ctx, i, c)
	}
	for n := 0; ; n++ {
		began := time.Now()
		if !began.Before(r.close) {
			return nil
		}
		err := r.operation(ctx, wait, i, n, c)
		ended := time.Now()
		if !ended.Before(r.close) {
			r.meter.Cut(r.close.Sub(began))
			return ctx.Err() // whatever the operation said came of its being cut off
		}
		if err != nil {
			return err
		}
		if !ended.Before(r.open) {
			r.meter.Add(ended.Sub(began))
		}
	}
}

// operation is the nth operation of client i.
func (r *run) operation(ctx, wait context.Context, i, n int, c Client) error {
	switch r.Workload {
	case Own:
		return c.Cycle(ctx, wait, r.own(i))
	case One:
		return c.Cycle(ctx, wait, r.prefix+"/one")
	case Try:
		return c.Try(ctx, r.prefix+"/one")
	}
	shared := fmt.Sprintf("%s/shared/%d", r.prefix, i/sharers)
	switch (n + i) % 10 { // clients do not all do the same at the same time
	case 0, 5:
		return c.Cycle(ctx, wait, shared)
	case 3, 8:
		return c.Try(ctx, shared)
	}
	return c.Cycle(ctx, wait, r.own(i))
}

func (r *run) own(i int) string { return fmt.Sprintf("%s/own/%d", r.prefix, i) }
