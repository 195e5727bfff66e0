package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// ending is one way to end a section: a release, a discard or an eviction. A commit ends one too,
// and is its own transaction, since it passes no lock on.
type ending struct {
	lock      string
	token     int64
	guard     []*pb.Compare
	whole     []*pb.Compare   // besides the guard: what the section must have for it; none: nothing
	then      []*pb.RequestOp // besides passing the lock on
	publishes bool            // then has the marker: there will be something to fold
	bytes     int64           // of that, as far as this store knows
	spareless bool            // it can do without a put: see endByDeletion
	note      noteValue       // why the section is undone; zero: it is released, or has no records
	discards  bool            // it is not released
	began     time.Time       // when it was asked for
	since     int64           // since when the lock is held, in ms since 1970; 0: not known
	doubt     *bool           // set if the ending may have taken effect without an answer that says so
}

// txn is the ending's transaction, with the part that moves the lock on. It has no other branch, so
// that it packs.
func (e ending) txn(p pass) commit.Txn {
	ifs := append(e.guard[:len(e.guard):len(e.guard)], e.whole...)
	return commit.Txn{If: append(ifs, p.ifs...), Then: append(p.then, e.then...), Alive: p.alive, Doubt: e.doubt}
}

// ended takes in what the transaction did. It returns the waits that are over by it, for the caller
// to end: see take.
func (s *Store) ended(e ending, p pass, rev int64) (verdicts []verdict) {
	verdicts = s.mirror.take(ownEnd{sectionKey{e.lock, e.token}, e.note, e.publishes}, p.changes(rev)...)
	if e.publishes {
		s.publish(e.lock, e.token, rev, e.bytes)
	}
	s.usage.drop(e.lock, e.token)
	how := e.note.end()
	if e.discards { // also without a note
		how = EndDiscarded
	}
	s.observer.HoldEnded(e.lock, how, heldFor(e.since))
	if p.hands() {
		s.observer.HandedOver(time.Since(e.began))
	}
	return verdicts
}

// maxHandovers bounds how many vanished waiters one ending skips. Then it frees the lock, and
// promote passes it on.
const maxHandovers = 16

// end runs an ending: the lock goes to the next waiter, or becomes free. false: the guard does not
// hold. [ErrDataLoss]: it holds, and the section is not whole.
//
// A transaction that fails may do so for the guard, for what the section lacks, or for the waiter
// it was to hand over to. Its other branch says which: it evaluates the first two alone. If both
// hold, the waiter has left, or its session has ended, and the mirror has not heard of that. The
// one behind it is tried, in this call.
func (s *Store) end(ctx context.Context, e ending) (ended bool, err error) {
	ctx = urgent(ctx)
	e.began = time.Now()
	lock := s.keys.lock(e.lock)
	if open, err := s.holds(ctx, e.lock, e.token, e.guard); err != nil || !open {
		return false, err
	}
	e.since = s.mirror.markEnd(e.lock, e.token)
	defer func() {
		if !ended {
			s.mirror.unmarkEnd(e.lock, e.token)
		}
	}()
	skip := map[acquisition]bool{}
	for {
		var w *mirrorWaiter
		if len(skip) < maxHandovers {
			w = s.heir(e.lock, skip)
		}
		p := s.passTo(w, e.lock)
		t := e.txn(p).WithAlive()
		alone := func(ifs []*pb.Compare) *pb.RequestOp {
			return commit.Txn{If: ifs, Else: []*pb.RequestOp{op.GetKey(lock)}}.Op()
		}
		t.Else = []*pb.RequestOp{alone(e.guard)}
		if len(e.whole) > 0 {
			t.Else = append(t.Else, alone(e.whole))
		}
		resp, err := s.engine.Commit(ctx, t)
		if errors.Is(err, ErrNoSpace) {
			if e.doubt != nil {
				*e.doubt = true
			}
			if e.spareless {
				return s.endByDeletion(ctx, e)
			}
			return false, s.whenFull(ctx, e, err)
		}
		if errors.Is(err, ErrSessionExpired) && w != nil { // its session has a record, and no lease
			skip[w.acquisition] = true
			continue
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
		if len(e.whole) > 0 && !op.Nested(resp, 1).Succeeded {
			return false, dataLoss(e.lock, e.token)
		}
		if w == nil {
			return false, fmt.Errorf("lock %s: the guard holds and does not hold", quoted(e.lock))
		}
		skip[w.acquisition] = true
	}
}

func dataLoss(lock string, token int64) error {
	return fmt.Errorf("%w: a record of token %d of %s is gone that was acknowledged", ErrDataLoss, token, quoted(lock))
}

// whenFull is what an ending comes to when etcd is too full for it: the refusal, if the section is
// still open. If the guard does not hold it is nil, so that the caller goes on to the truth.
func (s *Store) whenFull(ctx context.Context, e ending, refusal error) error {
	if open, err := s.guarded(ctx, e.lock, e.guard); err != nil || !open {
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
