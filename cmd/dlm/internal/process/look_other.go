//go:build unix && !linux

package process

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// vanished reports whether there is no process of a group any more.
func vanished(group int) bool { return errors.Is(unix.Kill(-group, 0), unix.ESRCH) }

// signal sends to the process that has the number.
func (m member) signal(sig syscall.Signal) error { return unix.Kill(m.pid, sig) }
