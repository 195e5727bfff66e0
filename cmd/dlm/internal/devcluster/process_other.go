//go:build !unix

package devcluster

import (
	"errors"
	"os"
	"os/exec"
)

func apart(*exec.Cmd) {}

func pause(*os.Process, bool) error {
	return errors.New("this system cannot stop a process and let it continue")
}

func terminate(p *os.Process) error { return p.Kill() }
