package process

import (
	"os"
	"time"
)

// end ends what a wrapper that has died has left. Their parents are gone, so they are told by what
// is known of them, and whatever they have started is theirs.
func (s state) end(giveUp time.Time) { endMembers(s.members, giveUp) }

// members are the processes that are left of the tree.
func (s state) members() []member {
	all := everything()
	ours := map[int]bool{}
	for _, m := range all {
		switch {
		case m.pid == os.Getpid():
		case s.group > 1 && m.group == s.group && m.session == s.session, s.outside[m.identity], marked(m.pid, s.mark):
			ours[m.pid] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, m := range all {
			if ours[m.parent] && !ours[m.pid] && m.pid != os.Getpid() {
				ours[m.pid] = true
				grown = true
			}
		}
	}
	var left []member
	for _, m := range all {
		if ours[m.pid] && !m.dead {
			left = append(left, m)
		}
	}
	return left
}
