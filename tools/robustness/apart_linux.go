package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// apart has a process begin in namespaces of its own for mounts and networks. The kernel undoes all
// that is in them when the last process there has ended, however it did: nothing is left behind, and
// two runs do not meet.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
}

// cannotBeApart says why networks cannot be cut and file systems mounted here, or nil. Each thing is
// tried in namespaces that end with it.
func cannotBeApart() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can make namespaces")
	}
	dir, err := os.MkdirTemp("", "dlm-robustness-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	for _, line := range [][]string{
		{"ip", "link", "add", "br0", "type", "bridge"},
		{"ip", "link", "add", "name", "wire", "type", "veth", "peer", "name", "end"},
		{"nft", "add table ip dlm; add chain ip dlm pre { type nat hook prerouting priority -100; }"},
		{"mount", "-t", "tmpfs", "tmpfs", dir},
	} {
		cmd := exec.Command(line[0], line[1:]...)
		cmd.SysProcAttr = apart()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w %s", line[0], err, out)
		}
	}
	return nil
}
