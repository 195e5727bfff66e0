package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

const (
	tidyEvery = time.Minute
	noteKept  = 24 * time.Hour // how long it is remembered that, and why, a section was undone
	notesPage = 50

	waitedPage = 8 // each asks whether a queue is empty, which passes over all that were deleted there
)

// sweep removes the records of a section that ended without being published, and leaves a note that
// it was so. It is asked for by a mirror, which may be behind. So the transaction compares what it
// was decided from, and each compare stands for a way in which the mirror may be wrong:
//
//   - the lock is not at the token: else the section is held.
//   - there is no marker: else it is published, and its records are still to be folded.
//   - a record that was just read is there, the evidence: else it may be published and folded. Then
//     neither a marker nor a record is left, as if nothing had ever been published; the sweep would
//     delete nothing, and its note would be a lie, by which a repeat of the release is told that
//     the section was lost.
func (s *Store) sweep(ctx context.Context, k sectionKey) error {
	records := s.keys.records(k.lock, k.token)
	for {
		evidence, err := s.anyRecord(ctx, k)
		if err != nil || evidence == "" {
			return err
		}
		t := commit.Txn{
			If: []*pb.Compare{
				op.NotModifiedAt(s.keys.lock(k.lock), k.token),
				op.Absent(s.keys.marker(k.lock, k.token)),
				op.Present(evidence),
			},
			Then: []*pb.RequestOp{op.DeletePrefix(records)},
			Else: []*pb.RequestOp{op.GetKey(evidence)},
		}
		noted, err := s.get(ctx, s.keys.note(k.lock, k.token), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		if len(noted.Kvs) == 0 { // an eviction's or a discard's says more
			t.Then = append(t.Then, s.note(k.lock, k.token, noteValue{Why: swept})...)
		}
		done, err := s.engine.Alone(ctx, t)
		if errors.Is(err, ErrNoSpace) {
			return s.sweepAllButOne(ctx, t.If, evidence, records)
		}
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if done.Succeeded {
			if len(noted.Kvs) == 0 {
				s.log.Warn("a section was lost with its session", "lock", k.lock, "token", k.token)
			}
			return nil
		}
		if op.First(done, 0) != nil {
			return nil // the evidence is there: it is held, or published
		}
		// The evidence is gone, swept or folded by another store: is anything left?
	}
}

// anyRecord returns the key of a section's first record; empty: it has none. A key that no append
// has is no evidence of anything.
func (s *Store) anyRecord(ctx context.Context, k sectionKey) (key string, err error) {
	sc := scanOf(s.keys.records(k.lock, k.token), 1)
	sc.keysOnly = true
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return "", err
		}
		for _, kv := range resp.Kvs {
			if s.keys.isRecord(kv) {
				return string(kv.Key), nil
			}
			s.quarantine.add(string(kv.Key), errKey)
			sc.page = recordsPage
		}
	}
	return "", nil
}

// logLapse says that a holder is gone, whether or not it has left anything to sweep, or that a
// session is. Each store of the prefix does; but that a lock was lost is only warned of by the one
// that had heard of the session last. That a client closes its session is no news, unless it leaves
// a lock behind.
func (s *Store) logLapse(ctx context.Context, l lapse) error {
	level := slog.LevelWarn
	attrs := make([]slog.Attr, 0, 6)
	if l.lock == "" {
		level = slog.LevelInfo
	} else {
		attrs = append(attrs, slog.String("lock", l.lock))
	}
	switch {
	case l.lock == "" && l.how == EndClosed, l.lock == "" && l.how == EndElsewhere:
		level = slog.LevelDebug
	case l.how == EndElsewhere:
		level = slog.LevelInfo
	}
	attrs = append(attrs, slog.String("session", l.session))
	if l.token != 0 {
		attrs = append(attrs, slog.Int64("token", l.token))
	}
	attrs = append(attrs, slog.String("reason", l.how.String()))
	if l.label != "" {
		attrs = append(attrs, slog.String("label", l.label))
	}
	if l.owner != "" {
		attrs = append(attrs, slog.String("identity", l.owner))
	}
	if l.lock == "" {
		s.log.LogAttrs(ctx, level, "a session has ended", attrs...)
	} else {
		s.log.LogAttrs(ctx, level, "a lock was lost: its holder's session has ended", attrs...)
	}
	return nil
}

// sweepAllButOne makes room while etcd is full and no note can be put. One record stays, which says
// the same as a note: there is no marker with it, so its section was not published.
func (s *Store) sweepAllButOne(ctx context.Context, ifs []*pb.Compare, evidence, records string) error {
	_, err := s.engine.Alone(ctx, commit.Txn{If: ifs, Then: []*pb.RequestOp{
		op.DeleteRange(evidence+"\x00", clientv3.GetPrefixRangeEnd(records)),
	}})
	return err
}

// tidy finds, at once and then every minute, what a store has left undone that crashed or missed
// it: sections to fold, records to sweep, and files to clean. It also drops what is kept for a
// while only.
func (s *Store) tidy() {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var waited int64
	var buried time.Time
	for {
		err := errors.Join(s.findFolds(s.ctx), s.findOrphans(s.ctx), s.findGarbage(s.ctx),
			s.dropNotes(s.ctx, time.Now().Add(-noteKept)), s.dropWaited(s.ctx, &waited), s.forget(s.ctx, time.Now()),
			s.retain(s.ctx, time.Now()))
		if time.Since(buried) > buryEvery { // it reads every head
			buried = time.Now()
			err = errors.Join(err, s.bury(s.ctx, buried))
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Debug("tidying was cut short", "err", err)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// findFolds asks for every lock with a published section to be folded.
func (s *Store) findFolds(ctx context.Context) error { return s.unfoldedLocks(ctx, s.folds.add) }

// unfoldedLocks finds the locks of which something is published and not folded. One may be found
// twice.
func (s *Store) unfoldedLocks(ctx context.Context, found func(lock string)) error {
	err := s.sections(ctx, s.keys.allMarkers(), func(k sectionKey) (next string) {
		found(k.lock)
		return clientv3.GetPrefixRangeEnd(s.keys.markers(k.lock))
	})
	if err != nil {
		return err
	}
	sc := scanOf(s.keys.allBundles(), 1)
	sc.keysOnly = true
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			_, lock, err := s.keys.bundleOf(kv)
			if err != nil {
				s.quarantine.add(string(kv.Key), err)
				continue
			}
			found(lock)
			sc.from = clientv3.GetPrefixRangeEnd(s.keys.bundles(lock))
		}
	}
	return nil
}

// findOrphans asks for every section with records that does not look held to be swept.
func (s *Store) findOrphans(ctx context.Context) error {
	return s.sections(ctx, s.keys.allStaged(), func(k sectionKey) (next string) {
		if h := s.mirror.holder(k.lock); h == nil || h.token != k.token {
			s.sweeps.add(k)
		}
		return clientv3.GetPrefixRangeEnd(s.keys.records(k.lock, k.token))
	})
}

// sections walks over a family by its sections: it reads one key, and found returns the key to go
// on from, behind all others of the section or of its lock.
func (s *Store) sections(ctx context.Context, under string, found func(sectionKey) (next string)) error {
	sc := scanOf(under, 1)
	sc.keysOnly = true
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			sec, err := s.keys.sectionOf(under, kv)
			if err != nil {
				s.quarantine.add(string(kv.Key), err)
				continue
			}
			sc.from = found(sec)
		}
	}
	return nil
}

// dropNotes deletes notes that are older than a moment. What became of their sections is known from
// etcd's history as long as that reaches back, and not guessed after that. The same transaction
// raises the horizon to their tokens, for earlier servers on the same etcd: they do not ask
// history, and answer [ErrOutcomeUnknown] at or below it.
//
// If another store has raised the horizon meanwhile, the page is left for the next time.
func (s *Store) dropNotes(ctx context.Context, before time.Time) error {
	for notes, err := range s.pages(ctx, scanOf(s.keys.allNotes(), notesPage)) {
		if err != nil {
			return err
		}
		var drop []*pb.RequestOp
		var highest int64
		for _, kv := range notes.Kvs {
			v, malformed := decodeNote(kv.Value)
			sec, err := s.keys.sectionOf(s.keys.allNotes(), kv)
			if err == nil && malformed == nil && v.At < millis(before) {
				drop = append(drop, op.Delete(string(kv.Key)))
				highest = max(highest, sec.token)
			}
		}
		if len(drop) == 0 {
			continue
		}
		resp, err := s.get(ctx, s.keys.horizon())
		if err != nil {
			return err
		}
		var now *mvccpb.KeyValue
		var rev int64
		if len(resp.Kvs) > 0 {
			now, rev = resp.Kvs[0], resp.Kvs[0].ModRevision
		}
		horizon, err := horizonOf(now)
		if err != nil { // which nobody may lower
			s.quarantine.add(s.keys.horizon(), err)
			return nil
		}
		raise := op.Put(s.keys.horizon(), strconv.FormatInt(max(highest, horizon), 10))
		if _, err := s.engine.Alone(ctx, commit.Txn{
			If:   []*pb.Compare{op.ModifiedAt(s.keys.horizon(), rev)},
			Then: append(drop, raise),
		}); err != nil {
			return err
		}
	}
	return nil
}

// horizonOf reads the horizon, the highest token whose note was dropped; 0: none was.
func horizonOf(kv *mvccpb.KeyValue) (int64, error) {
	if kv == nil {
		return 0, nil
	}
	token, ok := parseDecimal(string(kv.Value), 64)
	if !ok {
		return 0, fmt.Errorf("the horizon is malformed: %s", quoted(string(kv.Value)))
	}
	return token, nil
}

// dropWaited deletes waited/L of the locks that nobody waits for. It leaves those that were put
// after *since, and sets that to its own revision for the next call: a lock that is waited for
// every few seconds keeps its key.
//
// While somebody waits the key must stay, since a grant to another relies on it: it compares that
// waited/L is no later than the revision as of which its mirror shows nobody waiting. A mirror that
// has not heard of the waiter would then grant past it. So the queue itself is asked, in the
// transaction.
func (s *Store) dropWaited(ctx context.Context, since *int64) error {
	before := *since
	sc := scanOf(s.keys.allWaited(), waitedPage)
	sc.keysOnly = true
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return err
		}
		*since = resp.Header.Revision
		var drop commit.Txn
		for _, kv := range resp.Kvs {
			name, ok := s.keys.parseWaited(string(kv.Key))
			if _, vacant := s.mirror.vacant(name); ok && vacant && kv.ModRevision <= before {
				drop.Then = append(drop.Then, commit.Txn{
					If:   []*pb.Compare{op.ModifiedAt(string(kv.Key), kv.ModRevision), op.Empty(s.keys.queue(name))},
					Then: []*pb.RequestOp{op.Delete(string(kv.Key))},
				}.Op())
			}
		}
		if len(drop.Then) > 0 {
			if _, err := s.engine.Alone(ctx, drop); err != nil {
				return err
			}
		}
	}
	return nil
}
