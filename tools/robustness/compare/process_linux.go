package main

import "syscall"

// childOf has a process die with the one that started it, so that a run that is killed leaves
// nothing behind.
func childOf() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
