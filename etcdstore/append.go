package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Append stages a record in its section. A repeat with the same request stages nothing more and succeeds, as long as
// the section is open or published and not yet folded.
func (s *Store) Append(ctx context.Context, r Record) error {
	if err := r.check(); err != nil {
		return err
	}
	c, err := s.authenticate(ctx, r.Credential)
	if err != nil {
		return err
	}
	if err := s.reserve(ctx, r); err != nil {
		if repeat, _ := s.staged(ctx, c, r); repeat {
			return nil
		}
		return err
	}
	guard, stage := s.staging(c, r)
	resp, err := s.commit(ctx, txn{
		ifs:  guard,
		then: stage,
		els: []*pb.RequestOp{
			getKey(s.keys.record(r.Lock, r.Token, r.Request)),
			get(s.keys.lock(r.Lock)), // a get of keys only would leave out the lease
			getKey(s.keys.marker(r.Lock, r.Token)),
			get(s.keys.note(r.Lock, r.Token)),
		},
	})
	if errors.Is(err, ErrNoSpace) {
		s.usage.unreserve(r)
		if repeat, _ := s.staged(ctx, c, r); repeat {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if resp.Succeeded {
		return nil
	}
	s.usage.unreserve(r)
	staged, holder, marker, note := first(resp, 0), first(resp, 1), first(resp, 2), first(resp, 3)
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
	return append(s.guard(r.Lock, r.Token, c), absent(record)),
		[]*pb.RequestOp{put(record, encodeRecord(r.Number, r.File, r.Data))}
}

// staged tells whether a record is there already, in a section that is open.
func (s *Store) staged(ctx context.Context, c session, r Record) (bool, error) {
	resp, err := s.commit(ctx, txn{
		ifs:  s.guard(r.Lock, r.Token, c),
		then: []*pb.RequestOp{getKey(s.keys.record(r.Lock, r.Token, r.Request))},
	})
	return err == nil && resp.Succeeded && first(resp, 0) != nil, err
}

// usage counts what the open sections have staged through this store, so that what is too much is refused before etcd
// is touched. A section that was not granted here is counted from what is staged when it is first seen. A client that
// goes back and forth between servers in one section may exceed the bounds by what it sent elsewhere.
type usage struct {
	mu    sync.Mutex
	locks map[string]*sectionUsage
}

type sectionUsage struct {
	token int64
	bytes int64
	files map[string]int // records of each
}

func newUsage() *usage { return &usage{locks: map[string]*sectionUsage{}} }

// reserve counts a record before it is staged. What is then not staged is given back only if that is certain.
func (s *Store) reserve(ctx context.Context, r Record) error {
	if err := s.room(); err != nil {
		return err
	}
	if !s.usage.knows(r) {
		if err := s.recount(ctx, r); err != nil {
			return err
		}
	}
	return s.usage.reserve(r)
}

func (u *usage) knows(r Record) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.locks[r.Lock]
	return l != nil && l.token == r.Token
}

func (u *usage) reserve(r Record) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.locks[r.Lock]
	if l == nil || l.token != r.Token {
		return nil // ended meanwhile: the guard refuses
	}
	if l.bytes+int64(len(r.Data)) > MaxSection {
		return fmt.Errorf("%w: the section would exceed %d bytes", ErrQuota, MaxSection)
	}
	if l.files[r.File] == 0 && len(l.files) == MaxSectionFiles {
		return fmt.Errorf("%w: the section would exceed %d files", ErrQuota, MaxSectionFiles)
	}
	l.bytes += int64(len(r.Data))
	l.files[r.File]++
	return nil
}

func (u *usage) unreserve(r Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.locks[r.Lock]
	if l == nil || l.token != r.Token {
		return
	}
	l.bytes -= int64(len(r.Data))
	if l.files[r.File]--; l.files[r.File] <= 0 {
		delete(l.files, r.File)
	}
}

// drop forgets a lock's section, which has ended.
func (u *usage) drop(lock string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.locks, lock)
}

// recount begins to count a section: from nothing if it was granted here, else from what is staged.
func (s *Store) recount(ctx context.Context, r Record) error {
	if s.countNew(r) {
		return nil
	}
	resp, err := s.get(ctx, s.keys.lock(r.Lock), clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].ModRevision != r.Token {
		return nil // not open: nothing to count, the guard refuses
	}
	records, err := s.records(ctx, r.Lock, r.Token)
	if err != nil {
		return err
	}
	l := &sectionUsage{token: r.Token, files: map[string]int{}}
	for _, rec := range records {
		l.bytes += int64(len(rec.data))
		l.files[rec.file]++
	}
	s.usage.begin(r.Lock, l)
	return nil
}

// countNew begins to count a section that was granted by this store; false: it was not.
func (s *Store) countNew(r Record) bool {
	h := s.mirror.holder(r.Lock)
	if h == nil || h.token != r.Token || !h.local {
		return false
	}
	s.usage.begin(r.Lock, &sectionUsage{token: r.Token, files: map[string]int{}})
	return true
}

func (u *usage) begin(lock string, l *sectionUsage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := u.locks[lock]; old == nil || old.token < l.token {
		u.locks[lock] = l
	}
}

// forget drops the counts of sections that were ended elsewhere.
func (u *usage) forget(k keys, events []*clientv3.Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.locks) == 0 {
		return
	}
	for _, e := range events {
		if lock, ok := k.parseLock(string(e.Kv.Key)); ok {
			if l := u.locks[lock]; l != nil && l.token < e.Kv.ModRevision {
				delete(u.locks, lock)
			}
		}
	}
}
