//go:build unix

package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// endMembers ends what look finds, until two looks in a row find nothing, and returns those that it
// could not end: they are left when it gives up, or may not be signalled. Until no new ones appear
// they are only stopped, so that none can start another while its siblings are killed, and none
// loses its parent, by which it is found.
func endMembers(look func() []member, giveUp time.Time) []member {
	stopped := map[identity]bool{}
	for none := 0; none < 2; {
		left := look()
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
				_ = m.signal(unix.SIGSTOP) // Whether it may be signalled is seen below.
			}
		}
		late := !time.Now().Before(giveUp)
		if fresh && !late {
			continue
		}
		refused := 0
		for _, m := range left {
			if m.signal(unix.SIGKILL) != nil {
				refused++
			}
		}
		if late || refused == len(left) {
			return left
		}
		<-time.After(pollInterval)
	}
	return nil
}

// endGroup ends a process group, of which nothing else can be seen, and reports whether it has
// ended. Those that are stopped die of SIGKILL too.
func endGroup(group int, giveUp time.Time) bool {
	for {
		unix.Kill(-group, unix.SIGKILL)
		if vanished(group) {
			return true
		}
		if !time.Now().Before(giveUp) {
			return false
		}
		<-time.After(pollInterval)
	}
}
