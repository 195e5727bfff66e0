package etcdstore

import (
	"context"
	"errors"
	"sync"
	"time"
)

// backlog is work to be done, each piece once however often it is asked for. A piece that is asked
// for while it is being done is done again afterwards: what it has looked at may have changed
// since. So two workers never do the same piece at once, and whoever asks can be sure that a whole
// run follows.
type backlog[K comparable] struct {
	mu      sync.Mutex
	queue   []K
	state   map[K]pieceState
	failed  map[K]int     // how often in a row, of what rests longer each time
	arrived chan struct{} // of size 1
}

type pieceState int

const (
	queued pieceState = iota + 1
	running
	runningAgain
)

func newBacklog[K comparable]() *backlog[K] {
	return &backlog[K]{state: map[K]pieceState{}, failed: map[K]int{}, arrived: make(chan struct{}, 1)}
}

// add asks for a piece. It does not block.
func (b *backlog[K]) add(k K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state[k] {
	case 0:
		b.state[k] = queued
		b.queue = append(b.queue, k)
		b.signal()
	case running:
		b.state[k] = runningAgain
	case queued, runningAgain:
	}
}

// signal wakes one worker; take wakes the next if there is more.
func (b *backlog[K]) signal() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// take begins the first piece. It reports whether there was one.
func (b *backlog[K]) take() (k K, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return k, false
	}
	k = b.queue[0]
	b.queue = b.queue[1:]
	b.state[k] = running
	if len(b.queue) > 0 {
		b.signal()
	}
	return k, true
}

// done ends a piece, or puts it behind the others if it was asked for meanwhile.
func (b *backlog[K]) done(k K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state[k] == running {
		delete(b.state, k)
		return
	}
	b.state[k] = queued
	b.queue = append(b.queue, k)
	b.signal()
}

// retryAfter is how long a piece that failed waits before it is tried again: mostly it is etcd that
// could not be asked.
const retryAfter = 500 * time.Millisecond

// again is how long a piece waits that came to this. Of what panicked or is malformed it is longer
// each time; 0: it is done.
func (b *backlog[K]) again(k K, err error) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, isPanic := errors.AsType[panicked](err); !isPanic && !errors.Is(err, ErrMalformed) {
		delete(b.failed, k)
		if err == nil {
			return 0
		}
		return retryAfter
	}
	b.failed[k]++
	return pauseAfter(b.failed[k] - 1)
}

// run has n workers do the work until the store closes. A piece whose work fails, or panics, is
// tried again later.
func (b *backlog[K]) run(s *Store, n int, do func(context.Context, K) error) {
	for range n {
		s.keep(func() {
			for {
				select {
				case <-s.ctx.Done():
					return
				case <-b.arrived:
				}
				for k, ok := b.take(); ok && s.ctx.Err() == nil; k, ok = b.take() {
					err := s.recovered(func() error { return do(s.ctx, k) })
					if later := b.again(k, err); later > 0 && s.ctx.Err() == nil {
						s.log.Debug("background work failed", "err", err)
						time.AfterFunc(later, func() { b.add(k) })
					}
					b.done(k)
				}
			}
		})
	}
}
