//go:build unix && !linux

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// forwardedLater are the other signals that somebody may send.
func forwardedLater() []os.Signal {
	return []os.Signal{unix.SIGALRM, unix.SIGVTALRM, unix.SIGIO, unix.SIGXCPU}
}
