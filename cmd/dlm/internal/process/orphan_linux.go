package process

import "syscall"

// endWithWrapper has the kernel kill the command when the thread that starts it ends, as with the
// wrapper: the guard may have died with that, as of a kill -9 of everything. It is so of the
// command itself, unless that gains privileges, and not of what the command starts.
func endWithWrapper(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
