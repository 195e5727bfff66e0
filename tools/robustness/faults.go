package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// fault is one way to break something, for a while: do returns when that is over. It may be made
// while another one is, so that what it breaks may be broken already. errNotNow: it could not be made.
type fault struct {
	name   string
	weight int
	do     func(ctx context.Context, r *run, rnd *rand.Rand) error
}

// errNotNow says that a fault could not be made, such as one by etcd's own protocol while another
// one keeps etcd from answering.
var errNotNow = errors.New("not now")

// faults are what a run of a layout chooses from, by weight.
func faults(l *layout) []fault {
	all := append(processFaults(l.separate()), etcdFaults()...)
	all = append(all, upgrades(l)...)
	if len(l.messages) > 0 {
		all = append(all, messageFaults()...)
	}
	if l.secured != nil {
		all = append(all, securityFaults()...)
	}
	return append(all, apartFaults(l)...)
}

// processFaults kill and stop processes, and cut their connections.
func processFaults(separate bool) []fault {
	all := []fault{
		{"server killed", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.restart(ctx, rnd, syscall.SIGKILL, pick(rnd, r.l.servers))
		}},
		{"server told to stop", 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.restart(ctx, rnd, syscall.SIGTERM, pick(rnd, r.l.servers))
		}},
		{"server stopped", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.freeze(ctx, rnd, pick(rnd, r.l.servers))
		}},
		{"servers restarted in turn", 1, func(_ context.Context, r *run, _ *rand.Rand) error {
			for _, p := range r.l.servers {
				p.end(syscall.SIGTERM)
				if err := r.l.up(); err != nil {
					return err
				}
			}
			return nil
		}},
		{"all servers killed", 1, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.restart(ctx, rnd, syscall.SIGKILL, r.l.servers...)
		}},
		{"connections cut", 5, func(_ context.Context, r *run, rnd *rand.Rand) error {
			for _, p := range r.l.proxies {
				if rnd.IntN(2) == 0 {
					p.cut()
				}
			}
			return nil
		}},
		{"worker killed", 3, func(_ context.Context, r *run, rnd *rand.Rand) error {
			w := pick(rnd, r.workers)
			w.end(syscall.SIGKILL)
			return r.startWorker(w)
		}},
		{"worker stopped", 4, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.freeze(ctx, rnd, pick(rnd, r.workers))
		}},
		{"holders evicted", 6, func(ctx context.Context, r *run, rnd *rand.Rand) error { return r.evict(ctx, rnd) }},
	}
	if separate {
		all = append(all,
			fault{"member killed", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
				return r.restart(ctx, rnd, syscall.SIGKILL, pick(rnd, r.l.members))
			}},
			fault{"member stopped", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
				return r.freeze(ctx, rnd, pick(rnd, r.l.members))
			}},
		)
	}
	return all
}

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

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

// restart ends processes, and starts them again a little later.
func (r *run) restart(ctx context.Context, rnd *rand.Rand, sig syscall.Signal, all ...*process) error {
	for _, p := range all {
		p.end(sig)
	}
	pause(ctx, time.Duration(rnd.IntN(4000))*time.Millisecond)
	return r.l.up()
}

// freeze stops a process for a time around the sessions' TTLs.
func (r *run) freeze(ctx context.Context, rnd *rand.Rand, p *process) error {
	p.signal(syscall.SIGSTOP)
	pause(ctx, time.Duration(500+rnd.IntN(9000))*time.Millisecond)
	p.signal(syscall.SIGCONT)
	return nil
}

// evict takes some locks from whoever holds them.
func (r *run) evict(ctx context.Context, rnd *rand.Rand) error {
	c, err := r.l.open(3 * time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 1 + rnd.IntN(4) {
		lock := victim(rnd)
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

// hush has clients be told nothing any more, and waits until all that they were told is seen. Else
// members that end one after the other may still commit when the watch is cut off, and what is lost
// then is seen by nobody. It gives up if etcd cannot commit.
func (r *run) hush(ctx context.Context) error {
	for _, p := range r.l.proxies {
		p.shutOut(true)
	}
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	put, err := r.watching.etcd.Put(asking, prefix+"~robustness", "")
	if err != nil {
		return ctx.Err()
	}
	if r.truth.await(asking, put.Header.Revision) != nil {
		return ctx.Err()
	}
	return nil
}

// restore puts the cluster back to a snapshot that is some seconds old.
func (r *run) restore(ctx context.Context) error {
	fmt.Fprintln(r.out, "restore")
	snapshot, after, err := r.l.restore(ctx, func() error {
		pause(ctx, time.Duration(1000+r.rand.IntN(4000))*time.Millisecond)
		return r.hush(ctx)
	})
	for _, p := range r.l.proxies {
		p.shutOut(false)
	}
	if err != nil {
		return err
	}
	r.watching.stop()
	r.truth.restore(snapshot, after)
	defer r.truth.noSpace()() // an alarm that was raised when the snapshot was saved is raised in it
	r.watching = r.watch()
	if err := r.l.up(); err != nil {
		return err
	}
	return r.disarm(ctx)
}

// disarm takes etcd's alarms back, as an operator does.
func (r *run) disarm(ctx context.Context) (err error) {
	for range 60 {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		_, err = r.watching.etcd.AlarmDisarm(asking, &clientv3.AlarmMember{})
		cancel()
		if err == nil {
			return nil
		}
		pause(ctx, 500*time.Millisecond)
	}
	return fmt.Errorf("disarm etcd's alarms: %w", err)
}
