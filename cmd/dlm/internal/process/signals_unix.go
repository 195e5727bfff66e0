//go:build unix

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

func endingSignals() []os.Signal {
	return []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}
}

// forwarded are the signals besides that a wrapper passes on to its group, or acts on in its stead.
// SIGPIPE is caught so that a closed standard error does not end a wrapper that has a lock to
// release; the group never hears of it.
func forwarded() []os.Signal {
	return []os.Signal{
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT, unix.SIGPIPE,
	}
}
