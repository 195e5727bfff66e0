package etcdstore

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// StartAppend is [Store.Append] without the wait for its end. done is called once, from whichever
// goroutine, and must not block: plain.go has its contract.
func (s *Store) StartAppend(ctx context.Context, r Record, done func(error)) {
	resolved := func(reserved bool) {
		resolve(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.resolveAppend(ctx, r, reserved) },
			func(_ struct{}, err error) { done(err) })
	}
	// What needs a question to etcd first is resolved, and so is what looks refused: a repeat that
	// is staged already is not refused.
	c, known := s.known(r.Credential)
	if !known || r.check() != nil || s.room() != nil || !s.usage.knows(r) && !s.countNew(r) || s.usage.reserve(r) != nil {
		resolved(false)
		return
	}
	guard, stage := s.staging(c, r)
	s.engine.Submit(commit.Txn{If: guard, Then: stage}, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			s.usage.staged(r)
			done(nil)
		case plainFailed:
			if commit.NotSent(err) {
				s.usage.giveBack(r)
			}
			done(fmt.Errorf("append: %w", err))
		case plainUnclear:
			resolved(true)
		}
	})
}

// Append stages a record in its section: it becomes readable if and when the section is published.
// It returns
//
//   - nil: the record is staged, once, by this call or by an earlier one under the same request.
//   - [ErrLockExpired]: the token does not hold the lock for this session (any more). This call has
//     staged nothing.
//   - [ErrSessionExpired]: the credential is not that of its session. Nothing was staged.
//   - [ErrTooLarge]: the record has more than [MaxRecord] bytes. Nothing was asked of etcd.
//   - [ErrQuota]: with it, the section would have more than [MaxSection] bytes or [MaxSectionFiles]
//     files.
//   - [ErrNoSpace]: etcd is (nearly) full. With this and [ErrQuota] nothing of this request is
//     staged, unless that could not be looked up: a repeat that is staged already is not refused.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: indeterminate.
//
// A repeat stages nothing more, through whichever store. It succeeds as long as its section is
// open, or is published and not folded yet. After that it is [ErrLockExpired], though the record is
// in the file.
func (s *Store) Append(ctx context.Context, r Record) error {
	return finishCall(ctx, func(done func(error)) { s.StartAppend(ctx, r, done) })
}

// resolveAppend makes an append with all that it may come to. reserved: its plain transaction has
// counted the record already.
func (s *Store) resolveAppend(ctx context.Context, r Record, reserved bool) error {
	if err := r.check(); err != nil {
		return err
	}
	c, err := s.authenticate(ctx, r.Credential)
	if err != nil {
		return err
	}
	if !reserved {
		if err := s.reserve(ctx, r); err != nil {
			if repeat, _ := s.staged(ctx, c, r); repeat {
				return nil
			}
			return err
		}
	}
	guard, stage := s.staging(c, r)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   guard,
		Then: stage,
		Else: []*pb.RequestOp{
			op.GetKey(s.keys.record(r.Lock, r.Token, r.Request)),
			op.Get(s.keys.lock(r.Lock)), // a get of keys only would leave out the lease
			op.GetKey(s.keys.marker(r.Lock, r.Token)),
			op.Get(s.keys.note(r.Lock, r.Token)),
		},
	})
	if errors.Is(err, ErrNoSpace) { // which etcd also says of what it has just found room for
		if there, _ := s.staged(ctx, c, r); there {
			s.usage.staged(r)
			return nil
		}
	}
	if errors.Is(err, ErrNoSpace) || commit.NotSent(err) {
		s.usage.giveBack(r)
	}
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if resp.Succeeded {
		s.usage.staged(r)
		return nil
	}
	s.usage.giveBack(r) // what an earlier call has staged goes on counting for that one
	// A record of a section that is neither held nor published was lost with it, and is to be
	// swept.
	staged, holder, marker, note := op.First(resp, 0), op.First(resp, 1), op.First(resp, 2), op.First(resp, 3)
	held := holder != nil && holder.ModRevision == r.Token && clientv3.LeaseID(holder.Lease) == c.lease
	switch {
	case staged != nil && (held || marker != nil):
		return nil
	case note != nil:
		return expired(note)
	}
	return fmt.Errorf("%w: token %d does not hold %s", ErrLockExpired, r.Token, quoted(r.Lock))
}

func (r Record) check() error {
	if err := errors.Join(CheckLock(r.Lock), checkToken(r.Token), checkRequest(r.Request), checkFile(r.File)); err != nil {
		return err
	}
	if len(r.Data) > MaxRecord {
		return fmt.Errorf("%w: a record of %d bytes: want at most %d", ErrTooLarge, len(r.Data), MaxRecord)
	}
	return nil
}

// staging is the append's transaction: what it is guarded by, and what it puts.
func (s *Store) staging(c session, r Record) (guard []*pb.Compare, stage []*pb.RequestOp) {
	record := s.keys.record(r.Lock, r.Token, r.Request)
	return append(s.guard(r.Lock, r.Token, c), op.Absent(record)),
		[]*pb.RequestOp{op.Put(record, encodeRecord(r.Number, r.File, r.Data))}
}

// staged reports whether a record is there already, in a section that is open.
func (s *Store) staged(ctx context.Context, c session, r Record) (bool, error) {
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   s.guard(r.Lock, r.Token, c),
		Then: []*pb.RequestOp{op.GetKey(s.keys.record(r.Lock, r.Token, r.Request))},
	})
	return err == nil && resp.Succeeded && op.First(resp, 0) != nil, err
}
