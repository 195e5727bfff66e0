//go:build unix && !linux

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// forwarded are the signals besides that a wrapper passes on to its command, or acts on in its
// stead.
func forwarded() []os.Signal {
	return []os.Signal{
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM, unix.SIGWINCH, unix.SIGIO,
		unix.SIGXCPU, unix.SIGTSTP, unix.SIGCONT,
	}
}
