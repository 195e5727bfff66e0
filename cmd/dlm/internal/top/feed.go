package top

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

const (
	restEvery = 5 * time.Second // between listings while nothing happens
	againIn   = time.Second     // after a failure
	costs     = 5               // a listing waits so many times as long as the last one took
)

// news is what the servers have said: a listing, one lock, an event, or what came of an eviction.
type news struct {
	locks []*client.LockInfo // of a listing
	lock  *client.LockInfo   // that is looked at
	event *client.Event
	done  string // of an eviction
	err   error  // why there was no answer
}

// feed asks the servers.
type feed struct {
	source   Source
	prefix   string
	interval time.Duration // the least between listings
	news     chan news
	dirty    chan struct{} // something has happened
	looked   chan struct{} // another lock is looked at

	mu    sync.Mutex
	look  string    // the lock that is looked at; empty: none
	asked time.Time // since when an answer is owed; zero: none is
}

// tell passes news on, unless ctx ends.
func (f *feed) tell(ctx context.Context, n news) {
	select {
	case f.news <- n:
	case <-ctx.Done():
	}
}

// lookAt has a lock looked at from now on; empty: none.
func (f *feed) lookAt(lock string) {
	f.mu.Lock()
	f.look = lock
	f.mu.Unlock()
	note(f.looked)
}

// note leaves a note for whoever waits on ch. One is enough.
func note(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// owed is how long an answer is owed; 0: none is.
func (f *feed) owed() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked.IsZero() {
		return 0
	}
	return time.Since(f.asked)
}

// list asks for all locks, and for the one that is looked at, until ctx ends.
func (f *feed) list(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		f.mu.Lock()
		look := f.look
		if f.asked.IsZero() { // else it is owed since the one before failed
			f.asked = began
		}
		f.mu.Unlock()
		n := f.ask(ctx, look)
		if n.err == nil || !errors.Is(n.err, client.ErrUnavailable) {
			f.mu.Lock()
			f.asked = time.Time{}
			f.mu.Unlock()
		}
		f.tell(ctx, n)
		rest := time.After(max(f.interval, costs*time.Since(began)))
		select {
		case <-rest:
		case <-f.looked:
			continue
		case <-ctx.Done():
			return
		}
		if n.err != nil {
			continue
		}
		select {
		case <-f.dirty:
		case <-f.looked:
		case <-time.After(restEvery):
		case <-ctx.Done():
		}
	}
}

func (f *feed) ask(ctx context.Context, look string) (n news) {
	if look != "" {
		n.lock, n.err = f.source.Inspect(ctx, look)
		if errors.Is(n.err, client.ErrLockNotFound) { // as free as any
			n.lock, n.err = &client.LockInfo{Name: look}, nil
		}
	}
	if n.err == nil {
		n.locks, n.err = f.source.List(ctx, f.prefix)
	}
	return n
}

// watch tells what happens, until ctx ends.
func (f *feed) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for e, err := range f.source.Watch(ctx, f.prefix) {
			if err != nil {
				break // that servers cannot be reached, or refuse it, a listing says as well
			}
			note(f.dirty)
			if !e.GetInitial() {
				f.tell(ctx, news{event: e})
			}
		}
		select {
		case <-time.After(againIn):
		case <-ctx.Done():
		}
	}
}
