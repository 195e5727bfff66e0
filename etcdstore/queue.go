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

// giveUp ends a wait that was long enough. A grant that came first stands, and its token is
// returned; otherwise what the queue was like. If the place is gone, the wait was over before, in
// another way.
func (s *Store) giveUp(ctx context.Context, credential string, a acquisition) (token int64, busy Grant, err error) {
	position, length := s.mirror.place(a)
	token, left, err := s.leave(ctx, a, false)
	if err != nil || token != 0 {
		return token, Grant{}, err
	}
	if !left {
		busy, err = s.gone(ctx, credential, a)
		return 0, busy, err
	}
	return 0, Grant{Outcome: Busy, Holder: s.mirror.holder(a.lock).public(), Position: position, QueueLength: max(length-1, 0)}, nil
}

// gone is the result of a wait whose acquisition neither holds nor waits any more: its session has
// ended, or its place was given up. Otherwise it was granted the lock, and lost it, with neither
// heard of here: a listing may skip both.
func (s *Store) gone(ctx context.Context, credential string, a acquisition) (Grant, error) {
	if _, err := s.living(ctx, credential); err != nil {
		return Grant{}, err
	}
	if s.mirror.givenUp(a) {
		return Grant{Outcome: Cancelled}, nil
	}
	return Grant{}, fmt.Errorf("%w: it was granted, and lost, before this was known here", ErrLockExpired)
}

// Cancel gives up a wait. It returns
//
//   - 0, nil: the acquisition neither waits nor holds. That is so as well if it never did, or has
//     had its section. A call of [Store.Acquire] that waits for it returns [Cancelled]; one that is
//     still to come is refused as late, or ended by the session's next heartbeat.
//   - a token, nil: it had been granted the lock, which the session holds under that token.
//   - [ErrSessionExpired], [ErrInvalidName], [ErrInvalidArgument]: nothing was changed.
//   - any other error: indeterminate.
//
// It may be repeated, and returns the same as long as nothing else has happened.
func (s *Store) Cancel(ctx context.Context, credential string, a Acquisition) (token int64, err error) {
	if err := checkAcquisition(a); err != nil {
		return 0, err
	}
	c, err := s.living(ctx, credential)
	if err != nil {
		return 0, err
	}
	token, _, err = s.leave(ctx, acquisition{a.Lock, c.id, a.Request}, true)
	return token, err
}

// leave takes an acquisition out of its queue, and reports whether it was there. If it holds the
// lock instead, its token is returned. The mark keeps an acquire that has its turn behind this one
// from taking the place anew. What has left is noted as cancelled, and with anyhow so is what
// neither waited nor held: its acquire may be still to come.
func (s *Store) leave(ctx context.Context, a acquisition, anyhow bool) (token int64, left bool, err error) {
	s.mirror.markCancel(a)
	defer s.mirror.unmarkCancel(a)
	holder, left, err := s.leaveQueue(ctx, a)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("cancel: %w", err)
	case holder != nil && holds(holder, a):
		return holder.ModRevision, false, nil
	}
	if left || anyhow {
		s.mirror.noteCancel(a)
	}
	return 0, left, nil
}

// leaveQueue deletes an acquisition's place, if there is one; otherwise it reads who holds the
// lock. Thousands may do so at once. So what the mirror shows is tried first without another
// branch, so that it packs: that the place is there, or that it is not.
func (s *Store) leaveQueue(ctx context.Context, a acquisition) (holder *mvccpb.KeyValue, left bool, err error) {
	place, lock := s.keys.waiter(a), s.keys.lock(a.lock)
	leave := commit.Txn{If: []*pb.Compare{op.Present(place)}, Then: []*pb.RequestOp{op.Delete(place)}}
	waits := s.mirror.waitsAt(a)
	first := leave
	if !waits {
		first = commit.Txn{Then: []*pb.RequestOp{op.Get(lock), op.GetKey(place)}, Besides: place}
	}
	resp, err := s.engine.Commit(ctx, first)
	if err == nil && !waits && op.First(resp, 1) == nil {
		return op.First(resp, 0), false, nil
	}
	if err == nil && !(waits && resp.Succeeded) {
		leave.Else = []*pb.RequestOp{op.Get(lock)}
		resp, err = s.engine.Commit(ctx, leave)
	}
	if err != nil {
		return nil, false, err
	}
	if !resp.Succeeded {
		return op.First(resp, 0), false, nil
	}
	s.mirror.own(change{key: place, rev: resp.Header.Revision, deleted: true})
	return nil, true, nil
}

// promote grants a free lock to its first waiter; first it publishes who waits before that for
// nothing else, as far as that is to be done here (see run). It is asked for whenever the mirror
// shows a free lock with a queue, whatever led to it: see settle. Every store does so, and one of
// them succeeds.
func (s *Store) promote(ctx context.Context, lock string) error {
	ctx = urgent(ctx)
	skip := map[acquisition]bool{}
	for s.mirror.waitedFor(lock) {
		if ran, err := s.run(ctx, lock); err != nil {
			return fmt.Errorf("promote: %w", err)
		} else if ran {
			continue
		}
		w := s.mirror.next(lock, skip)
		if w == nil {
			return nil // all of them are gone, the mirror will hear of it
		}
		p := s.passTo(w, lock)
		resp, err := s.engine.Commit(ctx, commit.Txn{
			If:    append([]*pb.Compare{op.Absent(s.keys.lock(lock))}, p.ifs...),
			Then:  p.then,
			Else:  []*pb.RequestOp{op.GetKey(s.keys.lock(lock))},
			Alive: p.alive,
		}.WithAlive())
		if errors.Is(err, ErrSessionExpired) { // its session has a record, and no lease
			skip[w.acquisition] = true
			continue
		}
		if err != nil {
			return fmt.Errorf("promote: %w", err)
		}
		if resp.Succeeded {
			s.mirror.own(p.changes(resp.Header.Revision)...)
			return nil
		}
		if op.First(resp, 0) != nil {
			return nil // another store did it
		}
		skip[w.acquisition] = true
	}
	return nil
}
