//go:build unix

package devcluster

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
)

// apart keeps a process out of the terminal's group, so that ctrl-C and ctrl-Z are for this program
// alone, and has it end with this program.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.EndWithThread(cmd.SysProcAttr)
}

func pause(p *os.Process, stop bool) error {
	if stop {
		return p.Signal(unix.SIGSTOP)
	}
	return p.Signal(unix.SIGCONT)
}

func terminate(p *os.Process) error { return p.Signal(unix.SIGTERM) }
