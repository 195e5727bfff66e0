//go:build unix && !linux

package process

import "syscall"

// EndWithThread does nothing: this kernel does not know how.
func EndWithThread(*syscall.SysProcAttr) {}
