package process

import "syscall"

// EndWithThread has the kernel kill a process when the thread that starts it ends, and so when this
// process does. It is so of that process itself, unless it gains privileges, and not of what it
// starts.
func EndWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
