package etcdstore

import (
	"context"
	"testing"
)

// Pending is how many transactions wait for the batch that is being committed.
func (s *Store) Pending() int {
	s.batcher.mu.Lock()
	defer s.batcher.mu.Unlock()
	return len(s.batcher.pending)
}

// KnowsNext tells whether a waiter is known to whom the lock would be handed over.
func (s *Store) KnowsNext(lock string) bool { return s.mirror.next(lock, nil) != nil }

// KnowsHolder tells whether a lock looks held.
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
