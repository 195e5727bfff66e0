package process

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// withoutTTOU runs f on a thread that blocks SIGTTOU, which the kernel would otherwise send to a
// background group that sets the terminal's foreground group. Blocking it on one thread is not
// inherited by the command, ignoring it would be.
func withoutTTOU(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, old unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGTTOU - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return
	}
	f()
	unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
}
