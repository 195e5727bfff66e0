package etcdstore

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

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
	place := s.keys.waiter(a)
	s.mirror.markCancel(a)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   []*pb.Compare{op.Present(place)},
		Then: []*pb.RequestOp{op.Delete(place)},
		Else: []*pb.RequestOp{op.Get(s.keys.lock(a.lock))},
	})
	defer s.mirror.unmarkCancel(a)
	if err != nil {
		return 0, false, fmt.Errorf("cancel: %w", err)
	}
	if resp.Succeeded {
		s.mirror.own(change{key: place, rev: resp.Header.Revision, deleted: true})
	} else if kv := op.First(resp, 0); kv != nil && holds(kv, a) {
		return kv.ModRevision, false, nil
	}
	if resp.Succeeded || anyhow {
		s.mirror.noteCancel(a)
	}
	return 0, resp.Succeeded, nil
}

// promote grants a free lock to its first waiter. It is asked for whenever the mirror shows a free
// lock with a queue, whatever led to it: see settle. Every store does so, and one of them succeeds.
func (s *Store) promote(ctx context.Context, lock string) error {
	ctx = urgent(ctx)
	skip := map[acquisition]bool{}
	for s.mirror.waitedFor(lock) {
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
