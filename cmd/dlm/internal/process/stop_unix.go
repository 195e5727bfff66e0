//go:build unix

package process

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// Stop stops this process's group, as the terminal's key does, and returns when it goes on: soon,
// if nobody is there who could have it go on, since then it is not stopped.
func Stop() {
	goes := make(chan os.Signal, 1)
	signal.Notify(goes, unix.SIGCONT)
	defer signal.Stop(goes)
	restore := stopGroup()
	defer restore()
	select {
	case <-goes:
	case <-time.After(stopGrace):
	}
}
