//go:build unix

package top

import (
	"os"
	"os/signal"
	"syscall"
)

// stops tells when somebody asks for the process to be stopped, until release is called.
func stops() (asked <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(c, syscall.SIGTSTP)
	}
	return c, func() { signal.Stop(c) }
}
