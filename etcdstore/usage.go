package etcdstore

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

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
