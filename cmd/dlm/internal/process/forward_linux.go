package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwardedLater are the other signals that somebody may send, but for SIGURG and SIGPROF, which Go
// has uses for itself, and SIGRTMIN, 34, which it does not catch.
func forwardedLater() []os.Signal {
	all := []os.Signal{unix.SIGALRM, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR, unix.SIGXCPU}
	const firstRealTime, last = 35, 64
	for sig := syscall.Signal(firstRealTime); sig <= last; sig++ {
		all = append(all, sig)
	}
	return all
}
