package devcluster

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// output is where all lines go, each whole.
type output struct {
	mu    sync.Mutex
	to    io.Writer
	quiet bool // nothing of the servers is passed on any more
}

// say writes a line of the cluster's own.
func (o *output) say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write([]byte("== " + fmt.Sprintf(format, args...) + "\n"))
}

// pass writes a server's line.
func (o *output) pass(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.quiet {
		o.write(line)
	}
}

// hush has no more be passed on.
func (o *output) hush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.quiet = true
}

// write writes whole lines. If nobody reads them any more there is nobody to be told. mu is held.
func (o *output) write(b []byte) { _, _ = o.to.Write(b) }

// of is a writer of a server's lines.
func (o *output) of(number int) *lines { return &lines{out: o, number: number} }

// lines passes on whole lines with a server's number.
type lines struct {
	out    *output
	number int
	mu     sync.Mutex
	open   []byte // the beginning of a line
}

// maxLine bounds a line in bytes; a longer one is passed on in pieces.
const maxLine = 64 << 10

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range bytes.SplitAfterSeq(b, []byte("\n")) {
		l.open = append(l.open, part...)
		if bytes.HasSuffix(l.open, []byte("\n")) || len(l.open) >= maxLine {
			l.pass()
		}
	}
	return len(b), nil
}

// pass passes on what there is. mu is held.
func (l *lines) pass() {
	l.out.pass(fmt.Appendf(nil, "%d| %s\n", l.number, bytes.TrimSuffix(l.open, []byte("\n"))))
	l.open = l.open[:0]
}

// flush passes on a line that its end has not come of.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) > 0 {
		l.pass()
	}
}
