package process

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct of that name, whose layout depends on the architecture and does
// not matter here: all zero means the default action everywhere.
type sigaction [64]byte

// stopGroup asks the kernel to stop this process's group, by the same signal as ctrl-Z: it does
// nothing to a group that nobody could continue. The signal has its default effect until restore is
// called; the signal package cannot do that, a signal that was once caught stays caught.
func stopGroup() (restore func()) {
	var byDefault, old sigaction
	setAction(&byDefault, &old)
	unix.Kill(0, unix.SIGTSTP)
	return func() { setAction(&old, nil) }
}

func setAction(action, old *sigaction) {
	const signalSetSize = 8
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTSTP),
		uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(old)), signalSetSize, 0, 0)
}
