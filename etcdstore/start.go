package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// The calls that come by the thousand can be started, so that none of them needs a goroutine: done is told the result,
// once, from whichever goroutine, and must not block.
//
// Each tries the plain case with a transaction that has no other branch, and that does not compare whether the session lives whose
// lease it puts on: etcd refuses what is put on a lease that has ended. Whatever else comes of it, the call is made the long way,
// as a repeat of what was tried: which all calls can take.

// startedTimeout ends the long way of a call that does not wait.
const startedTimeout = 2 * txnTimeout

// StartAcquire is Acquire without the wait for its end.
func (s *Store) StartAcquire(ctx context.Context, args AcquireArgs, done func(Grant, error)) {
	long := func() {
		apart(func() (Grant, error) {
			if args.Wait != 0 {
				return s.Acquire(ctx, args)
			}
			ctx, cancel := context.WithTimeout(ctx, startedTimeout)
			defer cancel()
			return s.Acquire(ctx, args)
		}, done)
	}
	c, known := s.known(args.Credential)
	if !known || args.check() != nil || s.room() != nil {
		long()
		return
	}
	a := acquisition{args.Lock, c.id, args.Request}
	since, vacant := s.mirror.vacant(a.lock)
	if over, _ := s.mirror.over(a); over {
		long()
		return
	}
	taken := func() {
		if args.Wait == 0 {
			s.startLook(a, long, done)
		} else {
			s.startWait(ctx, c, args, long, done)
		}
	}
	if !vacant {
		taken()
		return
	}
	e := s.entry(c, args)
	t, granted := e.grant(e.free(since))
	t.refuse = func() error {
		if err := e.refuse(); err != nil {
			return err
		}
		if _, vacant := s.mirror.vacant(a.lock); !vacant {
			return errTaken
		}
		return nil
	}
	s.submit(t, func(resp *pb.TxnResponse, err error) {
		switch {
		case errors.Is(err, errTaken):
			taken()
		case err != nil && !errors.Is(err, ErrNoSpace):
			done(Grant{}, fmt.Errorf("acquire: %w", err))
		case err != nil || !resp.Succeeded:
			long()
		default:
			s.mirror.own(granted.at(resp.Header.Revision))
			done(Grant{Outcome: Granted, Token: resp.Header.Revision}, nil)
		}
	})
}

// errTaken: when the turn of a grant had come, the lock no longer looked free.
var errTaken = errors.New("taken meanwhile")

// startLook starts an acquire that does not wait, of a lock that looks taken. It writes nothing, so that any number of them share a
// batch; long is the way if the lock is free after all, or the acquire is a repeat.
func (s *Store) startLook(a acquisition, long func(), done func(Grant, error)) {
	look := txn{
		then:   []*pb.RequestOp{get(s.keys.lock(a.lock)), getKey(s.keys.session(a.session)), getKey(s.keys.waiter(a))},
		refuse: s.unlessStale(a),
	}
	s.submit(look, func(resp *pb.TxnResponse, err error) {
		if err != nil {
			done(Grant{}, fmt.Errorf("acquire: %w", err))
			return
		}
		switch holder := first(resp, 0); {
		case first(resp, 1) == nil:
			done(Grant{}, fmt.Errorf("acquire: %w", ErrSessionExpired))
		case holder == nil, holds(holder, a), first(resp, 2) != nil:
			long()
		default:
			done(s.busy(a, holderOf(holder)), nil)
		}
	})
}

// startWait starts the part of an acquire that takes a place in the queue and waits there; long is the way for whatever is not
// plain.
func (s *Store) startWait(ctx context.Context, c session, args AcquireArgs, long func(), done func(Grant, error)) {
	a := acquisition{args.Lock, c.id, args.Request}
	began := time.Now()
	var enqueued change
	var first bool
	enter := func() (t txn) {
		e, h := s.entry(c, args), s.mirror.holder(a.lock)
		if first = h == nil || h.session != a.session; first {
			t, enqueued = e.enqueueFirst()
		} else {
			t, enqueued = e.enqueue()
		}
		return t
	}
	writes := func() footprint {
		return footprint{keys: []string{s.keys.waiter(a)}, touch: s.keys.waited(a.lock), bytes: len(args.Label)}
	}
	s.submitLater(writes, enter, func(resp *pb.TxnResponse, err error) {
		switch {
		case err != nil && !errors.Is(err, ErrNoSpace):
			done(Grant{}, fmt.Errorf("acquire: %w", err))
		case err != nil || resp.Succeeded != first || !first && !nested(resp, 0).Succeeded:
			long()
		default:
			rev := resp.Header.Revision
			s.mirror.own(enqueued.at(rev))
			s.await(ctx, args.Credential, a, rev, args.left(began), done)
		}
	})
}

// StartRelease is Release without the wait for its end.
func (s *Store) StartRelease(ctx context.Context, sec Section, done func(error)) {
	long := func() { alone(ctx, func(ctx context.Context) error { return s.Release(ctx, sec) }, done) }
	c, known := s.known(sec.Credential)
	if !known || errors.Join(CheckLock(sec.Lock), checkToken(sec.Token)) != nil {
		long()
		return
	}
	e := s.releasing(c, sec)
	p := s.passTo(s.mirror.next(sec.Lock, nil), sec.Lock)
	s.mirror.ending(sec.Lock, sec.Token, true)
	s.submit(e.txn(p), func(resp *pb.TxnResponse, err error) {
		switch {
		case err != nil && !errors.Is(err, ErrNoSpace) && !errors.Is(err, ErrSessionExpired): // the next holder's
			s.mirror.ending(sec.Lock, sec.Token, false)
			done(fmt.Errorf("release: %w", err))
		case err != nil || !resp.Succeeded:
			s.mirror.ending(sec.Lock, sec.Token, false)
			long()
		default:
			over := s.ended(e, p, resp.Header.Revision)
			done(nil)
			tellAll(over) // last, since who is woken last runs first: the next hand-over waits for it
		}
	})
}

// StartAppend is Append without the wait for its end.
func (s *Store) StartAppend(ctx context.Context, r Record, done func(error)) {
	long := func() { alone(ctx, func(ctx context.Context) error { return s.Append(ctx, r) }, done) }
	c, known := s.known(r.Credential)
	if !known || r.check() != nil || s.room() != nil || !s.usage.knows(r) && !s.countNew(r) || s.usage.reserve(r) != nil {
		long()
		return
	}
	guard, stage := s.staging(c, r)
	s.submit(txn{ifs: guard, then: stage}, func(resp *pb.TxnResponse, err error) {
		switch {
		case err != nil && !errors.Is(err, ErrNoSpace):
			done(fmt.Errorf("append: %w", err))
		case err != nil || !resp.Succeeded:
			s.usage.unreserve(r)
			long()
		default:
			done(nil)
		}
	})
}

// apart makes a call in a goroutine of its own. Its panic is an error: it must not cost the others their server.
func apart[T any](call func() (T, error), done func(T, error)) {
	go func() {
		done(func() (result T, err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			return call()
		}())
	}()
}

// alone is apart for a call that does not wait and answers nothing but an error.
func alone(ctx context.Context, call func(context.Context) error, done func(error)) {
	apart(func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, startedTimeout)
		defer cancel()
		return struct{}{}, call(ctx)
	}, func(_ struct{}, err error) { done(err) })
}
