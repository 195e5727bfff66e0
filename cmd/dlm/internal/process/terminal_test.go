//go:build linux

package process_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
)

// shell starts an interactive shell on a terminal, in which "wrap" is the wrapper.
func shell(t *testing.T) *ptytest.Terminal {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash, whose job control this test needs")
	}
	cmd := exec.CommandContext(t.Context(), bash, "--norc", "--noprofile", "-i")
	cmd.Env = append(os.Environ(), "PS1=prompt> ", "TERM=dumb", "HISTFILE=", "LC_ALL=C", "SELF="+os.Args[0])
	term := ptytest.Start(t, cmd, patience)
	term.Expect("prompt> ")
	// Readline would show each command twice, and bracketed paste would show escapes.
	term.Type("stty -echo; wrap() { \"$SELF\" wrap \"$@\"; }; bind 'set enable-bracketed-paste off' 2>/dev/null\n")
	term.Expect("prompt> ")
	return term
}

func TestCommandReadsTheTerminal(t *testing.T) {
	t.Parallel()
	term := shell(t)
	term.Type("$SELF wrap 1m sh -c 'echo ask\"ing\"; read x </dev/tty; echo got-$x'; echo code-$?\n")
	term.Expect("asking")
	term.Type("words\n")
	term.Expect("got-words")
	term.Expect("code-0")
	// The terminal is back in the shell's hands.
	term.Type("echo sti\"ll\" here\n")
	term.Expect("still here")
}

func TestCtrlCInterrupts(t *testing.T) {
	t.Parallel()
	term := shell(t)
	term.Type("$SELF wrap 1m sh -c 'read x; echo run\"ning\"; exec sleep 60'; echo code-$?\n")
	term.Type("go\n") // Once it runs it has the terminal: a key that comes before is the wrapper's to pass on.
	term.Expect("running")
	term.Type(ptytest.CtrlC)
	term.Expect("prompt> ")
	term.Type("echo code-$?\n")
	term.Expect("code-130")
	// A command that handles it goes on, and its exit code counts.
	term.Type("$SELF wrap 1m sh -c 'trap \"echo cau\"ght\"; exit 9\" INT; read x; echo run\"ning\"; while :; do sleep 0.01; done'; echo code-$?\n")
	term.Type("go\n")
	term.Expect("running")
	term.Type(ptytest.CtrlC)
	term.Expect("caught")
	term.Expect("code-9")
}

func TestCtrlCInterruptsTheScriptToo(t *testing.T) {
	t.Parallel()
	term := shell(t)
	term.Type("sh -c '$SELF wrap 1m sh -c \"read x; echo run\"ning\"; exec sleep 60\"; echo script-goes-on'; echo af\"ter\" $?\n")
	term.Type("go\n")
	term.Expect("running")
	term.Type(ptytest.CtrlC)
	if before := term.Expect("prompt> "); strings.Contains(before, "script-goes-on") {
		t.Errorf("the script went on after ctrl-C: %q", before)
	}
}

func TestCtrlZStopsAndFgContinues(t *testing.T) {
	t.Parallel()
	term := shell(t)
	term.Type("$SELF wrap 1m sh -c 'echo run\"ning\"; while read x; do echo got-$x; done'\n")
	term.Expect("running")
	term.Type("first\n") // By then it has the terminal: a key that comes before is the wrapper's to pass on.
	term.Expect("got-first")
	for range 2 {
		term.Type(ptytest.CtrlZ)
		term.Expect("Stopped")
		term.Expect("prompt> ")
		term.Type("jobs -s | wc -l | sed s/^/stopped-jobs-/\n")
		term.Expect("stopped-jobs-1")
		term.Type("fg\n")
		term.Expect("wrap 1m")
		term.Type("again\n")
		term.Expect("got-again")
	}
	term.Type(ptytest.CtrlD)
	term.Expect("prompt> ")
	term.Type("jobs | wc -l | sed s/^/jobs-/\n")
	term.Expect("jobs-0")
}

func TestLeaseLostWhileStopped(t *testing.T) {
	t.Parallel()
	term := shell(t)
	term.Type("$SELF wrap 4s sh -c 'read y; echo run\"ning\"; read x; echo got-$x'\n")
	term.Type("go\n")
	term.Expect("running")
	term.Type(ptytest.CtrlZ)
	term.Expect("Stopped")
	term.Expect("prompt> ")
	term.Type("sleep 4.2; fg; echo code-$?\n")
	term.Expect("code-70")
	term.Type("echo sti\"ll\" here\n")
	term.Expect("still here")
}

func TestBackgroundThenForeground(t *testing.T) {
	t.Parallel()
	term := shell(t)
	// In the background it is stopped when it reads, and goes on when it is brought to the
	// foreground.
	term.Type("$SELF wrap 1m sh -c 'read x; echo got-$x' &\n")
	term.Expect("prompt> ")
	term.Type("while ! jobs -s | grep -q wrap; do sleep 0.05; done; echo is-stop\"ped\"\n")
	term.Expect("is-stopped")
	term.Type("fg\n")
	term.Expect("wrap 1m")
	term.Type("late\n")
	term.Expect("got-late")
}

func TestPipelineKeepsTheTerminal(t *testing.T) {
	t.Parallel()
	term := shell(t)
	// The last of the pipeline reads the terminal, as a pager does; the wrapped command does not.
	term.Type("$SELF wrap 1m echo data | sh -c 'read d; echo ask\"ing\"; read k </dev/tty; echo $d-$k'\n")
	term.Expect("asking")
	term.Type("key\n")
	term.Expect("data-key")
	// A wrapped pager gets the terminal when it asks for it.
	term.Type("echo data | $SELF wrap 1m sh -c 'read d; echo ask\"ing\"; read k </dev/tty; echo $d-$k'\n")
	term.Expect("asking")
	term.Type("key\n")
	term.Expect("data-key")
	// Ctrl-C reaches a command that has no terminal.
	term.Type("$SELF wrap 1m sh -c 'echo run\"ning\" >&2; exec sleep 60' | cat; echo code-${PIPESTATUS[0]}\n")
	term.Expect("running")
	term.Type(ptytest.CtrlC)
	term.Expect("prompt> ")
}

func TestCtrlZWithoutAShell(t *testing.T) {
	t.Parallel()
	// Nobody could continue the wrapper, so ctrl-Z must not stop it for ever.
	cmd := exec.CommandContext(t.Context(), os.Args[0], wrapArg, "1m", "sh", "-c", "echo running; read x; echo got-$x")
	term := ptytest.Start(t, cmd, patience)
	term.Expect("running")
	term.Type(ptytest.CtrlZ)
	term.Type("words\n")
	term.Expect("got-words")
}
