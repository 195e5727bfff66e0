package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

func (sec Section) check() error {
	if err := errors.Join(CheckLock(sec.Lock), checkToken(sec.Token)); err != nil || len(sec.Last) == 0 {
		return err
	}
	if !sec.Appended {
		return fmt.Errorf("%w: a section without appends has no last one", ErrInvalidArgument)
	}
	if len(sec.Last) > MaxLast {
		return fmt.Errorf("%w: %d last appends: want at most %d", ErrInvalidArgument, len(sec.Last), MaxLast)
	}
	for _, request := range sec.Last {
		if err := checkRequest(request); err != nil {
			return err
		}
	}
	return nil
}

// authorize checks a section's arguments and its caller.
func (s *Store) authorize(ctx context.Context, sec Section) (session, error) {
	if err := sec.check(); err != nil {
		return session{}, err
	}
	return s.authenticate(ctx, sec.Credential)
}

// guard holds while the token holds the lock for the session. Tokens can be seen, so the lease is
// compared as well; but what was put at a revision does not change, and if the mirror has seen that
// the session was granted this token, the revision says it all.
//
// The credential of a session that has ended could not be checked. So it guards nothing, whatever
// is held on its lease: that guard never holds.
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

// holds reports whether a token's guard may hold. If the mirror shows that it does not, etcd is
// asked first, by what only reads: a token that does not hold the lock never does again, and what
// writes the lock's key would have its holder wait for a turn, for every stranger's release.
func (s *Store) holds(ctx context.Context, lock string, token int64, guard []*pb.Compare) (bool, error) {
	if s.mirror.holdsUnder(lock, token) {
		return true, nil
	}
	return s.guarded(ctx, lock, guard)
}

// guarded asks whether a lock's guard holds. It reads the lock's key along: a transaction without
// operations is answered by etcd from what the member that is asked happens to have.
func (s *Store) guarded(ctx context.Context, lock string, guard []*pb.Compare) (bool, error) {
	resp, err := s.engine.Commit(ctx, commit.Txn{If: guard, Else: []*pb.RequestOp{op.GetKey(s.keys.lock(lock))}})
	return err == nil && resp.Succeeded, err
}

// StartRelease is [Store.Release] without the wait for its end. done is called once, from whichever
// goroutine, and must not block: plain.go has its contract.
func (s *Store) StartRelease(ctx context.Context, sec Section, done func(error)) {
	began, doubt := time.Now(), new(bool)
	resolved := func() {
		resolve(urgent(ctx), s, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.resolveRelease(ctx, sec, doubt) },
			func(_ struct{}, err error) { done(err) })
	}
	c, known := s.known(ctx, sec.Credential)
	if !known || sec.Withheld || sec.check() != nil || !s.mirror.holdsUnder(sec.Lock, sec.Token) {
		resolved()
		return
	}
	e := s.releasing(c, sec, doubt)
	p := s.passTo(s.heir(sec.Lock, nil), sec.Lock)
	e.began, e.since = began, s.mirror.markEnd(sec.Lock, sec.Token)
	t := e.txn(p)
	t.Caller = callerOf(ctx)
	t.Urgent = true
	s.engine.Submit(t, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			verdicts := s.ended(e, p, resp.Header.Revision)
			done(nil)
			// The next holder last: of the goroutines that this one wakes Go runs the last one
			// first, and everybody behind it in the queue waits for that holder.
			tellAll(verdicts)
		case plainFailed:
			s.mirror.unmarkEnd(sec.Lock, sec.Token)
			done(fmt.Errorf("release: %w", err))
		case plainUnclear:
			s.mirror.unmarkEnd(sec.Lock, sec.Token)
			*doubt = *doubt || errors.Is(err, ErrNoSpace)
			resolved()
		}
	})
}

// Release publishes a section and passes the lock on, in one transaction: to the first waiter, or
// to nobody. It returns
//
//   - nil: the section was ended by its own release, or by a commit, now or before. If
//     sec.Appended, all its records are readable, and stay so.
//   - [ErrLockExpired]: it was not published, and never will be.
//   - [ErrOutcomeUnknown]: it ended so long ago that whether it was published is not known: it is
//     folded, or its note is forgotten, and etcd's history does not reach back to its end.
//     [NotByThisCall] may say more.
//   - [ErrDataLoss]: the record of an append that sec.Last names is gone. Nothing was published.
//     The lock is still held, and only [Store.Discard] gives it up.
//   - [ErrNoSpace]: etcd is full and can take no marker. The lock is still held, and the release
//     may be repeated; a [Store.Discard], and a release without records, go on.
//   - [ErrWithheld]: by sec.Withheld. The lock is still held.
//   - [ErrSessionExpired]: the credential is not that of its session. Nothing was changed.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: indeterminate.
//
// It may be repeated, with the same arguments, through any store and after the session's end. A
// repeat changes nothing, and returns what became of the section. Of a section without records nil
// says that it was ended by its own session, if need be by a discard: there was nothing to publish.
func (s *Store) Release(ctx context.Context, sec Section) error {
	return finishCall(ctx, func(done func(error)) { s.StartRelease(ctx, sec, done) })
}

func (s *Store) resolveRelease(ctx context.Context, sec Section, doubt *bool) error {
	c, err := s.authorize(ctx, sec)
	if err != nil {
		return err
	}
	e := s.releasing(c, sec, doubt)
	if sec.Withheld { // so what was appended on the way here stands in the way
		e.guard = append(e.guard, op.Empty(s.keys.records(sec.Lock, sec.Token)))
	}
	ended, err := s.end(ctx, e)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if ended {
		return nil
	}
	if sec.Withheld {
		if open, err := s.guarded(ctx, sec.Lock, s.guard(sec.Lock, sec.Token, c)); open || err != nil {
			return cmp.Or(err, ErrWithheld)
		}
		sec.Appended = false // its own ending has put no marker
	}
	return s.outcome(ctx, c, sec, *doubt)
}

// outcome is the truth about a section, for a call whose guard did not hold. doubt: it may have
// held before, unheard of.
func (s *Store) outcome(ctx context.Context, c session, sec Section, doubt bool) error {
	err := s.truth(ctx, c, sec)
	if errors.Is(err, ErrOutcomeUnknown) && !doubt {
		return notByThisCall{err}
	}
	return err
}

// releasing is the ending of a release. Without records it has no marker, and can be a mere
// deletion.
func (s *Store) releasing(c session, sec Section, doubt *bool) ending {
	e := ending{lock: sec.Lock, token: sec.Token, guard: s.guard(sec.Lock, sec.Token, c), whole: s.whole(sec), doubt: doubt}
	if sec.Appended && !sec.Withheld {
		e.then, e.publishes, e.bytes = s.marker(c, sec), true, s.usage.bytesOf(sec.Lock, sec.Token)
	} else {
		e.spareless = true
	}
	return e
}

// whole holds while the records of the last appends that the holder was answered are there. Nothing
// takes them away while the token holds, and so they are asked for one reason: that etcd may have
// been put back to an earlier state under a section that goes on.
func (s *Store) whole(sec Section) (there []*pb.Compare) {
	for _, request := range sec.Last {
		there = append(there, op.Present(s.keys.record(sec.Lock, sec.Token, request)))
	}
	return there
}

// Commit publishes a section and goes on holding the lock, under the next token: a hand-over to
// oneself. What is sent under the old token from now on changes nothing. It returns
//
//   - a token, nil: the section was published, and the lock is held under that token.
//   - 0, nil: it was published, and the lock has been lost since.
//   - [ErrNoSpace]: etcd is full. The section goes on as it was.
//   - [ErrDataLoss]: as [Store.Release]. The section goes on, and can only be discarded.
//   - other errors: as [Store.Release].
//
// It may be repeated as a release may be; a repeat returns the same token, as long as that holds.
func (s *Store) Commit(ctx context.Context, sec Section) (token int64, err error) {
	c, err := s.authorize(ctx, sec)
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
	doubt, guard := new(bool), s.guard(sec.Lock, sec.Token, c)
	t := commit.Txn{
		If:    append(guard[:len(guard):len(guard)], s.whole(sec)...),
		Then:  []*pb.RequestOp{op.PutOn(c.lease, lock, value)},
		Else:  []*pb.RequestOp{op.Get(lock)},
		Doubt: doubt,
	}
	if sec.Appended {
		t.Then = append(t.Then, s.marker(c, sec)...)
	}
	s.space.puts()
	bytes := s.usage.bytesOf(sec.Lock, sec.Token)
	open, err := s.holds(ctx, sec.Lock, sec.Token, guard)
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if !open { // nor will it be: only the other branch is of use
		t.Then = nil
	}
	done, err := s.engine.Commit(ctx, t)
	if errors.Is(err, ErrNoSpace) { // but it may be over, or a repeat
		refusal := err
		*doubt = true
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
			s.publish(sec.Lock, sec.Token, rev, bytes)
		}
		return rev, nil
	}
	kv := op.First(done, 0)
	switch {
	case kv == nil:
	case heldBy(kv, c) && committed(kv) == sec.Token:
		return kv.ModRevision, nil
	case len(sec.Last) > 0 && c.alive && kv.ModRevision == sec.Token && heldBy(kv, c): // the guard holds
		return 0, dataLoss(sec.Lock, sec.Token)
	}
	return 0, s.outcome(ctx, c, sec, *doubt)
}

// heldAs is the holder's value under a token, for a commit to put again. It may be another's, or
// none, if the token does not hold any more; then the guard fails, and it is not put.
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

// Discard drops a section's records and passes the lock on. It returns
//
//   - false, nil: the section is not published, and never will be: now discarded, or lost before.
//   - true, nil: it came too late, the section had been published.
//   - other errors: as [Store.Release], without [ErrLockExpired]. [ErrNoSpace] is rare, since etcd
//     takes deletions while it is full; nothing was changed then.
//
// It may be repeated as a release may be.
func (s *Store) Discard(ctx context.Context, sec Section) (published bool, err error) {
	ctx = urgent(ctx)
	c, err := s.authorize(ctx, sec)
	if err != nil {
		return false, err
	}
	e := ending{lock: sec.Lock, token: sec.Token, guard: s.guard(sec.Lock, sec.Token, c), spareless: true, discards: true, doubt: new(bool)}
	if sec.Appended {
		e.note.Why = discarded
		e.then = s.note(sec.Lock, sec.Token, e.note)
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
	if !sec.Appended { // on the client's word: there was nothing to publish
		return false, nil
	}
	switch err := s.outcome(ctx, c, sec, *e.doubt); {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrLockExpired):
		return false, nil
	default:
		return false, err
	}
}

// Evict takes a lock from its holder, whose section is undone, and passes it on. token 0 means
// whoever holds the lock now. reason is for people, and must be given: it is in the holder's
// errors, in events and in the log. It returns
//
//   - a holder, nil: who was evicted.
//   - nil, nil: the token does not hold the lock (any more), or whoever held it has just gone.
//     Nothing was changed.
//   - [ErrLockNotFound]: nobody holds the lock, and token is 0.
//   - [ErrNoSpace]: etcd is full and can take no note. Nothing was changed.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: indeterminate.
//
// A repeat with a token evicts nobody else. One with token 0 may evict the next holder.
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

// evict undoes a section, whoever holds it. The note is put whether or not there are records:
// without it a release that comes later would be told success, as that of a section without
// records, which nothing but its own ending leaves no trace of.
func (s *Store) evict(ctx context.Context, lock string, token int64, note noteValue) (ended bool, err error) {
	ended, err = s.end(ctx, ending{
		lock: lock, token: token,
		guard: []*pb.Compare{op.ModifiedAt(s.keys.lock(lock), token)},
		then:  s.note(lock, token, note),
		note:  note,
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
	h := s.mirror.holder(k.lock)
	if h == nil || h.token != k.token { // it is over, or goes on under another token, which is overdue as well
		return nil
	}
	hold := h.hold()
	ended, err := s.evict(ctx, k.lock, k.token, noteValue{Why: overdue, Reason: hold.String()})
	if ended {
		s.log.Warn("evicted: held too long", "lock", k.lock, "token", k.token, "session", h.session, "hold", hold)
	}
	return err
}

// marker publishes a section. It is put on the client's word (Section.Appended), whether or not a
// record is there: to look would read the section on every member, and a marker without records
// folds to nothing.
//
// It says whose section it is, so that nobody else who asks under this token is told success.
//
// With it comes what readers and tails look at, who need not look for markers then.
func (s *Store) marker(c session, sec Section) []*pb.RequestOp {
	return []*pb.RequestOp{op.Put(s.keys.marker(sec.Lock, sec.Token), c.id), op.Put(s.keys.latest(sec.Lock), "")}
}

// note keeps that, and why, a section was not published.
func (s *Store) note(lock string, token int64, v noteValue) []*pb.RequestOp {
	v.At = millis(time.Now())
	return []*pb.RequestOp{op.Put(s.keys.note(lock, token), encode(v))}
}
