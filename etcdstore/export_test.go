package etcdstore

import (
	"context"
	"testing"
	"time"
)

// Pending is how many transactions wait for the batch that is being committed.
func (s *Store) Pending() int { return s.engine.Pending() }

// KnowsNext reports whether a waiter is known to whom the lock would be handed over.
func (s *Store) KnowsNext(lock string) bool { return s.mirror.next(lock, nil) != nil }

// KnowsHolder reports whether a lock looks held.
func (s *Store) KnowsHolder(lock string) bool { return s.mirror.holder(lock) != nil }

// HoldFolds lets nothing of a lock be folded until release is called.
func (s *Store) HoldFolds(t *testing.T, lock string) (release func()) {
	t.Helper()
	release, err := s.folding.lock(t.Context(), lock)
	if err != nil {
		t.Fatalf("hold the folds of %s: %v", lock, err)
	}
	return release
}

// DropWaited is one round of forgetting who waited.
func (s *Store) DropWaited(ctx context.Context, since *int64) error { return s.dropWaited(ctx, since) }

// Resolving is a store whose calls are not tried plainly first: they are resolved at once, as if
// that had come to nothing.
type Resolving struct{ *Store }

// Acquire resolves an acquire.
func (s Resolving) Acquire(ctx context.Context, args AcquireArgs) (Grant, error) {
	return finish(ctx, func(done func(Grant, error)) {
		(&acquiring{s: s.Store, ctx: ctx, args: args, told: done, began: time.Now()}).resolve()
	})
}

// Release resolves a release.
func (s Resolving) Release(ctx context.Context, sec Section) error {
	return s.resolveRelease(ctx, sec, new(bool))
}

// Append resolves an append.
func (s Resolving) Append(ctx context.Context, r Record) (rev int64, err error) {
	return s.resolveAppend(ctx, r, false)
}

// FoldTogether folds published sections of a lock, the oldest, whatever their size. It returns the
// token of the last one that was.
func (s *Store) FoldTogether(ctx context.Context, lock string, tokens ...int64) (through int64, err error) {
	var secs []publishedSection
	var rev int64
	for _, token := range tokens {
		marker, err := s.get(ctx, s.keys.marker(lock, token))
		if err != nil {
			return 0, err
		}
		records, err := s.records(ctx, lock, token)
		if err != nil {
			return 0, err
		}
		rev = marker.Header.Revision
		secs = append(secs, publishedSection{Version: Version{Token: token}, marker: marker.Kvs[0].ModRevision, records: records})
	}
	return s.fold(ctx, lock, oldestSections{secs, tokens[len(tokens)-1], rev})
}

// Feature reports whether a feature is on, as far as the store has read.
func (s *Store) Feature(name string) bool { return s.features.on(name) }

// Attached is how many sessions are known to be attached to a link, ended ones included.
func (l *Link) Attached() int {
	l.attachments.mu.Lock()
	defer l.attachments.mu.Unlock()
	return len(l.current)
}

// Asks reports whether a session will be asked after once it is silent.
func (s *Store) Asks(session string) bool {
	s.silences.mu.Lock()
	defer s.silences.mu.Unlock()
	return s.silences.known[session] != nil
}

// WatchRoom is how many events a watcher may be behind.
const WatchRoom = watchRoom

// Waiters is how many seem to wait for a lock.
func (s *Store) Waiters(lock string) int {
	_, n := s.mirror.place(acquisition{lock: lock})
	return n
}

// Inspecting reports whether somebody waits for the next answer about a lock.
func (s *Store) Inspecting(lock string) bool {
	s.inspects.mu.Lock()
	defer s.inspects.mu.Unlock()
	return s.inspects.locks[lock] != nil
}

// HasRoom reports whether new locks are taken, as far as space goes.
func (s *Store) HasRoom() bool { return s.room() == nil }

// Nears has the timer of a section's hold deadline run out: the first time it is near, then over.
func (s *Store) Nears(lock string, token int64) { s.mirror.nears(sectionKey{lock, token}) }

// Remembers reports whether what has happened after a revision can be told without etcd.
func (s *Store) Remembers(since int64) bool { return s.mirror.feed.recent.has(since) }

// Forget drops the notes of lanes that are old at a time.
func (s *Store) Forget(ctx context.Context, now time.Time) error { return s.forget(ctx, now) }

// UnfoldedMost is how many bundles of a lock a store leaves to be folded.
const UnfoldedMost = unfoldedMost

// Bury deletes what is left of files that were removed a day before a time.
func (s *Store) Bury(ctx context.Context, now time.Time) error { return s.bury(ctx, now) }

// Retain cuts off of files what there is too much of, or what is too old at a time.
func (s *Store) Retain(ctx context.Context, now time.Time) error { return s.retain(ctx, now) }
