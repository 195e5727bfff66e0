package etcdstore

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Background work has nobody who would be told that it failed, and what ends its goroutine by a
// panic ends the server, and the next one that comes upon the same. So a panic there is an error:
// it is counted and logged, and the work goes on after a while, a longer one each time.

// How long work rests that panicked, or came upon something malformed, which nobody may mend soon.
const (
	leastRest = 500 * time.Millisecond
	mostRest  = time.Minute
)

// pauseAfter is how long work rests that has failed so many times in a row.
func pauseAfter(failures int) time.Duration {
	return min(leastRest<<min(failures, 10), mostRest)
}

// panicked is a panic of background work.
type panicked struct{ what any }

func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.what) }

// recovered does a piece of work. A panic is its error, once it is counted and logged.
func (s *Store) recovered(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.panics.Add(1)
			s.log.Error("background work panicked, and goes on later", "panic", p, "stack", string(debug.Stack()))
			err = panicked{p}
		}
	}()
	return do()
}

// keep starts work that goes on until the store closes. It begins anew whenever it has panicked.
func (s *Store) keep(work func()) {
	s.start(func() {
		for failures := 0; ; failures++ {
			began := time.Now()
			err := s.recovered(func() error {
				work()
				return nil
			})
			if err == nil {
				return
			}
			if time.Since(began) > mostRest {
				failures = 0
			}
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(pauseAfter(failures)):
			}
		}
	})
}
