package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"

	"go.uber.org/zap/zapcore"
)

// lastWords says why etcd cannot go on. Etcd logs a line and ends the process, or panics on a
// goroutine of its own, in a dozen of places, of which this is the one that all have in common.
type lastWords struct {
	cfg Config
	// Locked by the first of several, for good: the others wait for the end of the process.
	dying *sync.Mutex
}

// OnWrite implements [zapcore.CheckWriteHook]: the line has been written.
func (l lastWords) OnWrite(line *zapcore.CheckedEntry, fields []zapcore.Field) {
	l.dying.Lock()
	var cause error
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			cause = err
		}
	}
	l.cfg.Fatal(l.explain(line.Message, cause))
	zapcore.WriteThenFatal.OnWrite(line, fields)
}

func (l lastWords) explain(message string, cause error) error {
	what := errors.New(message)
	if cause != nil {
		what = fmt.Errorf("%s: %w", message, cause)
	}
	var path *fs.PathError
	switch {
	case full(cause):
		return l.cfg.full(what)
	case errors.Is(cause, syscall.EIO), errors.Is(cause, syscall.EROFS), errors.As(cause, &path):
		return fmt.Errorf("%w: etcd cannot use it, under %s: %w. Nothing that was acknowledged is lost", ErrDisk, l.cfg.DataDir, what)
	case strings.Contains(message, "tocommit(") && strings.Contains(message, "is out of range"):
		return fmt.Errorf("%w: the others know that this member acknowledged what is not in its log (%w). %s was put back from a copy, or "+
			"has lost data. Replace the member: `dlm member remove %s`, `dlm member add %s %s`, and start it with an empty data "+
			"directory and cluster.state existing", ErrStale, what, l.cfg.DataDir, l.cfg.Name, l.cfg.Name, l.cfg.Members[l.cfg.Name])
	}
	return fmt.Errorf("%w: %w", ErrStopped, what)
}

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func (c Config) full(what error) error {
	return fmt.Errorf("%w: it is full: %w; make room under %s and start again. Nothing that was acknowledged is lost",
		ErrDisk, what, c.DataDir)
}
