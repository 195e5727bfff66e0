//go:build unix

package process

import (
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is the wrapper's controlling terminal. Of the process groups of a terminal one is in the
// foreground: it may read, and ctrl-C and ctrl-Z go to it.
type terminal struct {
	file *os.File
	own  int // the wrapper's process group
}

// openTerminal returns nil if there is none.
func openTerminal() *terminal {
	file, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	return &terminal{file: file, own: unix.Getpgrp()}
}

func (t *terminal) close() {
	if t != nil {
		t.file.Close()
	}
}

// foreground reports whether the wrapper's group has the terminal.
func (t *terminal) foreground() bool { return t != nil && t.has(t.own) }

// has reports whether a group has the terminal.
func (t *terminal) has(group int) bool {
	if t == nil {
		return false
	}
	current, err := unix.IoctlGetInt(int(t.file.Fd()), unix.TIOCGPGRP)
	return err == nil && current == group
}

// give hands the terminal to a group of the wrapper's session. The group may be gone, and the
// terminal too: then there is nobody left to whom it would matter.
func (t *terminal) give(group int) {
	withoutTTOU(func() {
		unix.IoctlSetPointerInt(int(t.file.Fd()), unix.TIOCSPGRP, group)
	})
}

// take gets the terminal back from a group that has it.
func (t *terminal) take(group int) {
	if t.has(group) {
		t.give(t.own)
	}
}

// interactive reports whether the wrapper is alone with its terminal. In a pipeline the neighbours
// share its process group and may read the terminal themselves (a pager does), so the command
// starts in the background there and gets the terminal when it asks for it.
func (t *terminal) interactive(in, out *os.File) bool {
	return t.foreground() && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}
