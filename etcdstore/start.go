package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// acquiring is an acquire on its way.
type acquiring struct {
	acquisition
	s     *Store
	ctx   context.Context
	args  AcquireArgs
	done  func(Grant, error)
	c     session
	began time.Time // the wait is counted from here, on this server's monotonic clock

	granted, enqueued change // what the plain transaction puts
	repeatable        bool   // the plain enqueue has another branch, for a session that holds the lock already
}

// StartAcquire is Acquire without the wait for its end.
func (s *Store) StartAcquire(ctx context.Context, args AcquireArgs, done func(Grant, error)) {
	a := &acquiring{s: s, ctx: ctx, args: args, done: done, began: time.Now()}
	var known bool
	if a.c, known = s.known(args.Credential); !known || args.check() != nil || s.room() != nil {
		a.resolve()
		return
	}
	a.acquisition = acquisition{args.Lock, a.c.id, args.Request}
	since, vacant := s.mirror.vacant(a.lock)
	if over, _ := s.mirror.over(a.acquisition); over {
		a.resolve()
	} else if vacant {
		a.grant(since)
	} else {
		a.taken()
	}
}

// resolve makes the acquire with transactions for whatever may stand.
func (a *acquiring) resolve() {
	if a.args.Wait != 0 {
		detach(a.s, func() (Grant, error) { return a.s.Acquire(a.ctx, a.args) }, a.done)
	} else {
		resolve(a.ctx, a.s, func(ctx context.Context) (Grant, error) { return a.s.Acquire(ctx, a.args) }, a.done)
	}
}

// errTaken: when the turn of a grant had come, the lock no longer looked free.
var errTaken = errors.New("taken meanwhile")

// grant takes a lock that looks free, and not waited for since a revision.
func (a *acquiring) grant(since int64) {
	e := a.s.entry(a.c, a.args)
	var t txn
	t, a.granted = e.grant(e.free(since))
	t.refuse = func() error {
		if err := e.refuse(); err != nil {
			return err
		}
		if _, vacant := a.s.mirror.vacant(a.lock); !vacant {
			return errTaken
		}
		return nil
	}
	a.s.submit(t, func(resp *pb.TxnResponse, err error) {
		if errors.Is(err, errTaken) {
			a.taken()
			return
		}
		switch outcomeOf(resp, err) {
		case plainDone:
			a.s.mirror.own(a.granted.at(resp.Header.Revision))
			a.done(Grant{Outcome: Granted, Token: resp.Header.Revision}, nil)
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
		case plainUnclear:
			a.resolve()
		}
	})
}

// taken goes on with a lock that looks held, or waited for.
func (a *acquiring) taken() {
	if a.args.Wait == 0 {
		a.look()
	} else {
		a.enqueue()
	}
}

// look only reads who holds the lock, for an acquire that does not wait. It writes nothing, so that any number of them share a
// batch.
func (a *acquiring) look() {
	s := a.s
	look := txn{
		then:   []*pb.RequestOp{get(s.keys.lock(a.lock)), getKey(s.keys.session(a.session)), getKey(s.keys.waiter(a.acquisition))},
		refuse: s.unlessStale(a.acquisition),
	}
	s.submit(look, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
			return
		case plainUnclear:
			a.resolve()
			return
		case plainDone:
		}
		switch holder := first(resp, 0); {
		case first(resp, 1) == nil:
			a.done(Grant{}, fmt.Errorf("acquire: %w", ErrSessionExpired))
		case holder == nil, holds(holder, a.acquisition), first(resp, 2) != nil: // free after all, or a repeat
			a.resolve()
		default:
			a.done(s.busy(a.acquisition, holderOf(holder)), nil)
		}
	})
}

// enqueue takes a place in the queue, and waits there.
func (a *acquiring) enqueue() {
	a.s.submitLater(a.writes, a.enter, func(resp *pb.TxnResponse, err error) {
		outcome := outcomeOf(resp, err)
		if err == nil && a.repeatable { // its other branch is the plain case
			outcome = plainUnclear
			if !resp.Succeeded && nested(resp, 0).Succeeded {
				outcome = plainDone
			}
		}
		switch outcome {
		case plainDone:
			rev := resp.Header.Revision
			a.s.mirror.own(a.enqueued.at(rev))
			a.s.await(a.ctx, a.args.Credential, a.acquisition, rev, a.args.left(a.began), a.done)
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
		case plainUnclear:
			a.resolve()
		}
	})
}

// writes is what enter's transaction will write.
func (a *acquiring) writes() footprint {
	return footprint{keys: []string{a.s.keys.waiter(a.acquisition)}, touch: a.s.keys.waited(a.lock), bytes: len(a.args.Label)}
}

// enter makes the transaction that takes the place.
func (a *acquiring) enter() (t txn) {
	e, h := a.s.entry(a.c, a.args), a.s.mirror.holder(a.lock)
	if a.repeatable = h != nil && h.session == a.session; a.repeatable {
		t, a.enqueued = e.enqueue()
	} else {
		t, a.enqueued = e.enqueueFirst()
	}
	return t
}

// StartRelease is Release without the wait for its end.
func (s *Store) StartRelease(ctx context.Context, sec Section, done func(error)) {
	resolved := func() {
		resolve(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.Release(ctx, sec) },
			func(_ struct{}, err error) { done(err) })
	}
	c, known := s.known(sec.Credential)
	if !known || errors.Join(CheckLock(sec.Lock), checkToken(sec.Token)) != nil {
		resolved()
		return
	}
	e := s.releasing(c, sec)
	p := s.passTo(s.mirror.next(sec.Lock, nil), sec.Lock)
	s.mirror.ending(sec.Lock, sec.Token, true)
	s.submit(e.txn(p), func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			over := s.ended(e, p, resp.Header.Revision)
			done(nil)
			tellAll(over) // last, since who is woken last runs first: the next hand-over waits for it
		case plainFailed:
			s.mirror.ending(sec.Lock, sec.Token, false)
			done(fmt.Errorf("release: %w", err))
		case plainUnclear:
			s.mirror.ending(sec.Lock, sec.Token, false)
			resolved()
		}
	})
}

// StartAppend is Append without the wait for its end.
func (s *Store) StartAppend(ctx context.Context, r Record, done func(error)) {
	resolved := func() {
		resolve(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.Append(ctx, r) },
			func(_ struct{}, err error) { done(err) })
	}
	c, known := s.known(r.Credential)
	if !known || r.check() != nil || s.room() != nil || !s.usage.knows(r) && !s.countNew(r) || s.usage.reserve(r) != nil {
		resolved()
		return
	}
	guard, stage := s.staging(c, r)
	s.submit(txn{ifs: guard, then: stage}, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			done(nil)
		case plainFailed:
			done(fmt.Errorf("append: %w", err))
		case plainUnclear:
			s.usage.unreserve(r)
			resolved()
		}
	})
}
