package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// owner checks a section's arguments and its caller.
func (s *Store) owner(ctx context.Context, sec Section) (session, error) {
	if err := errors.Join(CheckLock(sec.Lock), checkToken(sec.Token)); err != nil {
		return session{}, err
	}
	return s.authenticate(ctx, sec.Credential)
}

// guard holds while the token holds the lock for the session. What was put at a revision does not change: if the mirror
// has seen that the session was granted this token, the revision says it all.
//
// A session that is not there guards nothing, whatever is held on its lease: that guard never holds.
func (s *Store) guard(lock string, token int64, c session) []*pb.Compare {
	key := s.keys.lock(lock)
	if !c.alive {
		return []*pb.Compare{op.Absent(key), op.Present(key)}
	}
	if h := s.mirror.holder(lock); h != nil && h.token == token && h.session == c.id {
		return []*pb.Compare{op.ModifiedAt(key, token)}
	}
	return []*pb.Compare{op.ModifiedAt(key, token), op.HeldOn(key, c.lease)}
}

// StartRelease is [Store.Release] without the wait for its end: see plain.go for what done may do.
func (s *Store) StartRelease(ctx context.Context, sec Section, done func(error)) {
	resolved := func() {
		resolve(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.resolveRelease(ctx, sec) },
			func(_ struct{}, err error) { done(err) })
	}
	c, known := s.known(sec.Credential)
	if !known || errors.Join(CheckLock(sec.Lock), checkToken(sec.Token)) != nil {
		resolved()
		return
	}
	e := s.releasing(c, sec)
	p := s.passTo(s.mirror.next(sec.Lock, nil), sec.Lock)
	s.mirror.markEnd(sec.Lock, sec.Token)
	s.engine.Submit(e.txn(p), func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			verdicts := s.ended(e, p, resp.Header.Revision)
			done(nil)
			tellAll(verdicts) // last, since who is woken last runs first: the next hand-over waits for it
		case plainFailed:
			s.mirror.unmarkEnd(sec.Lock, sec.Token)
			done(fmt.Errorf("release: %w", err))
		case plainUnclear:
			s.mirror.unmarkEnd(sec.Lock, sec.Token)
			resolved()
		}
	})
}

// Release publishes a section and passes the lock on, in one transaction. A repeat answers the truth: nil only if the
// section was ended by its own release, ErrLockExpired only if it was not published.
func (s *Store) Release(ctx context.Context, sec Section) error {
	return finishCall(ctx, func(done func(error)) { s.StartRelease(ctx, sec, done) })
}

func (s *Store) resolveRelease(ctx context.Context, sec Section) error {
	c, err := s.owner(ctx, sec)
	if err != nil {
		return err
	}
	ended, err := s.end(ctx, s.releasing(c, sec))
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if !ended {
		return s.truth(ctx, c, sec)
	}
	return nil
}

func (s *Store) releasing(c session, sec Section) ending {
	e := ending{lock: sec.Lock, token: sec.Token, guard: s.guard(sec.Lock, sec.Token, c)}
	if sec.Appended {
		e.then, e.publishes = s.marker(sec), true
	} else {
		e.spareless = true
	}
	return e
}

// Commit publishes a section and goes on holding the lock: a hand-over to oneself. The answer is the next section's
// token, or 0 if the section was published but the lock has been lost since. A repeat answers the same.
func (s *Store) Commit(ctx context.Context, sec Section) (token int64, err error) {
	c, err := s.owner(ctx, sec)
	if err != nil {
		return 0, err
	}
	lock := s.keys.lock(sec.Lock)
	v, err := s.heldAs(ctx, sec)
	if err != nil {
		return 0, err
	}
	v.Prev = sec.Token
	value := v.encode()
	t := commit.Txn{
		If:   s.guard(sec.Lock, sec.Token, c),
		Then: []*pb.RequestOp{op.PutOn(c.lease, lock, value)},
		Else: []*pb.RequestOp{op.Get(lock)},
	}
	if sec.Appended {
		t.Then = append(t.Then, s.marker(sec)...)
	}
	done, err := s.engine.Commit(ctx, t)
	if errors.Is(err, ErrNoSpace) { // but it may be over, or a repeat
		refusal := err
		if done, err = s.engine.Commit(ctx, commit.Txn{If: t.If, Else: t.Else}); err == nil && done.Succeeded {
			err = refusal
		}
	}
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if rev := done.Header.Revision; done.Succeeded {
		s.mirror.own(change{key: lock, rev: rev, holder: &v})
		if sec.Appended {
			s.publish(sec.Lock, sec.Token, rev)
		}
		return rev, nil
	}
	if kv := op.First(done, 0); kv != nil && clientv3.LeaseID(kv.Lease) == c.lease {
		if v, err := decodeHolder(kv.Value); err == nil && v.Prev == sec.Token {
			return kv.ModRevision, nil
		}
	}
	return 0, s.truth(ctx, c, sec)
}

// heldAs is the holder's value under a token. It is right if the guard then holds, and of no use if not.
func (s *Store) heldAs(ctx context.Context, sec Section) (holderValue, error) {
	if h := s.mirror.holder(sec.Lock); h != nil && h.token == sec.Token {
		return h.holderValue, nil
	}
	resp, err := s.get(ctx, s.keys.lock(sec.Lock))
	if err != nil || len(resp.Kvs) == 0 {
		return holderValue{}, err
	}
	return decodeHolder(resp.Kvs[0].Value)
}

// Discard drops a section's records and passes the lock on. published tells that it came too late: the section had
// been published. A repeat, or the discard of a section that was lost, succeeds.
func (s *Store) Discard(ctx context.Context, sec Section) (published bool, err error) {
	c, err := s.owner(ctx, sec)
	if err != nil {
		return false, err
	}
	e := ending{lock: sec.Lock, token: sec.Token, guard: s.guard(sec.Lock, sec.Token, c), spareless: true}
	if sec.Appended {
		e.then = s.note(sec.Lock, sec.Token, noteValue{Why: discarded})
	}
	ended, err := s.end(ctx, e)
	if err != nil {
		return false, fmt.Errorf("discard: %w", err)
	}
	if ended {
		if sec.Appended {
			s.sweeps.add(sectionKey{sec.Lock, sec.Token})
		}
		return false, nil
	}
	if !sec.Appended {
		return false, nil
	}
	switch err := s.truth(ctx, c, sec); {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrLockExpired):
		return false, nil
	default:
		return false, err
	}
}

// Evict takes a lock from its holder; its section is undone. token 0 means whoever holds the lock now. The answer is who
// was evicted; nil: the token did not hold the lock any more.
func (s *Store) Evict(ctx context.Context, lock string, token int64, reason string) (*Holder, error) {
	if err := errors.Join(CheckLock(lock), checkText("reason", reason, MaxReason)); err != nil {
		return nil, err
	}
	if reason == "" || token < 0 {
		return nil, fmt.Errorf("%w: an eviction needs a reason and a token that was granted, or 0", ErrInvalidArgument)
	}
	resp, err := s.get(ctx, s.keys.lock(lock))
	if err != nil {
		return nil, err
	}
	if len(resp.Kvs) == 0 {
		if token == 0 {
			return nil, fmt.Errorf("%w: nobody holds %s", ErrLockNotFound, quoted(lock))
		}
		return nil, nil
	}
	holder := holderOf(resp.Kvs[0])
	if token == 0 {
		token = holder.Token
	}
	ended, err := s.evict(ctx, lock, token, noteValue{Why: evicted, Reason: reason})
	if err != nil || !ended {
		return nil, err
	}
	s.log.Warn("evicted", "lock", lock, "session", holder.Session, "token", token, "reason", reason)
	return holder, nil
}

// evict undoes a section, whoever holds it.
func (s *Store) evict(ctx context.Context, lock string, token int64, note noteValue) (ended bool, err error) {
	ended, err = s.end(ctx, ending{
		lock: lock, token: token,
		guard: []*pb.Compare{op.ModifiedAt(s.keys.lock(lock), token)},
		then:  s.note(lock, token, note),
	})
	if err != nil {
		return false, fmt.Errorf("evict: %w", err)
	}
	if ended {
		s.sweeps.add(sectionKey{lock, token})
	}
	return ended, nil
}

// evictOverdue ends a section whose holder kept the lock past its hold deadline.
func (s *Store) evictOverdue(ctx context.Context, k sectionKey) error {
	ended, err := s.evict(ctx, k.lock, k.token, noteValue{Why: overdue})
	if ended {
		s.log.Warn("evicted: held too long", "lock", k.lock, "token", k.token)
	}
	return err
}

// marker publishes a section. It is put whether or not a record is there: looking would read the section on every
// member, and a marker without records folds to nothing.
func (s *Store) marker(sec Section) []*pb.RequestOp {
	return []*pb.RequestOp{op.Put(s.keys.marker(sec.Lock, sec.Token), "")}
}

// note keeps that, and why, a section was not published.
func (s *Store) note(lock string, token int64, v noteValue) []*pb.RequestOp {
	v.At = millis(time.Now())
	return []*pb.RequestOp{op.Put(s.keys.note(lock, token), encode(v))}
}
