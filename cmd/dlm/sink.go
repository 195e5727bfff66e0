package main

import (
	"io"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/text"
)

const (
	// sinkSize is how many bytes of the log may wait for their reader.
	sinkSize = 1 << 20
	// sinkPatience is how long a line waits for room before it is left out, and all further ones
	// until there is room again; and how long what is left is waited for at the end.
	sinkPatience = time.Second
)

// sink is where the log goes: to a file, by a goroutine of its own. Whoever reads the file may
// stand still or go away, and the server must not do the same. So writing to a sink never fails,
// and never takes long. It is safe for concurrent use.
type sink struct {
	to   io.Writer
	lost func(lines int) // told when there is room again after lines were left out; may write

	mu      sync.Mutex
	waiting []byte
	writing bool          // the goroutine has taken what waited, and is not done with it
	left    int           // lines that were left out
	telling bool          // the goroutine itself writes, and cannot wait for itself to make room
	changed chan struct{} // closed, and replaced, when the goroutine has taken or done something

	more   chan struct{} // of size 1: something waits
	closed chan struct{}
}

// newSink starts the goroutine, which goes on until close. If a write is stuck then, it is left to
// the process's end.
func newSink(to io.Writer) *sink {
	s := &sink{
		to:      to,
		lost:    func(int) {},
		changed: make(chan struct{}),
		more:    make(chan struct{}, 1),
		closed:  make(chan struct{}),
	}
	go s.run()
	return s
}

// Write takes one line, or more. It returns no error. What of it is not to be shown is escaped.
func (s *sink) Write(lines []byte) (int, error) {
	p := text.EscapeLines(lines)
	room := func() bool { return s.telling || len(s.waiting) == 0 || len(s.waiting)+len(p) <= sinkSize }
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 && !room() || !s.await(room) {
		s.left++
		return len(lines), nil
	}
	s.waiting = append(s.waiting, p...)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(lines), nil
}

// Sync waits until all has been written, or given up for this time.
func (s *sink) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.await(func() bool { return len(s.waiting) == 0 && !s.writing })
	return nil
}

// await waits for a condition, and reports whether it came to be in time. The mutex is held when it
// is called and when it returns.
func (s *sink) await(is func() bool) bool {
	if is() {
		return true
	}
	patience := time.NewTimer(sinkPatience)
	defer patience.Stop()
	for !is() {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
			s.mu.Lock()
		case <-patience.C:
			s.mu.Lock()
			return is()
		}
	}
	return true
}

// close writes what is left, and ends the goroutine. Nothing may be written afterwards.
func (s *sink) close() {
	_ = s.Sync()
	close(s.closed)
}

func (s *sink) run() {
	for {
		select {
		case <-s.more:
		case <-s.closed:
			return
		}
		s.mu.Lock()
		taken := s.waiting
		s.waiting, s.writing = nil, true
		s.tell()
		s.mu.Unlock()
		_, _ = s.to.Write(taken) // if nobody can read it, there is nobody to tell
		s.mu.Lock()
		lost := s.left
		s.left, s.writing, s.telling = 0, false, lost > 0
		s.tell()
		s.mu.Unlock()
		if lost > 0 {
			s.lost(lost)
			s.mu.Lock()
			s.telling = false
			s.mu.Unlock()
		}
	}
}

// tell wakes all that await. The mutex is held.
func (s *sink) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}
