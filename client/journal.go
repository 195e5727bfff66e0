package client

import (
	"context"
	"log/slog"
	"sync"
)

// journal writes the client's log lines, in a goroutine of its own. The handler is the user's: it
// may be slow, stand still because nobody reads the other end, or call the Client. None of that may
// hold up a heartbeat, the move to another server, or the end of a hold's Context.
type journal struct {
	log  *slog.Logger
	room int    // how many lines may wait to be written
	what string // is dropped when there are more

	mu      sync.Mutex
	lines   []func(*slog.Logger) // to be written
	missed  int                  // lines that there was no room for
	writing chan struct{}        // closed when the writer has ended; nil: there is none
}

// journalRoom is how many lines may wait to be written. There are few: one for each server that is
// left and each session that is lost.
const journalRoom = 64

// write has a line written. It does not block.
func (j *journal) write(line func(*slog.Logger)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) == j.room {
		j.missed++
		return
	}
	j.lines = append(j.lines, line)
	if j.writing == nil {
		j.writing = make(chan struct{})
		go j.run(j.writing)
	}
}

// run writes until nothing is left.
func (j *journal) run(done chan<- struct{}) {
	defer close(done)
	for {
		j.mu.Lock()
		lines, missed := j.lines, j.missed
		j.lines, j.missed = nil, 0
		if len(lines) == 0 {
			j.writing = nil
			j.mu.Unlock()
			return
		}
		j.mu.Unlock()
		for _, line := range lines {
			line(j.log)
		}
		if missed > 0 {
			j.log.Warn("something was dropped, as nobody took it", "what", j.what, "lines", missed)
		}
	}
}

// close waits until the lines are written. A handler that stands still is waited for until ctx ends
// only: its goroutine is the user's to end.
func (j *journal) close(ctx context.Context) {
	j.mu.Lock()
	writing := j.writing
	j.mu.Unlock()
	if writing == nil {
		return
	}
	select {
	case <-writing:
	case <-ctx.Done():
	}
}
