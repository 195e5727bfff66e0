package etcdstore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// shared has those who inspect one lock at the same time share the answers, where these cost etcd
// much. Who comes while one is read is told the next one, so that no answer is older than its
// question. Between two of them passes as long as the first took: that is the others' half.
type shared struct {
	mu    sync.Mutex
	locks map[string]*answer // the next one of each lock that is being inspected; nil: nobody asks for it
}

// answer is what some who ask are told.
type answer struct {
	client string // of the first who asked
	told   chan struct{}
	info   LockInfo
	err    error
}

func newShared() *shared { return &shared{locks: map[string]*answer{}} }

// next is the answer that whoever asks now is told, and whether somebody has to begin to read.
func (sh *shared) next(lock, client string) (a *answer, begin bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a, reading := sh.locks[lock]
	if a == nil {
		a = &answer{client: client, told: make(chan struct{})}
		sh.locks[lock] = a
	}
	return a, !reading
}

// take is the answer to read; nil: nobody asks any more.
func (sh *shared) take(lock string) *answer {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := sh.locks[lock]
	if a == nil {
		delete(sh.locks, lock)
	} else {
		sh.locks[lock] = nil
	}
	return a
}

// inspectShared is inspect for a crowded lock.
func (s *Store) inspectShared(ctx context.Context, lock string) (LockInfo, error) {
	a, begin := s.inspects.next(lock, clientOf(ctx))
	if begin && !s.start(func() { s.inspectAll(lock) }) {
		return LockInfo{}, ErrClosed
	}
	select {
	case <-a.told:
		info := a.info
		info.Waiters = slices.Clone(info.Waiters)
		return info, a.err
	case <-ctx.Done():
		return LockInfo{}, context.Cause(ctx)
	case <-s.ctx.Done():
		return LockInfo{}, ErrClosed
	}
}

// inspectAll inspects a lock for as long as somebody asks.
func (s *Store) inspectAll(lock string) {
	for a := s.inspects.take(lock); a != nil; a = s.inspects.take(lock) {
		began := time.Now()
		a.info, a.err = s.inspect(WithClient(s.ctx, a.client), lock)
		close(a.told)
		select {
		case <-s.ctx.Done():
		case <-time.After(time.Since(began)):
		}
	}
}
