//go:build unix

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

func endingSignals() []os.Signal {
	return []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}
}

// caughtEarly are the signals besides that must not end a wrapper, whatever it does just then.
// SIGPIPE is caught so that a closed standard error does not end one that waits for a lock, or has
// one to release; the command never hears of it.
func caughtEarly() []os.Signal { return []os.Signal{unix.SIGPIPE} }

// forwarded are the signals besides that a wrapper passes on to its command, or acts on in its
// stead, from the beginning. To catch one takes Go some 100 µs: those that are rarer, and that do
// nothing to a Go program until then, are caught once the command has run for a moment.
func forwarded() []os.Signal {
	return []os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT}
}
