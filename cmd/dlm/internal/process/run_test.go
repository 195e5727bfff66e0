//go:build unix

package process_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience bounds everything that is waited for.
const patience = time.Minute

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	orphan := filepath.Join(dir, "orphan")
	write(t, plain, 0o644, "#!/bin/sh\n")
	write(t, orphan, 0o755, "#!/no/such/interpreter\n")
	for _, test := range []struct {
		name string
		argv []string
		want int
	}{
		{"success", []string{"true"}, 0},
		{"failure", []string{"sh", "-c", "exit 3"}, 3},
		{"died of a signal", []string{"sh", "-c", "kill -KILL $$"}, 137},
		{"not found", []string{"no-such-command"}, 127},
		{"no such file", []string{filepath.Join(dir, "absent")}, 127},
		{"not executable", []string{plain}, 126},
		{"a directory", []string{dir}, 126},
		{"no interpreter", []string{orphan}, 126},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := wrapper(t, "1m", test.argv...)
			if got := code(cmd.Run()); got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
		})
	}
}

func TestStandardInputPassesThrough(t *testing.T) {
	cmd := wrapper(t, "1m", "tr", "a-z", "A-Z")
	cmd.Stdin = strings.NewReader("hello\n")
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil || string(out) != "HELLO\n" {
		t.Errorf("got %q, %v, want HELLO", out, err)
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	for sig, name := range map[syscall.Signal]string{
		unix.SIGTERM: "TERM", unix.SIGINT: "INT", unix.SIGHUP: "HUP", unix.SIGQUIT: "QUIT",
		unix.SIGUSR1: "USR1", unix.SIGUSR2: "USR2", unix.SIGWINCH: "WINCH",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The grandchild's trap shows that the group gets it, not the command alone.
			cmd, out := started(t, "1m", "sh", "-c", `trap "exit 5" `+name+`
				sh -c 'trap "echo heard; exit 0" `+name+`; echo ready; while :; do sleep 0.01; done'
				exit 6`)
			expect(t, out, "ready")
			signal(t, cmd, sig)
			expect(t, out, "heard")
			if got := code(cmd.Wait()); got != 5 {
				t.Errorf("exit code %d, want the command's own, 5", got)
			}
		})
	}
}

func TestIgnoredSignalsStayIgnored(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `trap "" HUP; exec "$@"`, "sh",
		os.Args[0], wrapArg, "1m", "sh", "-c", "kill -HUP $PPID $$; exit 4")
	if got := code(cmd.Run()); got != 4 {
		t.Errorf("exit code %d, want 4: both ignore SIGHUP", got)
	}
}

func TestLeftoversEndBeforeRunReturns(t *testing.T) {
	for name, script := range map[string]string{
		"gentle":   `sleep 60 & echo $!`,
		"stubborn": `sh -c 'trap "" TERM; echo $$; while :; do sleep 0.01; done' & read x; exit 0`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := wrapper(t, "1m", "sh", "-c", script)
			cmd.Env = append(os.Environ(), leftoversEnv+"=kill")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out := pipe(t, cmd)
			start(t, cmd)
			left := number(t, out)
			in.Close()
			if got := code(cmd.Wait()); name == "gentle" && got != 0 {
				t.Errorf("exit code %d, want 0", got)
			}
			if alive(left) {
				t.Errorf("process %d still runs", left)
			}
		})
	}
}

func TestGroupDiesBeforeTheLeaseEnds(t *testing.T) {
	const lease = 1500 * time.Millisecond
	before := time.Now()
	cmd, out := started(t, lease.String(), "sh", "-c",
		`trap "echo asked" TERM; sh -c 'trap "" TERM; echo $$; while :; do sleep 0.01; done' & while :; do sleep 0.01; done`)
	grandchild := number(t, out)
	expect(t, out, "asked")
	got := code(cmd.Wait())
	took := time.Since(before)
	if got != 70 {
		t.Errorf("exit code %d, want 70", got)
	}
	if took < lease-margin || took > lease+patience/2 {
		t.Errorf("took %v, want about %v", took, lease)
	}
	if alive(grandchild) {
		t.Errorf("process %d outlives the lease", grandchild)
	}
}

func TestLostCountsEvenIfTheCommandSucceeds(t *testing.T) {
	cmd, _ := started(t, "1s", "sh", "-c", `trap "exit 0" TERM; while :; do sleep 0.01; done`)
	if got := code(cmd.Wait()); got != 70 {
		t.Errorf("exit code %d, want 70", got)
	}
}

func TestGroupDiesWithAKilledWrapper(t *testing.T) {
	cmd, out := started(t, "1m", "sh", "-c",
		`trap "" TERM HUP INT; (trap "" TERM HUP INT; sh -c 'echo $$; while :; do sleep 0.01; done') & while :; do sleep 0.01; done`)
	grandchild := number(t, out)
	signal(t, cmd, unix.SIGKILL)
	cmd.Wait()
	eventually(t, "the grandchild's end", func() bool { return !alive(grandchild) })
}

func TestGroupDiesWithAKilledWrapperEvenStopped(t *testing.T) {
	cmd, out := started(t, "1m", "sh", "-c", `sh -c 'echo $$; kill -STOP $$; sleep 60' & wait`)
	grandchild := number(t, out)
	eventually(t, "the grandchild's stop", func() bool { return state(grandchild) == "T" })
	signal(t, cmd, unix.SIGKILL)
	cmd.Wait()
	eventually(t, "the grandchild's end", func() bool { return !alive(grandchild) })
}

func TestStoppedWrapperFindsItsLeaseOver(t *testing.T) {
	const lease = time.Second
	before := time.Now()
	cmd, out := started(t, lease.String(), "sh", "-c", `echo $$; trap "" TERM; while :; do sleep 0.01; done`)
	child := number(t, out)
	signal(t, cmd, unix.SIGSTOP)
	eventually(t, "the wrapper's stop", func() bool { return state(cmd.Process.Pid) == "T" })
	eventually(t, "the lease's end", func() bool { return time.Since(before) > lease })
	if !alive(child) {
		t.Fatal("the command has ended: a stopped wrapper cannot have done that")
	}
	signal(t, cmd, unix.SIGCONT)
	if got := code(cmd.Wait()); got != 70 {
		t.Errorf("exit code %d, want 70", got)
	}
	if alive(child) {
		t.Error("the command still runs")
	}
}

// wrapper is the test binary as a wrapper of argv.
func wrapper(t *testing.T, lease string, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{wrapArg, lease}, argv...)...)
	cmd.WaitDelay = patience
	return cmd
}

// started starts a wrapper and returns what its command prints.
func started(t *testing.T, lease string, argv ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := wrapper(t, lease, argv...)
	out := pipe(t, cmd)
	start(t, cmd)
	return cmd, out
}

// pipe is a pipe that, unlike StdoutPipe, Wait does not close under its reader.
func pipe(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	cmd.Stdout = w
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(r)
}

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
}

func expect(t *testing.T, out *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := out.ReadString('\n')
		if strings.TrimSpace(line) == want {
			return
		}
		if err != nil {
			t.Fatalf("wait for %q: %v", want, err)
		}
	}
}

func number(t *testing.T, out *bufio.Reader) int {
	t.Helper()
	line, err := out.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("want a process id: %v", err)
	}
	return n
}

func signal(t *testing.T, cmd *exec.Cmd, sig os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// code is an exit code as a shell shows it.
func code(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return -1
		}
		return 0
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

// state is a process's state as the kernel shows it: R, S, T for stopped, Z for dead but not
// reaped; empty if it is gone.
func state(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

func alive(pid int) bool {
	s := state(pid)
	return s != "" && s != "Z" && s != "X"
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	await.Eventually(t, patience, what, is)
}

func write(t *testing.T, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
