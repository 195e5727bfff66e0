//go:build linux

package main_test

import (
	"os/exec"
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
)

// The details of job control are tested in internal/process; this is the whole, in a shell that a
// user would have.
func TestTerminal(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash, whose job control this test needs")
	}
	cmd := command(t, endpoint, bash, "--norc", "--noprofile", "-i")
	cmd.Env = append(cmd.Env, "PS1=prompt> ", "TERM=dumb", "HISTFILE=", "LC_ALL=C")
	term := ptytest.Start(t, cmd, patience)
	term.Expect("prompt> ")
	term.Type("stty -echo\n")
	term.Expect("prompt> ")

	// What is typed here must not look like what is printed: a shell may show it.
	term.Type("dlm lock terminal/read sh -c 'echo ask\"ing\"; read x; echo got-$x'; echo code-$?\n")
	term.Expect("asking")
	term.Type("words\n")
	term.Expect("got-words")
	term.Expect("code-0")

	term.Type("dlm lock terminal/c sh -c 'echo run\"ning\"; exec sleep 60'\n")
	term.Expect("running")
	term.Type(ptytest.CtrlC)
	term.Expect("prompt> ")
	term.Type("echo code-$?; dlm lock -n terminal/c echo fr\"ee\"\n")
	term.Expect("code-130")
	term.Expect("free")

	term.Type("dlm lock --ttl 60s terminal/z sh -c 'read y; echo run\"ning\"; read x; echo got-$x'; echo code-$?\n")
	term.Type("go\n")
	term.Expect("running")
	term.Type(ptytest.CtrlZ)
	term.Expect("Stopped")
	term.Expect("prompt> ")
	term.Type("dlm lock -q -n terminal/z true; echo busy-$?; fg; echo code-$?\n")
	term.Expect("busy-75")
	term.Expect("dlm lock")
	term.Type("again\n")
	term.Expect("got-again")
	term.Expect("code-0")

	// A stop past the lease: the command is ended instead of continued.
	term.Type("dlm lock --ttl 4s terminal/lost sh -c 'read y; echo run\"ning\"; read x; echo go\"t\"-$x'\n")
	term.Type("go\n")
	term.Expect("running")
	term.Type(ptytest.CtrlZ)
	term.Expect("Stopped")
	term.Expect("prompt> ")
	term.Type("dlm lock -q terminal/lost echo mi\"ne\"; fg; echo code-$?\n")
	term.Expect("mine")
	term.Expect("lock lost")
	term.Expect("code-70")
}

func TestBenchProgress(t *testing.T) {
	t.Parallel()
	args := []string{"bench", "--workload", "own", "--clients", "1", "--runs", "1", "--warmup", "0s", "--duration", "1s"}
	term := ptytest.Start(t, dlm(t, args...), patience)
	term.Expect("dlm, own, 1 clients, run 1: ")
	term.Expect("SYSTEM")
}

// A server that somebody has started at a terminal ends with it, as everything else there.
func TestServerEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	cmd := command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir())
	term := ptytest.Start(t, cmd, patience)
	term.Expect("dlm is ready")
	term.HangUp()
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
