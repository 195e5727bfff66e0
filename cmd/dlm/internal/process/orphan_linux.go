package process

import "syscall"

// endWithWrapper has the kernel kill the process when the wrapper dies: the guard may have died with
// it, as of a kill -9 of everything called dlm. It is so of the command itself, unless that gains
// privileges, and not of what the command starts.
func endWithWrapper(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
