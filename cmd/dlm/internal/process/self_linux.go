package process

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Self names this process among all of this machine, those that had its number before and will have
// it later included.
func Self() string {
	m, ok := readMember(os.Getpid())
	if !ok {
		return ""
	}
	return namespace() + "/" + m.identity.String()
}

// Ended reports whether a process that Self has named has ended for certain. It cannot be told of
// one in another container.
func Ended(self string) bool {
	space, text, _ := strings.Cut(self, "/")
	id, err := parseIdentity(text)
	if err != nil || space == "" || space != namespace() {
		return false
	}
	if _, seen := readMember(os.Getpid()); !seen {
		return false // as everything would look
	}
	now, ok := readMember(id.pid)
	if !ok { // it may be another user's, and hidden
		return errors.Is(unix.Kill(id.pid, 0), unix.ESRCH)
	}
	return now.start != id.start || now.dead
}

// namespace is where this process's number counts: "pid:[4026531836]", without the colon.
func namespace() string {
	link, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimFunc(strings.TrimPrefix(link, "pid:"), func(r rune) bool { return r == '[' || r == ']' })
}
