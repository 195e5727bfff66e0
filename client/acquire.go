package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// forever is a wait without a bound.
const forever time.Duration = -1

// How often in a row a fresh acquisition may be refused within a moment before the refusal is
// believed.
const (
	maxRefusals = 5
	refusedSoon = time.Second
)

// errAgain says that the acquisition came to nothing, and that another one may be made.
var errAgain = errors.New("acquire again")

type lockOptions struct {
	wait    time.Duration
	label   string
	limited bool // the hold is
	maxHold time.Duration
	hooks   CallHooks
}

// LockOption changes how a lock is acquired.
type LockOption func(*lockOptions)

// WithWait bounds the time in the queue, 24 h at most; when it is over, Lock fails with a
// [*BusyError]. With 0 or less the lock is acquired at once or not at all.
//
// If servers do not answer, Lock fails with [ErrUnavailable] no later than 1 s after the wait, and
// 2 s after it was called. With 0 or less it does so at once if no server can be reached.
func WithWait(d time.Duration) LockOption {
	return func(o *lockOptions) { o.wait = max(0, d) }
}

// WithLabel says who holds or waits, for the eyes of operators. The default is Config.Label, and
// the bounds are the same.
func WithLabel(label string) LockOption {
	return func(o *lockOptions) { o.label = label }
}

// WithMaxHold bounds the time for which the lock is held, 1 s to 24 h, counted from the grant and
// over commits. Then it is taken away, and whoever waits gets it: see [Lock.Deadline]. The servers
// may be configured to allow less, and then that counts.
func WithMaxHold(d time.Duration) LockOption {
	return func(o *lockOptions) { o.limited, o.maxHold = true, d }
}

// Lock acquires a lock. It waits for it in FIFO order: for ever, unless WithWait says otherwise or
// ctx ends. If the session is lost meanwhile, the wait goes on under a new session, at the end of
// the queue.
//
// With an error nothing is held:
//   - the error of ctx: the place in the queue is given up. A lock granted at that very moment is
//     discarded.
//   - [*BusyError], which is an [ErrBusy]: the wait is over.
//   - [ErrLimit]: the wait is over, and a limit of the server has kept it out of the queue.
//   - [ErrCancelled]: somebody else gave up this wait before it was over.
//   - [ErrUnavailable]: no server was found within the connect timeout, or answered within the
//     wait. A lock granted meanwhile is discarded, as soon as a server can be told, or ends with
//     the session.
//   - [ErrPermissionDenied], [ErrUnauthenticated]: the servers refuse it.
//   - [ErrWentBack], [ErrOtherCluster]: all servers that could be asked say so.
//   - [ErrLockExpired]: it was granted and taken away at once, several times in a row.
//   - [ErrInvalidName], [ErrInvalidArgument], [ErrQuota], [ErrNoSpace], [ErrClosed].
func (c *Client) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	o := lockOptions{wait: forever}
	for _, opt := range opts {
		opt(&o)
	}
	o.hooks = c.cfg.Hooks.begin(ctx, Call{Op: OpAcquire, Lock: name})
	l, err := c.acquire(ctx, name, o)
	if err != nil {
		o.hooks.end(Result{Err: err})
		return nil, fmt.Errorf("lock %q: %w", name, err)
	}
	o.hooks.end(Result{Session: l.a.s.id, Token: l.Token()})
	return l, nil
}

// TryLock acquires a lock if nobody holds it and nobody waits for it. If somebody does, it fails
// with a [*BusyError] (which is an [ErrBusy]) that names the holder. Otherwise it is as
// [Client.Lock].
func (c *Client) TryLock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return c.Lock(ctx, name, append(opts[:len(opts):len(opts)], WithWait(0))...)
}

func (c *Client) acquire(ctx context.Context, name string, o lockOptions) (l *Lock, err error) {
	if err := errors.Join(checkNames(name), checkText(o.label)); err != nil {
		return nil, err
	}
	start := time.Now()
	b := boundOf(o.wait, start)
	err = c.acquisitions(ctx, name, o.hooks.Traceparent, start, b, func(a *acquisition) (err error) {
		l, err = a.await(ctx, o, start, b)
		return err
	})
	return l, err
}

// acquisitions has something done by an acquisition, and by another one as long as that comes to
// errAgain: under another session, if the one before has ended.
func (c *Client) acquisitions(
	ctx context.Context, name, traceparent string, start time.Time, b bound, do func(*acquisition) error,
) error {
	for refusals := 0; ; {
		a, err := c.enlist(ctx, name, traceparent, start, b)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := do(a); !errors.Is(err, errAgain) {
			return err
		} else if time.Since(began) > refusedSoon {
			refusals = 0
		}
		if refusals++; refusals > maxRefusals {
			return err
		}
	}
}

// await sends the Acquire and waits for what becomes of it. The acquisition is delisted unless a
// Lock is returned.
func (a *acquisition) await(ctx context.Context, o lockOptions, start time.Time, b bound) (*Lock, error) {
	wire := a.s.c.wire
	answers := make(chan answer, 1)
	c := &call{
		message: func() *dlmv1.StreamRequest { return a.acquireMessage(o, start) },
		waits:   true,
		bound:   b,
		started: start,
		done:    func(an answer) { answers <- an },

		traceparent: o.hooks.Traceparent,
	}
	a.s.mu.Lock()
	a.wait, a.queued = c, o.hooks.Queued
	a.s.mu.Unlock()
	if err := wire.start(c); err != nil {
		a.s.delist(a)
		return nil, err
	}
	an, err := a.answer(ctx, c, answers)
	if err != nil {
		return nil, err
	}
	return a.outcome(ctx, an, b)
}

// answer waits for the answer to a call that waits in the lock's queue. Without one the acquisition
// is delisted, and its place given up: errAgain, if its session is gone; the error of ctx.
func (a *acquisition) answer(ctx context.Context, c *call, answers <-chan answer) (answer, error) {
	wire := a.s.c.wire
	select {
	case an := <-answers:
		if errors.Is(an.err, ErrUnavailable) && wire.forget(c) || errors.Is(an.err, ErrLimit) && !an.once {
			a.s.delist(a)
			a.cancel(c.traceparent)
		}
		return an, nil
	case <-a.s.gone:
		wire.forget(c)
		a.s.delist(a)
		return answer{}, a.s.c.again(a.s)
	case <-ctx.Done():
		sent := wire.forget(c)
		a.s.delist(a)
		if sent {
			a.cancel(c.traceparent)
		}
		return answer{}, wire.orLimit(c, ctx.Err())
	}
}

// waits tells, once, that the acquisition waits.
func (a *acquisition) waits() {
	a.s.mu.Lock()
	queued := a.queued
	a.queued = nil
	a.s.mu.Unlock()
	if queued != nil {
		a.s.c.tell(queued)
	}
}

func (a *acquisition) acquireMessage(o lockOptions, start time.Time) *dlmv1.StreamRequest {
	m := &dlmv1.AcquireRequest{Session: a.s.credential, Lock: a.lock, Request: a.request(), Label: o.label}
	if o.limited {
		m.MaxHold = durationpb.New(o.maxHold)
	}
	if o.wait != forever {
		// The server counts from when this message arrives, which may be after an outage.
		m.Wait = durationpb.New(max(0, o.wait-time.Since(start)))
	}
	return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Acquire{Acquire: m}}
}

// again returns the error of an attempt whose session is gone: errAgain, unless the client is
// closed.
func (c *Client) again(s *session) error {
	s.mu.Lock()
	cause := s.cause
	s.mu.Unlock()
	if errors.Is(cause, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", errAgain, cause)
}

func (a *acquisition) outcome(ctx context.Context, an answer, b bound) (*Lock, error) {
	if an.err != nil {
		a.s.delist(a)
		switch {
		case errors.Is(an.err, ErrSessionExpired):
			a.s.lose(fmt.Errorf("%w: %w", ErrLockExpired, an.err))
			return nil, fmt.Errorf("%w: %w", errAgain, an.err)
		case errors.Is(an.err, ErrLockExpired):
			// It was granted and ended before the grant was known here, by an eviction for
			// instance.
			return nil, fmt.Errorf("%w: %w", errAgain, an.err)
		}
		return nil, an.err
	}
	m := an.msg.GetAcquire()
	switch m.GetOutcome() {
	case dlmv1.AcquireResponse_OUTCOME_GRANTED:
		if m.GetToken() <= 0 {
			break // a token is above 0
		}
		l, lost := a.hold(ctx, m)
		if l != nil {
			return l, nil
		}
		if lost != nil { // before the grant was known here
			a.s.delist(a)
			return nil, fmt.Errorf("%w: %w", errAgain, lost)
		}
		a.s.lose(errUncertain) // unless it is lost already
		return nil, a.s.c.again(a.s)
	case dlmv1.AcquireResponse_OUTCOME_BUSY:
		a.s.delist(a)
		return nil, &BusyError{
			Lock:        a.lock,
			Holder:      m.GetHolder(),
			Position:    int(m.GetPosition()),
			QueueLength: int(m.GetQueueLength()),
		}
	case dlmv1.AcquireResponse_OUTCOME_CANCELLED:
		a.s.delist(a)
		if b.passed(time.Now()) { // by a copy of this call that another server had
			return nil, &BusyError{Lock: a.lock}
		}
		return nil, ErrCancelled
	}
	a.s.delist(a)
	return nil, errMalformed
}

// cancel gives up the place in the queue, in the background. If the lock was granted meanwhile, it
// is discarded. The acquisition is delisted by now, so the next heartbeat ends it even if none of
// this arrives.
func (a *acquisition) cancel(traceparent string) {
	wire := a.s.c.wire
	_ = wire.start(&call{
		message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Cancel{
			Cancel: &dlmv1.CancelRequest{Session: a.s.credential, Lock: a.lock, Request: a.request()},
		}}),
		traceparent: traceparent,
		done: func(an answer) {
			token := an.msg.GetCancel().GetToken()
			if token <= 0 {
				return
			}
			_ = wire.start(&call{
				message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Discard{
					Discard: &dlmv1.DiscardRequest{Session: a.s.credential, Lock: a.lock, Token: token},
				}}),
				traceparent: traceparent,
				done:        func(answer) {},
			})
		},
	})
}
