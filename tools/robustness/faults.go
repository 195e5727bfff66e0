package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// fault is one way to break something, for a while.
type fault struct {
	name   string
	weight int
	do     func(ctx context.Context, r *run) error
}

// faults are what a run chooses from, by weight.
func faults(separate bool) []fault {
	all := []fault{
		{"server killed", 3, func(ctx context.Context, r *run) error { return r.restart(ctx, pick(r, r.l.servers), syscall.SIGKILL) }},
		{"server told to stop", 2, func(ctx context.Context, r *run) error { return r.restart(ctx, pick(r, r.l.servers), syscall.SIGTERM) }},
		{"server stopped", 3, func(ctx context.Context, r *run) error { return r.freeze(ctx, pick(r, r.l.servers)) }},
		{"connections cut", 5, func(_ context.Context, r *run) error {
			for _, p := range r.l.proxies {
				if r.rand.IntN(2) == 0 {
					p.cut()
				}
			}
			return nil
		}},
		{"worker killed", 3, func(_ context.Context, r *run) error {
			w := pick(r, r.workers)
			w.end(syscall.SIGKILL)
			return r.startWorker(w)
		}},
		{"worker stopped", 4, func(ctx context.Context, r *run) error { return r.freeze(ctx, pick(r, r.workers)) }},
		{"holders evicted", 6, evict},
		{"all servers killed", 1, func(ctx context.Context, r *run) error {
			for _, p := range r.l.servers {
				p.end(syscall.SIGKILL)
			}
			pause(ctx, time.Duration(r.rand.IntN(3000))*time.Millisecond)
			return r.l.up()
		}},
	}
	if separate {
		all = append(all,
			fault{"member killed", 3, func(ctx context.Context, r *run) error { return r.restart(ctx, pick(r, r.l.members), syscall.SIGKILL) }},
			fault{"member stopped", 3, func(ctx context.Context, r *run) error { return r.freeze(ctx, pick(r, r.l.members)) }},
		)
	}
	return all
}

func pick[T any](r *run, from []T) T { return from[r.rand.IntN(len(from))] }

// choose picks a fault by its weight.
func choose(r *rand.Rand, all []fault) fault {
	sum := 0
	for _, f := range all {
		sum += f.weight
	}
	n := r.IntN(sum)
	for _, f := range all {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	panic("unreachable")
}

// restart ends a process, and starts it again a little later.
func (r *run) restart(ctx context.Context, p *process, sig syscall.Signal) error {
	p.end(sig)
	pause(ctx, time.Duration(r.rand.IntN(4000))*time.Millisecond)
	return r.l.up()
}

// freeze stops a process for a time around the sessions' TTLs.
func (r *run) freeze(ctx context.Context, p *process) error {
	p.signal(syscall.SIGSTOP)
	pause(ctx, time.Duration(500+r.rand.IntN(9000))*time.Millisecond)
	p.signal(syscall.SIGCONT)
	return nil
}

// evict takes some locks from whoever holds them.
func evict(ctx context.Context, r *run) error {
	c, err := client.Open(client.Config{Endpoints: r.l.endpoints(), ConnectTimeout: 3 * time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	for range 1 + r.rand.IntN(4) {
		lock := victim(r.rand)
		info, err := c.Inspect(ctx, lock)
		if err != nil || info.GetHolder() == nil {
			continue
		}
		a := answer{Call: callEvict, Asked: time.Now(), Lock: lock, Token: info.GetHolder().GetToken(), Sends: 1}
		evicted, err := c.Evict(ctx, lock, a.Token, "a fault of the run")
		if err != nil {
			a.Reason, a.Text = reasonOf(err), err.Error()
		}
		if evicted != nil {
			a.Got = evicted.GetToken()
		}
		r.h.add(a)
	}
	return nil
}

// restore puts the cluster back to a snapshot that is some seconds old.
func (r *run) restore(ctx context.Context) error {
	fmt.Fprintln(r.out, "restore")
	snapshot, after, err := r.l.restore(ctx, func() error {
		pause(ctx, time.Duration(1000+r.rand.IntN(4000))*time.Millisecond)
		return nil
	})
	if err != nil {
		return err
	}
	r.watching.stop()
	r.truth.restore(snapshot, after)
	r.watching = r.watch()
	return r.l.up()
}
