package process

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// end ends what a wrapper that has died has left: until two looks in a row find nothing, or for as
// long as it may take. Their parents are gone, so they are told by what is known of them, and
// whatever they have started is theirs. All are stopped before any is killed: a process whose
// parent was killed first would belong to nobody.
func (s state) end(giveUp time.Time) {
	stopped := map[identity]bool{}
	for none := 0; none < 2 && time.Now().Before(giveUp); {
		left := s.members()
		if len(left) == 0 {
			none++
			continue
		}
		none = 0
		fresh := false
		for _, m := range left {
			if !stopped[m.identity] {
				fresh = true
				stopped[m.identity] = true
				_ = m.signal(unix.SIGSTOP) // What cannot be ended stays.
			}
		}
		if fresh {
			continue
		}
		for _, m := range left {
			_ = m.signal(unix.SIGKILL)
		}
		<-time.After(pollInterval)
	}
}

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
