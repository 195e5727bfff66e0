package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

const (
	paused = "paused"
	killed = "killed"
	cutOff = "cut off"
)

func kinds() []string { return []string{paused, killed, cutOff} }

const (
	ttl    = 2 * time.Second
	outage = ttl + 2*time.Second // of a pause and a cut
)

// fault is one of the schedule.
type fault struct {
	kind  string
	after int           // sections that are acknowledged before
	work  time.Duration // how long the section works that is hit
	at    time.Duration // when, counted from its read
}

// schedule draws the faults of each lane: n of each kind in all.
func schedule(seed uint64, n, lanes int, work time.Duration) [][]fault {
	r := rand.New(rand.NewPCG(seed, 1<<32))
	var all []fault
	for range n {
		for _, kind := range kinds() {
			f := fault{kind: kind, after: 1 + r.IntN(2), work: work/4 + time.Duration(r.Int64N(int64(work*3/4)))}
			f.at = time.Duration((0.1 + 0.8*r.Float64()) * float64(f.work))
			all = append(all, f)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	of := make([][]fault, lanes)
	for i, f := range all {
		of[i%lanes] = append(of[i%lanes], f)
	}
	return of
}

const (
	patience = time.Minute // for what is to happen next in a lane
	tries    = 10          // to hit a section before it has ended
)

// play plays a lane's faults.
func (r *run) play(ctx context.Context, l *lane, faults []fault) error {
	for _, f := range faults {
		struck := false
		for try := 0; !struck; try++ {
			if try == tries {
				return fmt.Errorf("%s: no section could be hit in %d tries", l.name, tries)
			}
			var err error
			if struck, err = r.strike(ctx, l, f); err != nil {
				return fmt.Errorf("%s: %w", f.kind, err)
			}
		}
	}
	return l.await(ctx, patience, "a section is acknowledged after the last fault", func() bool { return l.clean > 0 })
}

// strike waits for a section that a fault is due in, hits its holder, and waits until that is over
// and another section has begun. It reports whether the section was still going on.
func (r *run) strike(ctx context.Context, l *lane, f fault) (struck bool, err error) {
	l.mu.Lock()
	l.next = &f
	l.mu.Unlock()
	section, victim := 0, ""
	if err := l.await(ctx, patience, "a section to be hit begins", func() bool {
		section, victim = l.chosen, l.victim
		return section != 0 && (victim != "" || !l.active[section])
	}); err != nil {
		return false, err
	}
	if victim != "" {
		pause(ctx, f.at)
	}
	l.mu.Lock()
	struck = victim != "" && l.active[section]
	l.chosen, l.victim = 0, ""
	if struck {
		l.next = nil
		l.clean = 0
		l.h.hits = append(l.h.hits, hit{f.kind, section, time.Now()})
	}
	l.mu.Unlock()
	if !struck {
		return false, nil
	}
	w := r.workers[victim]
	switch f.kind {
	case paused:
		w.process.signal(syscall.SIGSTOP)
		pause(ctx, outage)
		w.process.signal(syscall.SIGCONT)
	case killed:
		w.process.end(syscall.SIGKILL)
		if err := r.start(w); err != nil {
			return true, err
		}
	case cutOff:
		w.proxy.cut()
		pause(ctx, ttl)
		w.proxy.forget()
		pause(ctx, outage-ttl)
		w.proxy.heal()
	}
	if f.kind != killed {
		if err := l.await(ctx, patience, "the section that was hit ends", func() bool { return !l.active[section] }); err != nil {
			return true, err
		}
	}
	return true, l.await(ctx, patience, "a section begins after the fault", func() bool { return l.begun > section })
}

// pause waits a while: load, not synchronisation.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
