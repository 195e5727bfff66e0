package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Release publishes a section and passes the lock on, in one transaction. A repeat answers the truth: nil only if the
// section was ended by its own release, ErrLockExpired only if it was not published.
func (s *Store) Release(ctx context.Context, sec Section) error {
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
	t := txn{
		ifs:  s.guard(sec.Lock, sec.Token, c),
		then: []*pb.RequestOp{putOn(c.lease, lock, value)},
		els:  []*pb.RequestOp{get(lock)},
	}
	if sec.Appended {
		t.then = append(t.then, s.marker(sec)...)
	}
	done, err := s.commit(ctx, t)
	if errors.Is(err, ErrNoSpace) { // but it may be over, or a repeat
		refusal := err
		if done, err = s.commit(ctx, txn{ifs: t.ifs, els: t.els}); err == nil && done.Succeeded {
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
	if kv := first(done, 0); kv != nil && clientv3.LeaseID(kv.Lease) == c.lease {
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
		guard: []*pb.Compare{modifiedAt(s.keys.lock(lock), token)},
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

// owner checks a section's arguments and its caller.
func (s *Store) owner(ctx context.Context, sec Section) (session, error) {
	if err := errors.Join(CheckLock(sec.Lock), checkToken(sec.Token)); err != nil {
		return session{}, err
	}
	return s.authenticate(ctx, sec.Credential)
}

// marker publishes a section. It is put whether or not a record is there: looking would read the section on every
// member, and a marker without records folds to nothing.
func (s *Store) marker(sec Section) []*pb.RequestOp {
	return []*pb.RequestOp{put(s.keys.marker(sec.Lock, sec.Token), "")}
}

// note keeps that, and why, a section was not published.
func (s *Store) note(lock string, token int64, v noteValue) []*pb.RequestOp {
	v.At = millis(time.Now())
	return []*pb.RequestOp{put(s.keys.note(lock, token), encode(v))}
}

// ending is one way to end a section.
type ending struct {
	lock      string
	token     int64
	guard     []*pb.Compare
	then      []*pb.RequestOp // besides passing the lock on
	publishes bool            // there will be something to fold
	spareless bool            // if etcd is full, the lock is freed with a deletion and nothing else
}

// txn is the ending's transaction, with the part that moves the lock on. It has no other branch.
func (e ending) txn(p pass) txn {
	return txn{ifs: append(e.guard[:len(e.guard):len(e.guard)], p.ifs...), then: append(p.then, e.then...), alive: p.alive}
}

// ended notes what the transaction did. Whose wait is over by it has still to be told.
func (s *Store) ended(e ending, p pass, rev int64) (over []verdict) {
	s.usage.drop(e.lock)
	over = s.mirror.take(p.changes(rev)...)
	if e.publishes {
		s.publish(e.lock, e.token, rev)
	}
	return over
}

// maxHandovers bounds how many vanished waiters one ending skips before it frees the lock for promote to pass on.
const maxHandovers = 16

// end runs an ending: the lock goes to the next waiter, or becomes free. false: the guard does not hold.
func (s *Store) end(ctx context.Context, e ending) (ended bool, err error) {
	lock := s.keys.lock(e.lock)
	s.mirror.ending(e.lock, e.token, true)
	defer func() {
		if !ended {
			s.mirror.ending(e.lock, e.token, false)
		}
	}()
	skip := map[acquisition]bool{}
	for {
		var w *mirrorWaiter
		if len(skip) < maxHandovers {
			w = s.mirror.next(e.lock, skip)
		}
		p := s.passTo(w, e.lock)
		t := e.txn(p).withAlive()
		t.els = []*pb.RequestOp{txn{ifs: e.guard, els: []*pb.RequestOp{getKey(lock)}}.op()}
		resp, err := s.commit(ctx, t)
		if errors.Is(err, ErrNoSpace) {
			if e.spareless {
				return s.free(ctx, e)
			}
			return false, s.refused(ctx, e, err)
		}
		if err != nil {
			return false, err
		}
		if resp.Succeeded {
			tellAll(s.ended(e, p, resp.Header.Revision))
			return true, nil
		}
		if !nested(resp, 0).Succeeded {
			return false, nil
		}
		if w == nil {
			return false, fmt.Errorf("lock %s: the guard holds and does not hold", quoted(e.lock))
		}
		skip[w.acquisition] = true // its key or its session is gone, or the mirror is behind: the next in line
	}
}

// refused is what to answer when etcd is too full to try: nil if the guard does not hold, so that the truth can be told.
func (s *Store) refused(ctx context.Context, e ending, refusal error) error {
	resp, err := s.commit(ctx, txn{ifs: e.guard})
	if err != nil || !resp.Succeeded {
		return err
	}
	return refusal
}

// free ends a section while etcd is full: it then refuses a transaction with a put in any branch. The queue waits for
// promote; a discarded section's records stay behind as the evidence that it was not published.
func (s *Store) free(ctx context.Context, e ending) (bool, error) {
	p := s.passTo(nil, e.lock)
	resp, err := s.commit(ctx, txn{ifs: e.guard, then: p.then})
	if err != nil {
		return false, err
	}
	if resp.Succeeded {
		tellAll(s.ended(e, p, resp.Header.Revision))
	}
	return resp.Succeeded, nil
}

// truth answers a repeated or late ending of a section whose token no longer holds, from one read: nil if the section
// was published by its own ending, ErrLockExpired if it was not.
func (s *Store) truth(ctx context.Context, c session, sec Section) error {
	resp, err := s.commit(ctx, txn{then: []*pb.RequestOp{
		get(s.keys.note(sec.Lock, sec.Token)),
		getKey(s.keys.marker(sec.Lock, sec.Token)),
		look(getAny(s.keys.records(sec.Lock, sec.Token))),
		getKey(s.keys.session(c.id)),
		get(s.keys.horizon()),
		get(s.keys.lock(sec.Lock)),
	}})
	if err != nil {
		return err
	}
	note, marker, record, sess, horizon, holder := first(resp, 0), first(resp, 1), first(resp, 2), first(resp, 3), first(resp, 4), first(resp, 5)
	forgotten, malformed := horizonOf(horizon)
	switch {
	case sec.Token > resp.Header.Revision:
		s.log.Error("a token from the future: was etcd restored from an old snapshot?", "lock", sec.Lock, "token", sec.Token, "revision", resp.Header.Revision)
		return fmt.Errorf("%w: token %d was never granted", ErrLockExpired, sec.Token)
	case note != nil:
		return expired(note)
	case marker != nil:
		return nil
	case record != nil:
		return fmt.Errorf("%w: its records were never published", ErrLockExpired)
	case holder != nil && holder.ModRevision == sec.Token:
		return fmt.Errorf("%w: another session holds the lock under token %d", ErrLockExpired, sec.Token)
	case holder != nil && holder.ModRevision < sec.Token: // tokens rise, so this one was not granted
		return fmt.Errorf("%w: token %d was never granted", ErrLockExpired, sec.Token)
	case malformed != nil:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, malformed)
	case sec.Token <= forgotten:
		return fmt.Errorf("%w: token %d is older than what is remembered", ErrOutcomeUnknown, sec.Token)
	case sess != nil && sess.CreateRevision > sec.Token:
		return fmt.Errorf("%w: token %d is older than its session", ErrLockExpired, sec.Token)
	case sess != nil:
		return nil
	case sec.Appended:
		return nil // published and folded
	}
	return fmt.Errorf("%w: %s", ErrLockExpired, sessionEnded)
}

func expired(note *mvccpb.KeyValue) error {
	var v noteValue
	if err := decode(note.Value, &v); err != nil {
		return ErrLockExpired
	}
	return fmt.Errorf("%w: %s", ErrLockExpired, v)
}
