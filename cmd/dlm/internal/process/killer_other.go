//go:build unix && !linux

package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// end ends the group of a wrapper that has died.
func (s state) end(giveUp time.Time) {
	if s.group <= 1 {
		return
	}
	unix.Kill(-s.group, unix.SIGKILL) // stopped processes die of it too
	for !vanished(s.group) && time.Now().Before(giveUp) {
		<-time.After(pollInterval)
	}
}
