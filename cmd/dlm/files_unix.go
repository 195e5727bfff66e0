//go:build unix

package main

import "syscall"

// maxFiles is how many files this process may have open at once; false: not known. Go has raised it
// to what is allowed.
func maxFiles() (files uint64, ok bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return uint64(limit.Cur), err == nil //nolint:gosec,unconvert // a signed number on some systems
}
