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
// Each tries the plain case with a transaction that has no other branch. Whatever else comes of it, the call is made
// the long way, as a repeat of what was tried: which all calls can take.

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
	held := s.mirror.holder(a.lock) != nil
	if over, _ := s.mirror.over(a); over || held && args.Wait == 0 {
		long()
		return
	}
	if !held {
		e := s.entry(c, args)
		grant, granted := e.grant()
		s.submit(txn{ifs: e.free(), then: grant, refuse: s.unlessStale(a)}, func(resp *pb.TxnResponse, err error) {
			switch {
			case err != nil && !errors.Is(err, ErrNoSpace):
				done(Grant{}, fmt.Errorf("acquire: %w", err))
			case err != nil || !resp.Succeeded:
				long()
			default:
				s.mirror.own(granted.at(resp.Header.Revision))
				done(Grant{Outcome: Granted, Token: resp.Header.Revision}, nil)
			}
		}, s.keys.waiter(a)) // not together with a repeat that finds the lock held, and enqueues
		return
	}
	began := time.Now()
	var enqueued change
	enter := func() txn {
		e := s.entry(c, args)
		in := txn{ifs: e.absent()}
		in.then, enqueued = e.enqueue()
		return txn{
			ifs: e.again(), then: []*pb.RequestOp{get(s.keys.lock(a.lock))}, els: []*pb.RequestOp{in.op()},
			patient: true, refuse: s.unlessStale(a),
		}
	}
	s.submitLater(s.keys.waiter(a), len(args.Label), enter, func(resp *pb.TxnResponse, err error) {
		switch {
		case err != nil && !errors.Is(err, ErrNoSpace):
			done(Grant{}, fmt.Errorf("acquire: %w", err))
		case err == nil && resp.Succeeded: // a repeat; what is compared is from before the batch, what is read may be from later
			if kv := first(resp, 0); kv != nil && holds(kv, a) {
				done(Grant{Outcome: Granted, Token: kv.ModRevision}, nil)
			} else {
				done(Grant{}, fmt.Errorf("%w: request %s has just had its section", ErrLockExpired, quoted(a.request)))
			}
		case err != nil || !nested(resp, 0).Succeeded:
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
		case err != nil && !errors.Is(err, ErrNoSpace):
			s.mirror.ending(sec.Lock, sec.Token, false)
			done(fmt.Errorf("release: %w", err))
		case err != nil || !resp.Succeeded:
			long()
		default:
			s.ended(e, p, resp.Header.Revision)
			done(nil)
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
