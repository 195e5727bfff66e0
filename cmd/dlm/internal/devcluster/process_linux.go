package devcluster

import "syscall"

// endWithProgram has the kernel kill a process when the thread that started it is gone, and so when
// this program is.
func endWithProgram(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
