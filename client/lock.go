package client

import (
	"context"
	"errors"
	"sync"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Lock is one hold of one lock. It is safe for concurrent use. Its section is ended in one way
// only, by the first of [Lock.Unlock] and [Lock.Discard]; a `defer l.Discard(ctx)` beside an Unlock
// is harmless.
type Lock struct {
	a      *acquisition
	ctx    context.Context
	cancel context.CancelCauseFunc

	deadline time.Time     // by which it is taken away; zero: never
	ending   chan struct{} // closed when that is near
	warn     func()        // closes it, once

	mu         sync.Mutex
	token      int64
	epoch      uint64             // moves when a commit or an end begins, and when it is over
	appended   bool               // an append was sent in this section
	shared     bool               // others have the credential, and may have appended
	lasts      []lastAppend       // the appends that its end names
	numbered   uint64             // appends of this section
	staging    map[*call]struct{} // appends that are unanswered
	doubt      error              // an append of unknown outcome
	unsure     error              // a release or commit of unknown outcome
	committing bool               // a commit waits for appends or for its answer
	asked      bool               // it was sent
	heard      loss               // the last that was told of the hold
	end        *ending            // nil: neither Unlock nor Discard was called
	lost       error              // why the hold was lost; nil: it was not
	changed    chan struct{}      // closed and renewed when staging, committing, end or lost changes
}

// hold makes the Lock of a grant. It returns nil if the session is lost already, or not certain to
// live, and an error if the hold itself is known to be over.
func (a *acquisition) hold(ctx context.Context, m *dlmv1.AcquireResponse) (*Lock, error) {
	token := m.GetToken()
	l := &Lock{
		a:       a,
		token:   token,
		ending:  make(chan struct{}),
		changed: make(chan struct{}),
	}
	l.warn = sync.OnceFunc(func() { close(l.ending) })
	if left := m.GetHoldLeft(); left.CheckValid() == nil && left.AsDuration() > 0 {
		l.deadline = time.Now().Add(left.AsDuration())
	}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.lost.of(token) {
		return nil, a.lossBy(a.lost, token)
	}
	if !a.s.lost.IsZero() || a.s.certainLocked(time.Now()) <= 0 {
		return nil, nil
	}
	a.wait, a.held = nil, l
	if a.warned { // while its grant was on its way
		l.warn()
	}
	return l, nil
}

// Name returns the lock's name.
func (l *Lock) Name() string { return l.a.lock }

// Token returns the section's fencing token: for one lock it only rises. Each [Lock.Commit] begins
// a section with a new one.
func (l *Lock) Token() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// Credential returns what lets another process append in this section, by [Client.Section]. It is a
// secret: with it that process can do all else that this client's session can. End the section
// after that process has got its answers. From now on it ends as one with data, since nobody can
// tell here whether that process has appended.
func (l *Lock) Credential() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shared = true
	return l.a.s.credential
}

// Context carries the values of the context that the lock was acquired with. It is cancelled
//   - when the hold is lost or no longer certain, which is [Lock.Margin] before the server could
//     give the lock to somebody else. Its cause is an [ErrLockExpired], which also is an
//     [ErrWentBack] or [ErrOtherCluster] if that is why, or [ErrClosed].
//   - when the lock was taken away, as by an eviction: as soon as a server tells so, or with the
//     next heartbeat. Its cause is an [ErrLockExpired] that says why, if that is known.
//   - when the section has ended by Unlock or Discard. Its cause is [ErrEnded].
func (l *Lock) Context() context.Context { return l.ctx }

// Expiry returns the moment, on the monotonic clock, until which the lease cannot have ended if no
// further heartbeat succeeds. It moves forward with each heartbeat, and back when the stream of a
// session that lingers has ended: see Config.Linger.
func (l *Lock) Expiry() time.Time {
	expiry, _ := l.a.s.lease()
	return expiry
}

// Margin returns how long before [Lock.Expiry] the Context is cancelled: a fifth of the session's
// TTL, 300 ms at least; or a quarter of Config.Linger, while that is what Expiry goes by.
func (l *Lock) Margin() time.Duration {
	_, margin := l.a.s.lease()
	return margin
}

// Deadline returns when the lock is taken away if it is held still, and whether it ever is: see
// [WithMaxHold]. That is an eviction: what was appended since the last [Lock.Commit] is undone, and
// Context ends with an [ErrLockExpired] that says why. The moment is the servers' to tell, and
// comes later while they cannot serve.
func (l *Lock) Deadline() (at time.Time, ok bool) { return l.deadline, !l.deadline.IsZero() }

// Ending returns a channel that is closed when the Deadline is near: a fifth of the time for which
// the lock may be held is left, one minute at most. A server tells so; while none can be reached it
// is not told.
func (l *Lock) Ending() <-chan struct{} { return l.ending }

// begin tells the hooks that a call begins that is about the section.
func (l *Lock) begin(ctx context.Context, c Call) CallHooks {
	hooks := &l.a.s.c.cfg.Hooks
	if hooks.Call == nil {
		return CallHooks{}
	}
	c.Lock, c.Session, c.Token = l.a.lock, l.a.s.id, l.Token()
	return hooks.begin(ctx, c)
}

// result is what became of a call that the hooks were told of.
func (l *Lock) result(err error) Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Result{Session: l.a.s.id, Token: l.token, Err: err}
	if l.lost != nil || l.end.hasEnded() {
		r.Token = 0
	}
	return r
}

func (l *Lock) currentEpoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// verify compares the hold with what a server said of it in answer to a heartbeat, whether or not
// it said as of when. epoch is the hold's when the heartbeat was sent. If it has moved since, a
// commit or an end was under way, and the server may have spoken of the state before or after it:
// that proves nothing. For example, a commit is answered while the heartbeat is on its way: the
// answer names the old token, and the hold is as good as ever.
func (l *Lock) verify(epoch uint64, st *dlmv1.AcquisitionState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != epoch || l.committing || l.end != nil {
		return
	}
	if st.GetState() == dlmv1.AcquisitionState_STATE_HOLDING && st.GetToken() == l.token {
		return
	}
	l.loseLocked(l.a.lossBy(loss{}, l.token))
}

// lose ends the hold on this side.
func (l *Lock) lose(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heed() // what was heard says more
	l.loseLocked(cause)
}

func (l *Lock) loseLocked(cause error) {
	if l.lost != nil || l.end.hasEnded() {
		return
	}
	l.lost = cause
	l.epoch++
	l.cancel(cause)
	if hook := l.a.s.c.cfg.Hooks.Lost; hook != nil && !errors.Is(cause, ErrClosed) {
		loss := Loss{Lock: l.a.lock, Session: l.a.s.id, Token: l.token, Err: cause}
		l.a.s.c.tell(func() { hook(l.ctx, loss) })
	}
	for c := range l.staging {
		l.a.s.c.wire.forget(c)
	}
	clear(l.staging)
	if l.end != nil && !l.end.sent {
		l.settle(l.lossOf(l.end))
	}
	if l.end == nil && !l.committing {
		l.a.s.delist(l.a)
	}
	l.announce()
}

// announce wakes whoever waits for a change. mu is held.
func (l *Lock) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// usable returns why nothing more can be done in the section. nil: it can. mu is held.
func (l *Lock) usable() error {
	switch {
	case l.lost != nil:
		return l.lost
	case l.end != nil:
		return ErrEnded
	}
	return nil
}

// pause gives up mu until something changes or ctx ends, and returns the error of ctx.
func (l *Lock) pause(ctx context.Context) error {
	changed := l.changed
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter waits until the section can be worked in, and returns with mu held, unless it fails. A loss
// comes before the error of ctx: a caller may well pass a context that ends with the hold, and
// needs to know of the loss.
func (l *Lock) enter(ctx context.Context) error {
	l.mu.Lock()
	var err error
	for {
		if unusable := l.usable(); unusable != nil {
			err = unusable
		} else if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			l.mu.Unlock()
			return err
		}
		if !l.committing {
			return nil
		}
		err = l.pause(ctx)
	}
}
