package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Stderr is the path of a log that is written to standard error.
const Stderr = "stderr"

const (
	maxQueue = 4096                   // lines
	refusals = 200                    // lines a second, after as many at once as the queue has room for
	again    = 200 * time.Millisecond // between two attempts to write
	patience = 2 * time.Second        // of Close
)

// Log is a log that lines are written to. It is safe for concurrent use.
type Log struct {
	path     string
	required bool
	logger   *slog.Logger
	refusals *rate.Limiter

	// The writer's own.
	out  io.Writer
	file *os.File // which out is; nil: standard error
	torn bool     // out ends with half a line

	wake    chan struct{} // the writer is to look again; there is room for one
	closing chan struct{}
	giveUp  chan struct{} // closed when the writer is to give up
	ended   chan struct{} // closed when it has ended

	mu      sync.Mutex
	queue   []entry
	writing int   // entries that the writer has taken, and not written yet
	dropped int64 // lines since the last entry
	failed  error // of the last write
	next    *os.File
	closed  bool
}

// Open opens a log, and makes its file if there is none, for its owner alone. A file that everybody
// may write to is refused: its lines would prove nothing. stderr is what is written to for the path
// [Stderr].
func Open(path string, stderr io.Writer, required bool, logger *slog.Logger) (*Log, error) {
	l := &Log{
		path: path, required: required, logger: logger, out: stderr, refusals: rate.NewLimiter(refusals, maxQueue),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), giveUp: make(chan struct{}), ended: make(chan struct{}),
	}
	if path != Stderr {
		file, err := openFile(path, os.O_CREATE)
		if err != nil {
			return nil, err
		}
		l.use(file)
	}
	go l.run()
	return l, nil
}

// Check says why a log could not be opened; nil: nothing is known of. It makes no file.
func Check(path string) error {
	if path == Stderr {
		return nil
	}
	file, err := openFile(path, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err = os.Stat(filepath.Dir(path))
	case err == nil:
		err = file.Close()
	}
	return err
}

// openFile opens a file to append to. It can be read, too, for how it ends is looked at. create is
// os.O_CREATE, or 0.
func openFile(path string, create int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|create, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() && info.Mode()&0o002 != 0 {
		err = fmt.Errorf("%s: everybody may write to it", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// use has lines be written to a file from now on; nil: to the same.
func (l *Log) use(file *os.File) {
	if file == nil {
		return
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.out, l.file = file, file
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		last := []byte{'\n'}
		if info.Size() > 0 {
			_, _ = file.ReadAt(last, info.Size()-1)
		}
		l.torn = last[0] != '\n' // by whoever was killed, or by this log if it is the same file
	}
}

// Write hands a line over, and waits for nothing. After Close it does nothing.
func (l *Log) Write(line Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.waiting() >= maxQueue && (line.Refusal || !l.required) || line.Refusal && !l.refusals.Allow() {
		l.dropped++
		return
	}
	l.mark()
	l.queue = append(l.queue, entry{Line: line})
	l.awake()
}

// waiting is how many entries are not written yet. The mutex is held.
func (l *Log) waiting() int { return len(l.queue) + l.writing }

// mark puts into the queue that lines are missing here. The mutex is held.
func (l *Log) mark() {
	if l.dropped > 0 {
		l.queue = append(l.queue, entry{Line: Line{Time: time.Now()}, dropped: l.dropped})
		l.dropped = 0
	}
}

// awake has the writer look again.
func (l *Log) awake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Ready says why nothing is to be changed now: the log is required, and cannot be written or does
// not keep up. The error may name the file, and so is not for clients.
func (l *Log) Ready() error {
	if !l.required {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errors.New("the audit log is closed")
	case l.failed != nil:
		return fmt.Errorf("the audit log cannot be written: %w", l.failed)
	case l.waiting() > maxQueue/4*3:
		return errors.New("the audit log does not keep up")
	}
	return nil
}

// Room reports whether a line that is written now is kept, though the log may be not ready: until
// it can be written again there is room for some thousands, beside refusals.
func (l *Log) Room() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.required || !l.closed && l.waiting() < 2*maxQueue
}

// Reopen opens the file anew, and has all lines that are written from now on go to it. If that
// fails, the old one stays in use. Standard error stays what it is.
func (l *Log) Reopen() error {
	if l.path == Stderr {
		return nil
	}
	file, err := openFile(l.path, os.O_CREATE)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return file.Close()
	}
	if l.next != nil {
		_ = l.next.Close()
	}
	l.next = file
	l.awake()
	return nil
}

// Close waits until all lines are written, for two seconds at most, and says how many are not. A
// repeat does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.closing)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-l.ended:
		return nil
	case <-late.C:
	}
	close(l.giveUp) // a write that does not return ends with the process
	l.mu.Lock()
	defer l.mu.Unlock()
	why := l.failed
	if why == nil {
		why = errors.New("the last write has not returned")
	}
	return fmt.Errorf("%d lines of the audit log are lost: %w", l.waiting(), why)
}

// run is the writer.
func (l *Log) run() {
	defer close(l.ended)
	defer func() {
		if l.file != nil {
			_ = l.file.Close()
		}
	}()
	var written []entry
	for {
		entries, next, last := l.take(written)
		l.use(next)
		switch {
		case len(entries) > 0:
			if !l.put(encode(entries)) {
				return
			}
			for _, e := range entries {
				if e.dropped > 0 {
					l.logger.Warn("lines of the audit log were dropped", "lines", e.dropped)
				}
			}
		case last:
			return
		default:
			select {
			case <-l.wake:
			case <-l.closing:
			}
		}
		written = entries // also if there were none: the queue has the other's room now
	}
}

// take returns what is to be written now, the file that it is to go to if that is another one, and
// whether nothing will come after it. The room of what is written serves for what comes.
func (l *Log) take(written []entry) (entries []entry, next *os.File, last bool) {
	clear(written)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark()
	entries, l.queue = l.queue, written[:0]
	l.writing = len(entries)
	return entries, l.reopened(), l.closed
}

// reopened returns the file to go on with, nil: the same. The mutex is held.
func (l *Log) reopened() (next *os.File) {
	next, l.next = l.next, nil
	return next
}

// put writes lines, again and again until all of them are, and reports whether they are.
func (l *Log) put(lines []byte) bool {
	for {
		rest, err := l.write(lines)
		l.tell(err)
		if err == nil {
			return true
		}
		lines = rest
		select {
		case <-l.giveUp:
			return false
		case <-time.After(again):
			l.mu.Lock()
			next := l.reopened()
			l.mu.Unlock()
			l.use(next) // there may be room
		}
	}
}

// write writes lines once. It returns those that are not there as a whole.
func (l *Log) write(lines []byte) (rest []byte, err error) {
	if l.torn {
		if _, err := l.out.Write([]byte("\n")); err != nil {
			return lines, err
		}
		l.torn = false
	}
	n, err := l.out.Write(lines)
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	l.torn = n > whole
	return lines[whole:], err
}

// tell notes how the last write went, and logs when that is something new.
func (l *Log) tell(err error) {
	l.mu.Lock()
	was := l.failed
	if l.failed = err; err == nil {
		l.writing = 0
	}
	l.mu.Unlock()
	switch {
	case err != nil && was == nil:
		l.logger.Error("the audit log cannot be written", "err", err)
	case err == nil && was != nil:
		l.logger.Info("the audit log is written again")
	}
}
