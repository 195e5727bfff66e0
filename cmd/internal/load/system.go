package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// System is a lock service under load.
type System interface {
	// Client makes client i of the slice. It is called by several goroutines at once.
	Client(ctx context.Context, i int) (Client, error)
	// Connections is how many connections the clients share.
	Connections() int
	// Close gives up what the clients have in common; they are closed before.
	Close() error
}

// Client is one client. Only one goroutine at a time uses it.
type Client interface {
	// Cycle acquires a lock and releases it. wait ends with the slice, and with it the wait for the
	// lock; ctx lives on, for the release.
	Cycle(ctx, wait context.Context, lock string) error
	// Try acquires a lock that is free, and releases it. That it is not free is no error.
	Try(ctx context.Context, lock string) error
	Close() error
}

// Appender is a Client of a system that keeps records.
type Appender interface {
	// Append makes a section's records durable.
	Append(ctx context.Context, s *Section) error
}

// Publisher is a Client of a system that makes records durable without a lock that is held.
type Publisher interface {
	// Publish adds a record to a file of a lock.
	Publish(ctx context.Context, lock, file string, record []byte) error
}

// Reader is an Appender or a Publisher whose records become a file, which is read back and checked
// within the clock.
type Reader interface {
	Read(ctx context.Context, lock, file string) ([]byte, error)
}

// Section is the records of one section.
type Section struct {
	Lock, File string

	records [][]byte
	overlap int
	done    func(began time.Time)
}

// Each calls put for every record, as many at once as the slice says. It returns when all calls
// have, with the first error.
func (s *Section) Each(put func(record []byte) error) error {
	return each(len(s.records), s.overlap, func(i int) error {
		began := time.Now()
		if err := put(s.records[i]); err != nil {
			return err
		}
		s.done(began)
		return nil
	})
}

// each calls f for 0 to n-1, at most so many at once, and none any more after an error, which it
// returns.
func each(n, atOnce int, f func(i int) error) error {
	if atOnce <= 1 {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next  atomic.Int64
		first onceError
		wg    sync.WaitGroup
	)
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && first.get() == nil; i = int(next.Add(1)) - 1 {
				first.set(f(i))
			}
		})
	}
	wg.Wait()
	return first.get()
}

// onceError keeps the first error.
type onceError struct {
	mu  sync.Mutex
	err error
}

func (e *onceError) set(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

func (e *onceError) get() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
