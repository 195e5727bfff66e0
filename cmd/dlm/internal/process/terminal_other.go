//go:build unix && !linux

package process

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// withoutTTOU runs f while SIGTTOU is ignored, which the kernel would otherwise send to a
// background group that sets the terminal's foreground group.
func withoutTTOU(f func()) {
	signal.Ignore(unix.SIGTTOU)
	defer signal.Reset(unix.SIGTTOU)
	f()
}

// onlyDead does not know.
func onlyDead(int) bool { return false }

// stopGroup stops this process's group if its parent is a shell that could continue it.
func stopGroup() (restore func()) {
	parent := os.Getppid()
	session, err := unix.Getsid(parent)
	own, ownErr := unix.Getsid(0)
	if group, groupErr := unix.Getpgid(parent); err == nil && ownErr == nil && groupErr == nil &&
		session == own && group != unix.Getpgrp() {
		unix.Kill(0, unix.SIGSTOP)
	}
	return func() {}
}
