package etcdstore

import (
	"context"
	"errors"
	"fmt"
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

// sweep removes the records of a section that ended without being published, and keeps a note that it was so. Each is
// checked in the transaction: a mirror that lags must not sweep a section that is held, or published.
func (s *Store) sweep(ctx context.Context, k sectionKey) error {
	records := s.keys.records(k.lock, k.token)
	for {
		resp, err := s.get(ctx, records, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			return nil
		}
		evidence := string(resp.Kvs[0].Key)
		t := commit.Txn{
			If: []*pb.Compare{
				op.NotModifiedAt(s.keys.lock(k.lock), k.token),
				op.Absent(s.keys.marker(k.lock, k.token)),
				op.Present(evidence), // else a section folded meanwhile would be noted as undone
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
			return nil // held, or published
		}
	}
}

// sweepAllButOne makes room while etcd is full and no note can be put: the record that stays is the evidence.
func (s *Store) sweepAllButOne(ctx context.Context, ifs []*pb.Compare, evidence, records string) error {
	_, err := s.engine.Alone(ctx, commit.Txn{If: ifs, Then: []*pb.RequestOp{
		op.DeleteRange(evidence+"\x00", clientv3.GetPrefixRangeEnd(records)),
	}})
	return err
}

// tidy finds, now and then, what a store that crashed left undone: sections to fold, records to sweep; and what is kept for
// a while only.
func (s *Store) tidy() {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var waited int64
	for {
		err := errors.Join(s.findFolds(s.ctx), s.findOrphans(s.ctx), s.dropNotes(s.ctx, time.Now().Add(-noteKept)), s.dropWaited(s.ctx, &waited))
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
func (s *Store) findFolds(ctx context.Context) error {
	return s.sections(ctx, s.keys.allMarkers(), func(k sectionKey) (next string) {
		s.folds.add(k.lock)
		return clientv3.GetPrefixRangeEnd(s.keys.markers(k.lock))
	})
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

// sections walks a family by its sections; found returns the key to go on from.
func (s *Store) sections(ctx context.Context, under string, found func(sectionKey) (next string)) error {
	sc := scanOf(under, 1)
	sc.keysOnly = true
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			if sec, ok := s.keys.parseSection(under, string(kv.Key)); ok {
				sc.from = found(sec)
			}
		}
	}
	return nil
}

// dropNotes forgets notes older than a moment. The same transaction raises the horizon to their tokens: below it what
// became of a section is not known, and never guessed.
func (s *Store) dropNotes(ctx context.Context, before time.Time) error {
	for notes, err := range s.pages(ctx, scanOf(s.keys.allNotes(), notesPage)) {
		if err != nil {
			return err
		}
		var drop []*pb.RequestOp
		var highest int64
		for _, kv := range notes.Kvs {
			var v noteValue
			sec, ok := s.keys.parseSection(s.keys.allNotes(), string(kv.Key))
			if ok && decode(kv.Value, &v) == nil && v.At < millis(before) {
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
		if err != nil {
			return err
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

// horizonOf is the highest token whose note was dropped.
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

// dropWaited forgets of locks that somebody waited for them, unless it was after *since: the revision of the call before,
// which it moves on. As long as somebody waits it must not be forgotten: a grant to another relies on it.
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
