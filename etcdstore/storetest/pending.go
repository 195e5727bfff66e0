package storetest

import (
	"context"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Pending is an Acquire that was started. It is broken off, and waited for, when its test ends.
type Pending struct {
	c     *Client
	args  etcdstore.AcquireArgs
	grant etcdstore.Grant
	err   error
	done  chan struct{}
	cut   context.CancelFunc
}

// Start calls Acquire and does not wait for its answer.
func (c *Client) Start(args etcdstore.AcquireArgs) *Pending {
	ctx, cut := context.WithCancel(c.Context())
	p := &Pending{c: c, args: args, done: make(chan struct{}), cut: cut}
	go func() {
		defer close(p.done)
		p.grant, p.err = c.s.Acquire(ctx, args)
	}()
	c.Cleanup(func() {
		cut()
		<-p.done
	})
	return p
}

// Queue calls Acquire for a lock that is held, and returns when it stands in the queue.
func (c *Client) Queue(lock string) *Pending {
	c.Helper()
	p := c.Start(c.Args(lock, c.Request(), etcdstore.WaitForever))
	p.Queued()
	return p
}

// Cut breaks the call off.
func (p *Pending) Cut() { p.cut() }

// Queued waits for the place in the queue.
func (p *Pending) Queued() {
	p.c.Helper()
	Eventually(p.c.T, "a place in the queue of "+p.args.Lock, func() bool {
		for _, w := range Inspect(p.c.T, p.c.s, p.args.Lock).Waiters {
			if w.Session == p.c.ID && w.Request == p.args.Request {
				return true
			}
		}
		return false
	})
}

// Answer waits for Acquire to return, and returns the same.
func (p *Pending) Answer() (etcdstore.Grant, error) {
	p.c.Helper()
	Await(p.c.T, "an answer to Acquire of "+p.args.Lock, p.done)
	return p.grant, p.err
}

// Wait is Answer without a bound, for any goroutine.
func (p *Pending) Wait() (etcdstore.Grant, error) {
	<-p.done
	return p.grant, p.err
}

// Granted waits for the grant.
func (p *Pending) Granted() *Held {
	p.c.Helper()
	g, err := p.Answer()
	if err != nil || g.Outcome != etcdstore.Granted || g.Token <= 0 {
		p.c.Fatalf("Acquire(%s, %s) = %+v, %v; want a grant", p.args.Lock, p.args.Request, g, err)
	}
	return p.c.Section(p.args.Lock, p.args.Request, g.Token)
}

// Waits checks that there is no answer yet.
func (p *Pending) Waits() {
	p.c.Helper()
	select {
	case <-p.done:
		p.c.Fatalf("Acquire(%s, %s) = %+v, %v; want it to wait", p.args.Lock, p.args.Request, p.grant, p.err)
	default:
	}
}

// Done is closed when Acquire has returned.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Args are what Acquire was called with.
func (p *Pending) Args() etcdstore.AcquireArgs { return p.args }

// Acquisition is what waits.
func (p *Pending) Acquisition() etcdstore.Acquisition { return p.args.Acquisition }
