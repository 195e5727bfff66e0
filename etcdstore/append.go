package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// StartAppend is [Store.Append] without the wait for its end. done is called once, from whichever
// goroutine, and must not block: plain.go has its contract.
func (s *Store) StartAppend(ctx context.Context, r Record, done func(rev int64, err error)) {
	resolved := func(reserved bool) {
		resolve(ctx, s, func(ctx context.Context) (int64, error) { return s.resolveAppend(ctx, r, reserved) }, done)
	}
	// What needs a question to etcd first is resolved, and so is what looks refused: a repeat that
	// is staged already is not refused.
	c, known := s.known(ctx, r.Credential)
	if !known || s.checkRecord(r) != nil || !s.usage.knows(r) && !s.countNew(r) || s.roomFor(r) != nil {
		resolved(false)
		return
	}
	if s.usage.reserve(r) != nil {
		s.hadRoom(r)
		resolved(false)
		return
	}
	guard, stage := s.staging(c, r)
	s.engine.Submit(commit.Txn{If: guard, Then: stage, Caller: callerOf(ctx)}, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			s.hadRoom(r)
			s.usage.staged(r)
			done(resp.Header.Revision, nil)
		case plainFailed:
			s.hadRoom(r)
			if commit.NotSent(err) {
				s.usage.giveBack(r)
			}
			done(0, fmt.Errorf("append: %w", err))
		case plainUnclear:
			resolved(true)
		}
	})
}

// Append stages a record in its section: it becomes readable if and when the section is published.
// It returns
//
//   - a revision, nil: the record is staged, once, by this call or by an earlier one under the same
//     request, at that revision.
//   - [ErrLockExpired]: the token does not hold the lock for this session (any more). This call has
//     staged nothing.
//   - [ErrWentBack]: etcd has not come to the token yet. Nothing was staged.
//   - [ErrSessionExpired]: the credential is not that of its session. Nothing was staged.
//   - [ErrFeatureOff]: the cluster does not replace, remove or cut files yet. Nothing was staged.
//   - [ErrTooLarge]: the record has more than [MaxRecord] bytes. Nothing was asked of etcd.
//   - [ErrQuota]: with it, the section would have more than [MaxSection] bytes or [MaxSectionFiles]
//     files.
//   - [ErrNoSpace]: etcd is (nearly) full. With this and [ErrQuota] nothing of this request is
//     staged: a repeat that is staged already is not refused.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: indeterminate.
//
// A repeat stages nothing more, through whichever store. It succeeds as long as its section is
// open, or is published and not folded yet. After that it is [ErrLockExpired], though the record is
// in the file.
func (s *Store) Append(ctx context.Context, r Record) (rev int64, err error) {
	return finish(ctx, func(done func(int64, error)) { s.StartAppend(ctx, r, done) })
}

// Staged reports which requests have staged a record in a section that is open, or published and
// not folded yet; once it is folded, or swept, none has. It changes nothing, and its error is that
// it could not look.
func (s *Store) Staged(ctx context.Context, lock string, token int64, requests []string) (staged []bool, err error) {
	if err := errors.Join(CheckLock(lock), checkToken(token)); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(requests, commit.MaxOps/2) {
		var gets []*pb.RequestOp
		for _, request := range part {
			gets = append(gets, op.GetKey(s.keys.record(lock, token, request)))
		}
		resp, err := s.engine.Commit(ctx, commit.Txn{Then: gets})
		if err != nil {
			return nil, fmt.Errorf("look what is staged: %w", err)
		}
		for i := range part {
			staged = append(staged, op.First(resp, i) != nil)
		}
	}
	return staged, nil
}

// resolveAppend makes an append with all that it may come to. reserved: its plain transaction has
// counted the record already.
func (s *Store) resolveAppend(ctx context.Context, r Record, reserved bool) (rev int64, err error) {
	if err := s.checkRecord(r); err != nil {
		return 0, err
	}
	c, err := s.authenticate(ctx, r.Credential)
	if err != nil {
		return 0, err
	}
	if !reserved {
		if err := s.reserve(ctx, r); err != nil {
			return s.unlessStaged(ctx, c, r, err)
		}
	}
	defer s.hadRoom(r)
	guard, stage := s.staging(c, r)
	resp, err := s.engine.Commit(ctx, commit.Txn{If: guard, Then: stage, Else: s.look(r)})
	switch {
	case errors.Is(err, ErrNoSpace): // which etcd also says of what it has just found room for
		if rev, err = s.unlessStaged(ctx, c, r, err); err == nil {
			s.usage.staged(r)
			return rev, nil
		}
		if errors.Is(err, ErrNoSpace) || errors.Is(err, ErrLockExpired) {
			s.usage.giveBack(r)
		}
		return 0, fmt.Errorf("append: %w", err)
	case err != nil:
		if commit.NotSent(err) {
			s.usage.giveBack(r)
		}
		return 0, fmt.Errorf("append: %w", err)
	case resp.Succeeded:
		s.usage.staged(r)
		return resp.Header.Revision, nil
	}
	s.usage.giveBack(r) // what an earlier call has staged goes on counting for that one
	if err := s.wentBack(r.Token, resp.Header.Revision); err != nil {
		return 0, err
	}
	rev, err = s.stagedAt(resp, c, r)
	if err == nil && rev == 0 {
		err = fmt.Errorf("append: %s of lock %s: the guard holds and does not hold", quoted(r.Request), quoted(r.Lock))
	}
	return rev, err
}

func (s *Store) checkRecord(r Record) error {
	o := r.operation()
	if err := errors.Join(CheckLock(r.Lock), checkToken(r.Token), checkRequest(r.Request), o.check()); err != nil {
		return err
	}
	if len(r.Data) > MaxRecord {
		return fmt.Errorf("%w: a record of %d bytes: want at most %d", ErrTooLarge, len(r.Data), MaxRecord)
	}
	return s.mayOperate(o)
}

// operation is what the record does.
func (r Record) operation() Operation { return Operation{r.File, r.Kind, r.Data, r.Offset} }

// staging is the append's transaction: what it is guarded by, and what it puts.
func (s *Store) staging(c session, r Record) (guard []*pb.Compare, stage []*pb.RequestOp) {
	record := s.keys.record(r.Lock, r.Token, r.Request)
	return append(s.guard(r.Lock, r.Token, c), op.Absent(record)),
		[]*pb.RequestOp{op.Put(record, encodeRecord(r.Number, r.operation()))}
}

// look reads all that says whether a record is staged, and what became of its section.
func (s *Store) look(r Record) []*pb.RequestOp {
	return []*pb.RequestOp{
		op.GetKey(s.keys.record(r.Lock, r.Token, r.Request)),
		op.Get(s.keys.lock(r.Lock)), // a get of keys only would leave out the lease
		op.Get(s.keys.marker(r.Lock, r.Token)),
		op.Get(s.keys.note(r.Lock, r.Token)),
	}
}

// stagedAt is what look has found: the revision at which the record was staged, in a section of
// this session that is open or published. 0: it is not, and the section is open. Otherwise the
// section is over for this session, or was never its own, and the error is [ErrLockExpired]: a
// record that is there was lost with it, and is to be swept, or is another session's under the same
// request.
func (s *Store) stagedAt(resp *pb.TxnResponse, c session, r Record) (rev int64, err error) {
	staged, holder, marker, note := op.First(resp, 0), op.First(resp, 1), op.First(resp, 2), op.First(resp, 3)
	held := holder != nil && holder.ModRevision == r.Token && clientv3.LeaseID(holder.Lease) == c.lease
	switch {
	case staged != nil && (held || marker != nil && publishedBy(marker, c.id)):
		return staged.ModRevision, nil
	case note != nil:
		return 0, expired(note)
	case held && c.alive:
		return 0, nil
	}
	return 0, fmt.Errorf("%w: token %d does not hold %s", ErrLockExpired, r.Token, quoted(r.Lock))
}

// unlessStaged is the refusal of an append, unless an earlier call has staged the record, or the
// section is over. An error of the look for that is returned as it is: then nobody knows whether
// the record is staged, and a refusal would say that it is not.
func (s *Store) unlessStaged(ctx context.Context, c session, r Record, refusal error) (rev int64, err error) {
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: s.look(r)})
	if err != nil {
		return 0, fmt.Errorf("look whether it is staged: %w", err)
	}
	if rev, err = s.stagedAt(resp, c, r); err == nil && rev == 0 {
		err = refusal
	}
	return rev, err
}
