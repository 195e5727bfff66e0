package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals besides that a wrapper passes on to its command, or acts on in its
// stead: all that somebody may send, but for SIGURG and SIGPROF, which Go has uses for itself, and
// SIGRTMIN, 34, which it does not catch.
func forwarded() []os.Signal {
	all := []os.Signal{
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM, unix.SIGWINCH, unix.SIGIO, unix.SIGPWR,
		unix.SIGXCPU, unix.SIGTSTP, unix.SIGCONT,
	}
	const firstRealTime, last = 35, 64
	for sig := syscall.Signal(firstRealTime); sig <= last; sig++ {
		all = append(all, sig)
	}
	return all
}
