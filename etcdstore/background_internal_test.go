package etcdstore

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

// resting is a store that does nothing but background work.
func resting(t *testing.T) *Store {
	t.Helper()
	s := &Store{log: slog.New(slog.DiscardHandler)}
	s.ctx, s.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() {
		s.cancel()
		s.running.Wait()
	})
	return s
}

// TestPanickingPiece: a piece of work that panics is tried again, and holds up no other. Work that
// only failed is as if nothing had been.
func TestPanickingPiece(t *testing.T) {
	t.Parallel()
	s := resting(t)
	b := newBacklog[int]()
	done := make(chan int, 10)
	var panics atomic.Int64
	b.run(s, 1, func(_ context.Context, k int) error {
		if k == 0 && panics.Add(1) <= 2 {
			panic("of a test")
		}
		done <- k
		return nil
	})
	for k := range 3 {
		b.add(k)
	}
	patience := time.After(30 * time.Second)
	for _, want := range []int{1, 2, 0} {
		select {
		case got := <-done:
			if got != want {
				t.Errorf("piece %d was done; want %d", got, want)
			}
		case <-patience:
			t.Fatalf("piece %d is not done", want)
		}
	}
	if got := s.panics.Load(); got != 2 {
		t.Errorf("%d panics were counted; want 2", got)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.failed) != 0 {
		t.Errorf("it is remembered that %v failed", b.failed)
	}
}

// TestPanickingWork: work that goes on until the store closes begins anew.
func TestPanickingWork(t *testing.T) {
	t.Parallel()
	s := resting(t)
	var began atomic.Int64
	s.keep(func() {
		if began.Add(1) == 1 {
			panic("of a test")
		}
		<-s.ctx.Done()
	})
	await.Eventually(t, 30*time.Second, "the work to begin anew", func() bool { return began.Load() == 2 })
	if got := s.panics.Load(); got != 1 {
		t.Errorf("%d panics were counted; want 1", got)
	}
}

// TestRest: what panics or is malformed rests longer each time; what could not ask etcd does not.
func TestRest(t *testing.T) {
	b := newBacklog[int]()
	last := time.Duration(0)
	for range 20 {
		now := b.again(1, ErrMalformed)
		if now < leastRest || now > mostRest || now < last {
			t.Errorf("it rests %v, and before that %v", now, last)
		}
		last = now
	}
	if last != mostRest {
		t.Errorf("in the end it rests %v; want %v", last, mostRest)
	}
	if got := b.again(2, panicked{"x"}); got != leastRest {
		t.Errorf("another piece rests %v; want %v", got, leastRest)
	}
	for range 20 {
		if got := b.again(3, errors.New("no etcd")); got != retryAfter {
			t.Errorf("what failed otherwise rests %v; want %v", got, retryAfter)
		}
	}
	if got := b.again(1, nil); got != 0 || b.failed[1] != 0 {
		t.Errorf("what is done rests %v, and %d failures are remembered", got, b.failed[1])
	}
}

// TestQuarantineIsBounded: each key is logged once, and only so many.
func TestQuarantineIsBounded(t *testing.T) {
	q := newQuarantine()
	for i := range 3 * maxQuarantined {
		q.add(hex16(int64(i)), errKey)
		q.add(hex16(int64(i)), errKey)
	}
	if q.count() != maxQuarantined || len(q.found.queue) != maxQuarantined {
		t.Errorf("%d keys are remembered, %d to be logged; want %d", q.count(), len(q.found.queue), maxQuarantined)
	}
}
