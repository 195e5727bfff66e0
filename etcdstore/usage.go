package etcdstore

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// usage counts what the open sections have staged, so that what is too much is refused before etcd
// is touched. A section that was granted by this store is counted from nothing, any other from what
// is staged when its first record comes here. So a client that goes back and forth between servers
// in one section may exceed the bounds, by what it has sent elsewhere.
//
// A record is counted once, from when it is first asked for, however often that is repeated. Then
//
//   - it is staged: it counts until its section ends;
//   - it certainly is not, and will not be by this call: it does not count any more;
//   - nobody knows, since the request or its answer was lost: it goes on counting, under its
//     request, until a repeat finds out.
//
// The third case is a client that sends 33 records of 1 MiB at once into an outage, and then all of
// them again. Counted twice they would be more than [MaxSection], and be refused for ever. Not
// counted at all, after a failure that need not be one, they would let the section grow beyond it.
type usage struct {
	mu    sync.Mutex
	locks map[string]*sectionUsage
	total int64 // bytes of all
}

type sectionUsage struct {
	token int64
	bytes int64
	files map[string]int // how many records each has
	// asked has, by request, the records that count and are not known to be staged, and how many
	// calls rely on that.
	asked map[string]int
}

func newSectionUsage(token int64) *sectionUsage {
	return &sectionUsage{token: token, files: map[string]int{}, asked: map[string]int{}}
}

func newUsage() *usage { return &usage{locks: map[string]*sectionUsage{}} }

// reserve counts a record that is to be staged. It fails with [ErrNoSpace], with [ErrQuota], or
// because etcd could not be asked what is staged already.
func (s *Store) reserve(ctx context.Context, r Record) error {
	if !s.usage.knows(r) {
		if err := s.recount(ctx, r); err != nil {
			return err
		}
	}
	if err := s.roomFor(r); err != nil {
		return err
	}
	if err := s.usage.reserve(r); err != nil {
		s.hadRoom(r)
		return err
	}
	return nil
}

// knows reports whether the record's section is counted.
func (u *usage) knows(r Record) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.of(r) != nil
}

// of is the count of a record's section; nil: it is not counted. mu is held.
func (u *usage) of(r Record) *sectionUsage {
	if l := u.locks[r.Lock]; l != nil && l.token == r.Token {
		return l
	}
	return nil
}

// reserve counts a record, unless one under its request counts already and is not known to be
// staged. It fails with [ErrQuota]. A repeat of a record that is staged is counted again, since
// requests are not remembered for so long: it finds the record, and gives its own count back.
//
// The call says what came of it: staged, or giveBack, or nothing while nobody knows.
func (u *usage) reserve(r Record) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.of(r)
	if l == nil {
		return nil // ended meanwhile: the guard refuses
	}
	if calls := l.asked[r.Request]; calls > 0 {
		l.asked[r.Request] = calls + 1
		return nil
	}
	if l.bytes+int64(len(r.Data)) > MaxSection {
		return fmt.Errorf("%w: the section would exceed %d bytes", ErrQuota, MaxSection)
	}
	if l.files[r.File] == 0 && len(l.files) == MaxSectionFiles {
		return fmt.Errorf("%w: the section would exceed %d files", ErrQuota, MaxSectionFiles)
	}
	l.bytes += int64(len(r.Data))
	u.total += int64(len(r.Data))
	l.files[r.File]++
	l.asked[r.Request] = 1
	return nil
}

// staged notes that a record is staged: it counts until its section ends.
func (u *usage) staged(r Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.of(r); l != nil {
		delete(l.asked, r.Request)
	}
}

// giveBack is the word of a call that it has certainly not staged the record. It goes on counting
// for other calls that have not said so, and if one of them has staged it meanwhile.
func (u *usage) giveBack(r Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.of(r)
	if l == nil {
		return
	}
	switch calls := l.asked[r.Request]; calls {
	case 0:
		return
	case 1:
		delete(l.asked, r.Request)
	default:
		l.asked[r.Request] = calls - 1
		return
	}
	l.bytes -= int64(len(r.Data))
	u.total -= int64(len(r.Data))
	if l.files[r.File]--; l.files[r.File] <= 0 {
		delete(l.files, r.File)
	}
}

// drop stops counting a section that has ended. What is counted of a later one stays: its holder
// may be granted the lock, and append, before this store has taken in the answer of the end.
func (u *usage) drop(lock string, token int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.locks[lock]; l != nil && l.token <= token {
		u.remove(lock)
	}
}

// remove stops counting a section. mu is held.
func (u *usage) remove(lock string) {
	if l := u.locks[lock]; l != nil {
		u.total -= l.bytes
		delete(u.locks, lock)
	}
}

// bytes is what the sections that are counted have staged.
func (u *usage) bytes() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}

// bytesOf is what one section has staged.
func (u *usage) bytesOf(lock string, token int64) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.locks[lock]; l != nil && l.token == token {
		return l.bytes
	}
	return 0
}

// recount begins to count a section: from nothing if it was granted by this store, else from what
// is staged, which it asks etcd for.
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
		l.bytes += int64(len(rec.Data))
		l.files[rec.File]++
	}
	s.usage.begin(r.Lock, l)
	return nil
}

// countNew begins to count a section if it was granted by this store, from nothing: nothing can
// have been staged before. It reports whether it was.
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
		u.remove(lock)
		u.locks[lock] = l
		u.total += l.bytes
	}
}

// forget stops counting sections that have ended, by the watch: through another store, or with
// their session.
func (u *usage) forget(k keys, events []*clientv3.Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.locks) == 0 {
		return
	}
	for _, e := range events {
		if lock, ok := k.parseLock(string(e.Kv.Key)); ok {
			if l := u.locks[lock]; l != nil && l.token < e.Kv.ModRevision {
				u.remove(lock)
			}
		}
	}
}
