//go:build linux

package main_test

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
)

// On a terminal keys count when they are pressed, and ctrl-C ends all servers.
func TestDevClusterOnATerminal(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "dev-cluster", "--data-dir", t.TempDir(), "--ports", ports(t))
	term := ptytest.Start(t, cmd, patience)
	term.Expect("three servers on")
	term.Expect("q quit")
	term.Type("2")
	term.Expect("server 2 is chosen")
	term.Type("\x1b[As")
	term.Expect("server 2 is stopped")
	term.Type("cx")
	term.Expect("server 2 runs")
	term.Expect("no key \"x\"")
	term.Type(ptytest.CtrlC)
	term.Expect("all servers have ended")
}
