//go:build linux

package main_test

import (
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
)

// What a terminal is told to show a page of its own, and to go back to what it showed before.
const (
	enterPage = "\x1b[?1049h"
	leavePage = "\x1b[?1049l"
)

// watched is a `dlm top` on a terminal of its own.
func watched(t *testing.T, args ...string) (*ptytest.Terminal, *exec.Cmd) {
	t.Helper()
	cmd := dlm(t, append([]string{"top"}, args...)...)
	cmd.Env = append(cmd.Env, "TERM=xterm", "LC_ALL=C.UTF-8", "LINES=24", "COLUMNS=150")
	term := ptytest.Start(t, cmd, patience)
	term.Expect(enterPage)
	return term, cmd
}

// shown waits until a text is on the page, which is drawn anew for that: else only what has changed
// is written.
func shown(term *ptytest.Terminal, text string) {
	const redraw = "\x0c" // ctrl-L
	found := make(chan struct{})
	var typing sync.WaitGroup
	typing.Go(func() {
		for tick := time.Tick(100 * time.Millisecond); ; {
			select {
			case <-tick:
				term.Type(redraw)
			case <-found:
				return
			}
		}
	})
	defer typing.Wait()
	defer close(found)
	term.Expect(text)
}

func TestTop(t *testing.T) {
	t.Parallel()
	h := holdAt(t, endpoint, "true", 0, "--label", "the holder", "--ttl", "10m", "top/a")
	w := start(t, dlm(t, "lock", "--label", "the waiter", "top/a", "echo", "passed", "on"))
	term, cmd := watched(t, "top/a")
	shown(term, "top/a")
	shown(term, `"the holder"`)
	term.Type("\r")
	shown(term, "to free it")
	term.Type("e")
	shown(term, "Why?")
	term.Type("it is in the way\r")
	shown(term, "Do it? y/n")
	term.Type("y")
	shown(term, `("evicted: it is in the way")`) // among the events
	w.says(t, "passed on")
	if code := h.wait(t); code != 70 || !strings.Contains(h.err.String(), "evicted: it is in the way") {
		t.Errorf("the holder: exit code %d\n%s", code, h.err)
	}
	term.Type("q")
	term.Type("q")
	term.Expect(leavePage)
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// However it is ended, the terminal is as it was.
func TestTopLeavesTheTerminal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(*ptytest.Terminal, *exec.Cmd) error
		code int
	}{
		"a key": {func(term *ptytest.Terminal, _ *exec.Cmd) error { term.Type(ptytest.CtrlC); return nil }, 0},
		"TERM":  {func(_ *ptytest.Terminal, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }, 143},
		"INT":   {func(_ *ptytest.Terminal, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGINT) }, 130},
		"HUP":   {func(_ *ptytest.Terminal, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGHUP) }, 129},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term, cmd := watched(t, "top/none/")
			shown(term, "q quit")
			if err := test.end(term, cmd); err != nil {
				t.Fatal(err)
			}
			term.Expect(leavePage)
			if code := exitCode(t, cmd.Wait()); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
		})
	}
}

// In a shell that a user would have, ^Z gives the terminal back, and fg takes it again.
func TestTopIsStopped(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash, whose job control this test needs")
	}
	cmd := command(t, endpoint, bash, "--norc", "--noprofile", "-i")
	cmd.Env = append(cmd.Env, "PS1=prompt> ", "TERM=xterm", "HISTFILE=", "LC_ALL=C.UTF-8")
	term := ptytest.Start(t, cmd, patience)
	term.Expect("prompt> ")
	term.Type("dlm top top/none/; echo code-$?\n")
	term.Expect(enterPage)
	shown(term, "q quit")
	term.Type(ptytest.CtrlZ)
	term.Expect(leavePage)
	term.Expect("Stopped")
	term.Expect("prompt> ")
	term.Type("stty -a\n")
	if is := term.Expect("icanon"); strings.HasSuffix(is, "-") {
		t.Errorf("the terminal is left as it was within:\n%s", is)
	}
	term.Expect("prompt> ")
	term.Type("fg\n")
	term.Expect(enterPage)
	shown(term, "q quit")
	term.Type("q")
	term.Expect(leavePage)
	term.Expect("prompt> ")
}

// A view follows its terminal's size.
func TestTopIsResized(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "top", "top/none/")
	cmd.Env = append(cmd.Env, "TERM=xterm", "LC_ALL=C.UTF-8")
	term := ptytest.Start(t, cmd, patience)
	term.Resize(10, 30)
	shown(term, "LOCK")
	term.Resize(30, 190)
	shown(term, "IDENTITY")
	term.Type("q")
	term.Expect(leavePage)
}

// Where there is no terminal the table is printed, once.
func TestTopWithoutATerminal(t *testing.T) {
	t.Parallel()
	h := holdAt(t, endpoint, "true", 0, "--label", "the\u202eholder", "top/printed")
	out := must(t, dlm(t, "top", "top/printed"))
	if !strings.Contains(out, "LOCK") || !strings.Contains(out, "top/printed") || strings.Contains(out, "\u202e") || strings.Contains(out, "\x1b") {
		t.Errorf("it printed\n%s", out)
	}
	h.in.Close()
	if r := run(t, dlm(t, "top", "--interval", "1ms")); r.code != 64 {
		t.Errorf("exit code %d, want 64\n%s", r.code, r.err)
	}
	if r := run(t, dlm(t, "top", "--endpoints", "127.0.0.1:1", "--connect-timeout", "100ms")); r.code != 69 {
		t.Errorf("without a server: exit code %d, want 69\n%s", r.code, r.err)
	}
}
