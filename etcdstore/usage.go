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
//
// A record is counted once, from when it is first asked for, however often that is repeated:
//
//   - It is staged: it counts until its section ends.
//   - It certainly is not, and will not be by this call: it does not count any more.
//   - Nobody knows, since its request or the answer was lost: it goes on counting, under its request, until a repeat finds out.
//
// Without the last a client that sends 33 records of 1 MiB at once through an outage, and all of them again, would be told that its
// section has no room for them.
type usage struct {
	mu    sync.Mutex
	locks map[string]*sectionUsage
}

type sectionUsage struct {
	token int64
	bytes int64
	files map[string]int      // how many records each has
	asked map[string]struct{} // requests of records that count, and are not known to be staged
}

func newSectionUsage(token int64) *sectionUsage {
	return &sectionUsage{token: token, files: map[string]int{}, asked: map[string]struct{}{}}
}

func newUsage() *usage { return &usage{locks: map[string]*sectionUsage{}} }

// reserve counts a record before it is staged. counted reports whether this call has: an earlier one may.
func (s *Store) reserve(ctx context.Context, r Record) (counted bool, err error) {
	if err := s.room(); err != nil {
		return false, err
	}
	if !s.usage.knows(r) {
		if err := s.recount(ctx, r); err != nil {
			return false, err
		}
	}
	return s.usage.reserve(r)
}

// knows reports whether the record's section is being counted.
func (u *usage) knows(r Record) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.of(r) != nil
}

// of is the count of a record's section; nil: it is not being counted. mu is held.
func (u *usage) of(r Record) *sectionUsage {
	if l := u.locks[r.Lock]; l != nil && l.token == r.Token {
		return l
	}
	return nil
}

// reserve counts a record, unless it is asked for already.
func (u *usage) reserve(r Record) (counted bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.of(r)
	if l == nil {
		return false, nil // ended meanwhile: the guard refuses
	}
	if _, asked := l.asked[r.Request]; asked {
		return false, nil
	}
	if l.bytes+int64(len(r.Data)) > MaxSection {
		return false, fmt.Errorf("%w: the section would exceed %d bytes", ErrQuota, MaxSection)
	}
	if l.files[r.File] == 0 && len(l.files) == MaxSectionFiles {
		return false, fmt.Errorf("%w: the section would exceed %d files", ErrQuota, MaxSectionFiles)
	}
	l.bytes += int64(len(r.Data))
	l.files[r.File]++
	l.asked[r.Request] = struct{}{}
	return true, nil
}

// staged notes that a record is staged: it counts until its section ends.
func (u *usage) staged(r Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.of(r); l != nil {
		delete(l.asked, r.Request)
	}
}

// giveBack stops counting a record for the call that counted it, and that has not staged it: nobody has, or an earlier call, for
// which it goes on counting.
func (u *usage) giveBack(r Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.of(r)
	if l == nil {
		return
	}
	if _, asked := l.asked[r.Request]; !asked {
		return
	}
	delete(l.asked, r.Request)
	l.bytes -= int64(len(r.Data))
	if l.files[r.File]--; l.files[r.File] <= 0 {
		delete(l.files, r.File)
	}
}

// drop stops counting a section, which has ended. What is counted of a later one stays: it may have begun before the answer
// of the end has come.
func (u *usage) drop(lock string, token int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.locks[lock]; l != nil && l.token <= token {
		delete(u.locks, lock)
	}
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
	l := newSectionUsage(r.Token)
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
	s.usage.begin(r.Lock, newSectionUsage(r.Token))
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
