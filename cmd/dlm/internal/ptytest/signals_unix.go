//go:build unix

package ptytest

import (
	"os"
	"os/signal"
	"syscall"
)

// DefaultSignals lets the commands that a test starts have the signals' defaults, even if whoever
// started the test ignores some of them, as nohup and a shell's background jobs do: a command
// inherits what is ignored, but not what is handled.
func DefaultSignals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}
