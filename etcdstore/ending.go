package etcdstore

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// ending is one way to end a section: a release, a discard or an eviction. A commit ends one too,
// and is its own transaction, since it passes no lock on.
type ending struct {
	lock      string
	token     int64
	guard     []*pb.Compare
	then      []*pb.RequestOp // besides passing the lock on
	publishes bool            // then has the marker: there will be something to fold
	spareless bool            // it can do without a put: see endByDeletion
	told      string          // why, as the holder is told at once; empty: it asked for the end
}

// txn is the ending's transaction, with the part that moves the lock on. It has no other branch, so
// that it packs.
func (e ending) txn(p pass) commit.Txn {
	return commit.Txn{If: append(e.guard[:len(e.guard):len(e.guard)], p.ifs...), Then: append(p.then, e.then...), Alive: p.alive}
}

// ended takes in what the transaction did. It returns the waits that are over by it, for the caller
// to end: see take.
func (s *Store) ended(e ending, p pass, rev int64) (verdicts []verdict) {
	s.usage.drop(e.lock, e.token)
	verdicts = s.mirror.take(ownEnd{sectionKey{e.lock, e.token}, e.told}, p.changes(rev)...)
	if e.publishes {
		s.publish(e.lock, e.token, rev)
	}
	return verdicts
}

// maxHandovers bounds how many vanished waiters one ending skips. Then it frees the lock, and
// promote passes it on.
const maxHandovers = 16

// end runs an ending: the lock goes to the next waiter, or becomes free. false: the guard does not
// hold.
//
// A transaction that fails may do so for the guard or for the waiter it was to hand over to. Its
// other branch says which: it evaluates the guard alone. If the guard holds, the waiter has left,
// or its session has ended, and the mirror has not heard of that. The one behind it is tried, in
// this call.
func (s *Store) end(ctx context.Context, e ending) (ended bool, err error) {
	lock := s.keys.lock(e.lock)
	s.mirror.markEnd(e.lock, e.token)
	defer func() {
		if !ended {
			s.mirror.unmarkEnd(e.lock, e.token)
		}
	}()
	skip := map[acquisition]bool{}
	for {
		var w *mirrorWaiter
		if len(skip) < maxHandovers {
			w = s.mirror.next(e.lock, skip)
		}
		p := s.passTo(w, e.lock)
		t := e.txn(p).WithAlive()
		t.Else = []*pb.RequestOp{commit.Txn{If: e.guard, Else: []*pb.RequestOp{op.GetKey(lock)}}.Op()}
		resp, err := s.engine.Commit(ctx, t)
		if errors.Is(err, ErrNoSpace) {
			if e.spareless {
				return s.endByDeletion(ctx, e)
			}
			return false, s.whenFull(ctx, e, err)
		}
		if err != nil {
			return false, err
		}
		if resp.Succeeded {
			tellAll(s.ended(e, p, resp.Header.Revision))
			return true, nil
		}
		if !op.Nested(resp, 0).Succeeded {
			return false, nil
		}
		if w == nil {
			return false, fmt.Errorf("lock %s: the guard holds and does not hold", quoted(e.lock))
		}
		skip[w.acquisition] = true
	}
}

// whenFull is what an ending comes to when etcd is too full for it: the refusal, if the section is
// still open. If the guard does not hold it is nil, so that the caller goes on to the truth.
func (s *Store) whenFull(ctx context.Context, e ending, refusal error) error {
	resp, err := s.engine.Commit(ctx, commit.Txn{If: e.guard})
	if err != nil || !resp.Succeeded {
		return err
	}
	return refusal
}

// endByDeletion ends a section while etcd is full: it then refuses every transaction with a put, in
// whichever branch. So the lock is freed and not handed over, and the queue waits for promote,
// which puts. A discard leaves no note; its records stay, as the evidence that it was not
// published.
func (s *Store) endByDeletion(ctx context.Context, e ending) (bool, error) {
	p := s.passTo(nil, e.lock)
	resp, err := s.engine.Commit(ctx, commit.Txn{If: e.guard, Then: p.then})
	if err != nil {
		return false, err
	}
	if resp.Succeeded {
		tellAll(s.ended(e, p, resp.Header.Revision))
	}
	return resp.Succeeded, nil
}

// truth is what a repeated or late ending comes to whose token no longer holds, from one read; the
// package comment has the rule, docs/protocol.md the reasons.
//
//   - nil: the section was ended by its own call.
//   - [ErrLockExpired]: it was not published.
//   - [ErrOutcomeUnknown]: too much has been forgotten to say.
func (s *Store) truth(ctx context.Context, c session, sec Section) error {
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{
		op.Get(s.keys.note(sec.Lock, sec.Token)),
		op.GetKey(s.keys.marker(sec.Lock, sec.Token)),
		op.Range(op.Any(s.keys.records(sec.Lock, sec.Token))),
		op.GetKey(s.keys.session(c.id)),
		op.Get(s.keys.horizon()),
		op.Get(s.keys.lock(sec.Lock)),
	}})
	if err != nil {
		return err
	}
	note, marker, record, sess, horizon, holder := op.First(resp, 0), op.First(resp, 1), op.First(resp, 2), op.First(resp, 3), op.First(resp, 4), op.First(resp, 5)
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
