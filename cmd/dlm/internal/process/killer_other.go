//go:build unix && !linux

package process

import "time"

// end ends the group of a wrapper that has died.
func (s state) end(giveUp time.Time) {
	if s.group > 1 {
		endGroup(s.group, giveUp)
	}
}
