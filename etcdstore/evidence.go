package etcdstore

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// The truth rule: what an ending comes to whose token does not hold the lock for its session. It
// may be the repeat of one that was carried out, or may come too late, or be about a section that
// was never this session's. Nothing is concluded from what is missing: success and a definite
// refusal both need something that was there, and what has neither is [ErrOutcomeUnknown].
//
// First one look at the present, in one transaction: the marker, which says whose section it
// published, the note, a record, and the lock. Where that does not tell, the past does, for etcd
// keeps it for a while. E is the revision at which the token stopped holding the lock:
//
//	revision   locks/l                        at E, which is 90
//	   40      put by a's grant: token 40     commits/l//40: a published it
//	   41…89   a holds, whatever else         undone/l//40: it was evicted, or discarded
//	           happens                        no sessions/a: it ended with its session
//	   90      anything else                  locks/l, put by a with prev=40: a committed it
//
// One transaction ends a section, and puts what says so at the same revision. So what is read at E
// is exact: fold, sweep and forget, which take such keys away, come later, and do not reach into
// the past. A session's end is a revision of its own, with all its keys and nothing else, as etcd
// revokes a lease by an entry of its own; so that no session is there at E says that its end is
// what E is. Only a lock that somebody deletes by hand can be mistaken, for a release of a section
// without records: nothing is lost by that but what the hand has broken.
//
// E is found by bisection. Tokens do not come back, so "the lock is at the token" is true at the
// token's own revision, and from some revision on it is false for good. Where history is compacted
// the question cannot be asked, and counts as true: compaction takes the oldest first. If the last
// revision for which it counts as true is such a one, E is not known. So a section that is older
// than history is told as long as its end is not.
//
// A watch from the token's revision on would find E too, but etcd reads all that happened since
// under a lock that every write needs. Bisecting 300,000 revisions is some 20 reads of one key.

// truth is what became of a section whose token does not hold the lock for its session any more, or
// never did.
//
//   - nil: the section was ended by its own call.
//   - [ErrLockExpired]: it was not published by this session, and never will be.
//   - [ErrOutcomeUnknown]: nothing is left that says what became of it.
//   - [ErrWentBack]: etcd has not come to the token yet.
//   - [ErrSessionExpired], [ErrNotOwner]: the credential was not that of its session, or the
//     session another identity's.
//   - any other: indeterminate.
func (s *Store) truth(ctx context.Context, c session, sec Section) error {
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{
		op.Get(s.keys.marker(sec.Lock, sec.Token)),
		op.Get(s.keys.note(sec.Lock, sec.Token)),
		op.Range(op.Any(s.keys.records(sec.Lock, sec.Token))),
		op.Get(s.keys.lock(sec.Lock)),
	}})
	if err != nil {
		return err
	}
	marker, note, record, holder := op.First(resp, 0), op.First(resp, 1), op.First(resp, 2), op.First(resp, 3)
	recorded := record != nil
	if recorded && !s.keys.isRecord(record) { // which says nothing, but may hide one that does
		key, err := s.anyRecord(ctx, sectionKey{sec.Lock, sec.Token})
		if err != nil {
			return err
		}
		recorded = key != ""
	}
	now := resp.Header.Revision
	if err := s.wentBack(sec.Token, now); err != nil { // before history is asked, which ends at now
		return err
	}
	if err := s.proveAt(ctx, c, sec.Token); err != nil {
		return err
	}
	switch {
	case marker != nil && publishedBy(marker, c.id):
		return nil
	case marker != nil:
		return notOwn(sec)
	case note != nil:
		return expired(note)
	case recorded: // records that were published have a marker, until both are folded
		return fmt.Errorf("%w: its records were never published", ErrLockExpired)
	case holder != nil && holder.ModRevision == sec.Token, holder != nil && committed(holder) == sec.Token && !heldBy(holder, c):
		return notOwn(sec)
	case holder != nil && committed(holder) == sec.Token: // the next section goes on
		return nil
	case holder != nil && holder.ModRevision < sec.Token: // tokens rise
		return neverGranted(sec)
	case holder != nil:
		now = holder.ModRevision // the lock is not at the token since then, if not longer
	}
	return s.truthAtEnd(ctx, c, sec, now)
}

// truthAtEnd is the part of the truth that the past tells. by is a revision at which the lock was
// not at the token any more.
func (s *Store) truthAtEnd(ctx context.Context, c session, sec Section, by int64) error {
	last, end, err := s.endOf(ctx, sec, by)
	if err != nil {
		return err
	}
	if !heldBy(last, c) {
		return notOwn(sec)
	}
	if err := s.proveAt(ctx, c, end-1); err != nil {
		return err
	}
	resp, err := s.asOf(ctx, end,
		s.keys.marker(sec.Lock, sec.Token), s.keys.note(sec.Lock, sec.Token), s.keys.session(c.id), s.keys.lock(sec.Lock))
	if errors.Is(err, rpctypes.ErrCompacted) {
		return forgotten(sec)
	}
	if err != nil {
		return err
	}
	marker, note, alive, holder := op.First(resp, 0), op.First(resp, 1), op.First(resp, 2), op.First(resp, 3)
	switch {
	case marker != nil:
		return nil
	case note != nil:
		return expired(note)
	case alive == nil:
		return fmt.Errorf("%w: %s", ErrLockExpired, sessionEnded)
	case holder != nil && committed(holder) == sec.Token: // a commit of nothing
		return nil
	case sec.Appended: // its own ending would have put a marker or, but for want of room, a note
		return fmt.Errorf("%w: it ended without being published", ErrLockExpired)
	}
	return nil // its own ending, of a section without records
}

// endOf finds the revision at which a token stopped holding its lock, and the lock as it was until
// then. by is a revision at which it did not hold any more.
//
//   - [ErrLockExpired]: the token was never granted.
//   - [ErrOutcomeUnknown]: the end is compacted away.
//   - any other: indeterminate.
func (s *Store) endOf(ctx context.Context, sec Section, by int64) (last *mvccpb.KeyValue, end int64, err error) {
	// At `held` the lock is at the token, and last is what it is then; or that is compacted, and
	// last is nil. At end the lock is not at the token.
	held, end := sec.Token, by
	for at := held; ; at = held + (end-held)/2 {
		kv, err := s.keyAt(ctx, s.keys.lock(sec.Lock), at)
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
			held, last = at, nil
		case err != nil:
			return nil, 0, err
		case kv != nil && kv.ModRevision == sec.Token:
			held, last = at, kv
		case at == sec.Token, kv != nil && kv.ModRevision < sec.Token: // tokens rise
			return nil, 0, neverGranted(sec)
		case kv != nil:
			end = kv.ModRevision // compacted perhaps, and no later than held then
		default:
			end = at
		}
		if end-held <= 1 {
			break
		}
	}
	if last == nil {
		return nil, 0, forgotten(sec)
	}
	return last, end, nil
}

// proveAt checks the secret of a session that has ended, and whose it was, against the session's
// record as it was at a revision. Where the record cannot be had, because there was none or because
// it is compacted away, that is no error: what the caller is then told changes nothing, and anybody
// can see of a lock who holds it, and of a file that it has grown.
func (s *Store) proveAt(ctx context.Context, c session, rev int64) error {
	if c.alive {
		return nil
	}
	kv, err := s.keyAt(ctx, s.keys.session(c.id), rev)
	switch {
	case errors.Is(err, rpctypes.ErrCompacted), err == nil && kv == nil:
		return nil
	case err != nil:
		return err
	}
	v, _, err := sessionOf(kv)
	if err != nil {
		return err
	}
	if !s.proves(c, v) {
		return wrongCredential(c.id)
	}
	if v.Owner != c.owner {
		return notOwner(c.id)
	}
	return nil
}

// keyAt is a key as it was at a revision; nil: it was not there. The error is
// [rpctypes.ErrCompacted] if that is not known any more.
func (s *Store) keyAt(ctx context.Context, key string, rev int64) (*mvccpb.KeyValue, error) {
	resp, err := s.asOf(ctx, rev, key)
	if err != nil {
		return nil, err
	}
	return op.First(resp, 0), nil
}

// asOf reads keys as they were at a revision. What was does not change, so any member may answer,
// from what it has itself. One that has not come so far says that the revision is in the future:
// the read is then made again through the quorum.
func (s *Store) asOf(ctx context.Context, rev int64, keys ...string) (*pb.TxnResponse, error) {
	then := make([]at[string], len(keys))
	for i, key := range keys {
		then[i] = at[string]{rev, key}
	}
	return s.eachAsOf(ctx, then)
}

// eachAsOf is asOf with a revision for each key.
func (s *Store) eachAsOf(ctx context.Context, keys []at[string]) (resp *pb.TxnResponse, err error) {
	for _, serializable := range []bool{true, false} {
		var read commit.Txn
		for _, key := range keys {
			read.Then = append(read.Then, op.Range(&pb.RangeRequest{Key: []byte(key.who), Revision: key.rev, Serializable: serializable}))
		}
		if resp, err = s.engine.Commit(ctx, read); !errors.Is(err, rpctypes.ErrFutureRev) {
			break
		}
	}
	return resp, err
}

// publishedBy reports whether a marker is a session's. Earlier servers put it without saying whose
// it is; then it is taken for that of whoever asks.
func publishedBy(marker *mvccpb.KeyValue, session string) bool {
	return len(marker.Value) == 0 || string(marker.Value) == session
}

// committed is the token whose commit has put a holder's key; 0: none.
func committed(holder *mvccpb.KeyValue) int64 {
	v, err := decodeHolder(holder.Value)
	if err != nil {
		return 0
	}
	return v.Prev
}

// heldBy reports whether a holder's key ends with a session.
func heldBy(holder *mvccpb.KeyValue, c session) bool {
	return clientv3.LeaseID(holder.Lease) == c.lease
}

func expired(note *mvccpb.KeyValue) error {
	v, err := decodeNote(note.Value)
	if err != nil { // its key alone says that the section was undone
		return ErrLockExpired
	}
	return fmt.Errorf("%w: %s", ErrLockExpired, v)
}

func neverGranted(sec Section) error {
	return fmt.Errorf("%w: token %d of %s was never granted", ErrLockExpired, sec.Token, quoted(sec.Lock))
}

func notOwn(sec Section) error {
	return fmt.Errorf("%w: token %d of %s was granted to another session", ErrLockExpired, sec.Token, quoted(sec.Lock))
}

func forgotten(sec Section) error {
	return fmt.Errorf("%w: what became of token %d of %s is no longer in etcd's history", ErrOutcomeUnknown, sec.Token, quoted(sec.Lock))
}
