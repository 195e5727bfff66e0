package process

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithWrapper has the kernel kill the process when the wrapper dies: the guard may have died
// with it, as of a kill -9 of everything called dlm. It is so of the command itself, unless that
// gains privileges, and not of what the command starts.
func endWithWrapper(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// stayWithWrapper has what endWithWrapper asked for outlast an execution: the kernel keeps it of a
// thread, and of all threads only the one that calls exec is left. It returns false if the wrapper,
// which had that pid, has died before.
func stayWithWrapper(wrapper int) bool {
	runtime.LockOSThread()
	err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	return err == nil && os.Getppid() == wrapper
}
