package devcluster

import (
	"os"

	"golang.org/x/sys/unix"
)

// singleKeys has a terminal give each key as it is pressed, and not show it; ctrl-C and ctrl-Z stay
// what they are. It reports whether it is one.
func singleKeys(in *os.File) (restore func(), is bool) {
	old, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return func() {}, false
	}
	single := *old
	single.Lflag &^= unix.ICANON | unix.ECHO
	single.Cc[unix.VMIN], single.Cc[unix.VTIME] = 1, 0
	set := func(to *unix.Termios) error { return unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, to) }
	if set(&single) != nil {
		return func() {}, false
	}
	return func() { _ = set(old) }, true // if the terminal is gone, there is nothing to give back
}
