package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// unnamedFile returns a file in memory.
func unnamedFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("dlm-orders", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "orders"), nil
}
