package process_test

import (
	"bytes"
	"errors"
	"fmt"
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

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/proctest"
)

// stray are ways in which a process leaves the command's group. Each prints its number, and is hard
// to end.
func stray(t *testing.T) map[string][]string {
	t.Helper()
	const stubborn = `trap "" TERM HUP INT; echo $$; while :; do sleep 0.01; done`
	ways := map[string][]string{
		"session":    {"sh", "-c", `setsid sh -c '` + stubborn + `' & wait`},
		"daemon":     {"sh", "-c", `(setsid sh -c '` + stubborn + `' &) ; exec sleep 1000`},
		"no mark":    {"sh", "-c", `setsid env -i PATH="$PATH" sh -c '` + stubborn + `' & wait`},
		"stopped":    {"sh", "-c", `setsid sh -c 'echo $$; kill -STOP $$' & wait`},
		"grandchild": {"sh", "-c", `setsid sh -c 'sh -c "setsid sh -c \"trap : TERM; echo \\\$\\\$; while :; do sleep 0.01; done\" & wait"' & wait`},
	}
	if path, err := exec.LookPath("timeout"); err == nil {
		ways["timeout"] = []string{"sh", "-c", path + ` 1000 sh -c '` + stubborn + `'; true`}
	}
	if path, err := exec.LookPath("bash"); err == nil {
		ways["job control"] = []string{path, "-c", `set -m; sh -c '` + stubborn + `' & wait`}
		ways["interactive"] = []string{path, "--norc", "-ic", `sh -c '` + stubborn + `' & wait`}
	}
	return ways
}

// Whatever a process does to leave the command's group, it does not outlive the lease, its end by
// decision, two signals, or the wrapper.
func TestNothingOfTheTreeIsLeft(t *testing.T) {
	for name, argv := range stray(t) {
		for end, test := range map[string]struct {
			lease, env string
			act        func(t *testing.T, cmd *exec.Cmd)
			code       int
		}{
			"lease":    {"2s", "", nil, 70},
			"decision": {"1m", decidedEnv + "=3s", nil, 70},
			"twice": {"1m", "", func(t *testing.T, cmd *exec.Cmd) {
				signal(t, cmd, unix.SIGTERM)
				<-time.After(60 * time.Millisecond) // Below that they count as one.
				signal(t, cmd, unix.SIGTERM)
			}, -1},
			"killed":        {"1m", "", kill, 137},
			"killed, no sh": {"1m", noShellEnv + "=1", kill, 137},
		} {
			t.Run(name+"/"+end, func(t *testing.T) {
				t.Parallel()
				cmd := wrapper(t, test.lease, argv...)
				cmd.Env = append(os.Environ(), test.env)
				out := pipe(t, cmd)
				start(t, cmd)
				pid := number(t, out)
				if test.act != nil {
					if name == "no mark" {
						role := "killer"
						if test.env != "" {
							role = "guard"
						}
						guard := proctest.Helper(t, cmd.Process.Pid, role)
						eventually(t, "the guard to be told", func() bool { return told(t, guard, pid) })
					}
					test.act(t, cmd)
				}
				got := code(cmd.Wait())
				if test.code >= 0 && got != test.code {
					t.Errorf("exit code %d, want %d", got, test.code)
				}
				if test.code == 137 { // Only the guard is left to do it.
					eventually(t, "the end of process "+strconv.Itoa(pid), func() bool { return !alive(pid) })
				}
				if alive(pid) {
					unix.Kill(pid, unix.SIGKILL)
					t.Errorf("process %d still runs", pid)
				}
			})
		}
	}
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	signal(t, cmd, unix.SIGKILL)
}

// told reports whether a guard has been told of a process.
func told(t *testing.T, guard, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fd/3", guard))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), fmt.Sprintf("outside %d/", pid))
}

// A process that starts others faster than they can be looked at is ended too.
func TestForkingIsOutrun(t *testing.T) {
	t.Parallel()
	cmd := wrapper(t, "1m", "sh", "-c",
		`setsid sh -c 'trap "" TERM; echo $$; while :; do (trap "" TERM; sleep 1000 & sleep 0.002 &) ; done' & wait`)
	cmd.Env = append(os.Environ(), decidedEnv+"=300ms", "TEST_FORKING=yes")
	out := pipe(t, cmd)
	start(t, cmd)
	number(t, out)
	if got := code(cmd.Wait()); got != 70 {
		t.Errorf("exit code %d, want 70", got)
	}
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range environs {
		text, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		if bytes.Contains(text, []byte("TEST_FORKING=yes")) && alive(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
}

// What a wrapper had before it became one is none of its business, nor are orphans of that.
func TestOthersChildrenAreLeftAlone(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `sh -c 'sleep 1; (sleep 1000 & echo $!); read x' & exec "$@"`, "sh",
		os.Args[0], wrapArg, "1m", "sh", "-c", `sleep 2`)
	out := pipe(t, cmd)
	start(t, cmd)
	orphan := number(t, out)
	defer unix.Kill(orphan, unix.SIGKILL)
	if got := code(cmd.Wait()); got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
	if !alive(orphan) {
		t.Error("somebody else's process was ended")
	}
}

func TestLeftovers(t *testing.T) {
	const leaves = `exec 9<&0; setsid sh -c 'trap "exit 0" TERM; echo $$; read x' <&9 9<&- & read line <&3; exit 3`
	for name, test := range map[string]struct {
		what   string
		signal bool // once the notice is there
		lives  bool
		notice bool
	}{
		"waited for":      {"wait", false, false, true},
		"signalled":       {"wait", true, false, true},
		"waited a second": {"wait:1100ms", false, false, true},
		"killed":          {"kill", false, false, false},
		"left":            {"leave", false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := wrapper(t, "1m", "sh", "-c", leaves)
			cmd.Env = append(os.Environ(), leftoversEnv+"="+test.what)
			// Not cmd.StdinPipe, which Wait closes.
			stdin, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = stdin
			order, end, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stdin.Close(); in.Close(); order.Close() })
			cmd.ExtraFiles = []*os.File{order}
			notices := stderr(t, cmd)
			out := pipe(t, cmd)
			start(t, cmd)
			pid := number(t, out)
			defer unix.Kill(pid, unix.SIGKILL)
			end.Close() // the command may end now
			said := func() bool { return strings.Contains(notices(), strconv.Itoa(pid)) }
			if test.what == "wait" {
				eventually(t, "a notice that names the process", said)
				if !strings.Contains(notices(), "--leftovers") {
					t.Errorf("the notice does not name the flag: %q", notices())
				}
				if test.signal {
					signal(t, cmd, unix.SIGTERM)
				} else {
					in.Close()
				}
			}
			if got := code(cmd.Wait()); got != 3 {
				t.Errorf("exit code %d, want the command's own, 3", got)
			}
			if alive(pid) != test.lives {
				t.Errorf("the process lives on: %v, want %v", !test.lives, test.lives)
			}
			if said() != test.notice {
				t.Errorf("said %q, want a notice: %v", notices(), test.notice)
			}
		})
	}
}

// Once the wrapper has left something alone, its own death does not matter to that.
func TestLeftIsOutOfTheGuardsCare(t *testing.T) {
	t.Parallel()
	cmd := wrapper(t, "1m", "sh", "-c", `setsid sh -c 'echo $$; exec sleep 1000' & read x`)
	cmd.Env = append(os.Environ(), leftoversEnv+"=leave", lateEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := pipe(t, cmd)
	start(t, cmd)
	pid := number(t, out)
	defer unix.Kill(pid, unix.SIGKILL)
	guard := proctest.Helper(t, cmd.Process.Pid, "killer")
	fmt.Fprintln(in)
	expect(t, out, "late")
	eventually(t, "the guard's end", func() bool { return !alive(guard) })
	signal(t, cmd, unix.SIGKILL)
	cmd.Wait()
	if !alive(pid) {
		t.Error("what was left alone was ended")
	}
}

// A single signal from timeout(1), which sends two, does not count as the second one.
func TestTimeoutSendsOneSignal(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("timeout")
	if err != nil {
		t.Skip("there is no timeout")
	}
	cmd := exec.CommandContext(t.Context(), path, "1", os.Args[0], wrapArg, "1m", "sh", "-c",
		`trap 'sleep 2; echo graceful; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	out := pipe(t, cmd)
	start(t, cmd)
	expect(t, out, "ready")
	expect(t, out, "graceful") // A second signal would have given it a second.
	cmd.Wait()
}

func TestTermReachesTheTree(t *testing.T) {
	t.Parallel()
	cmd, out := started(t, "1m", "sh", "-c", `setsid sh -c 'trap "echo heard; exit 0" TERM; echo ready; while :; do sleep 0.01; done' & wait`)
	expect(t, out, "ready")
	signal(t, cmd, unix.SIGTERM)
	expect(t, out, "heard")
	if got := code(cmd.Wait()); got != 143 {
		t.Errorf("exit code %d, want 143", got)
	}
}

func TestUnusualSignalsAreForwarded(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{
		"VTALRM": unix.SIGVTALRM, "IO": unix.SIGIO, "PWR": unix.SIGPWR, "ALRM": unix.SIGALRM,
		"XCPU": unix.SIGXCPU, "35": 35, "64": 64,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, out := started(t, "1m", "bash", "-c", `trap "exit 5" `+name+`; echo ready; while :; do sleep 0.01; done`)
			expect(t, out, "ready")
			ended := make(chan int, 1)
			go func() { ended <- code(cmd.Wait()) }()
			for {
				_ = cmd.Process.Signal(sig) // It may have ended. In the first moments it is not heard.
				select {
				case got := <-ended:
					if got != 5 {
						t.Errorf("exit code %d, want 5", got)
					}
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
}

// What a script has its children ignore, a command ignores as if it had been started directly.
func TestIgnoredSignalsPassOn(t *testing.T) {
	const show = `grep SigIgn /proc/self/status`
	for name, script := range map[string]string{
		"nothing":    `"$@"; true`,
		"term":       `trap "" TERM; "$@"; true`,
		"hup, quit":  `trap "" HUP QUIT; "$@"; true`,
		"several":    `trap "" INT TERM USR1 PIPE; "$@"; true`,
		"background": `"$@" & wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ignored := func(args ...string) string {
				cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
				b, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			want, got := ignored("sh", "-c", show), ignored(os.Args[0], wrapArg, "1m", "sh", "-c", show)
			if got != want {
				t.Errorf("the command ignores\n%swant\n%s", got, want)
			}
		})
	}
}

func TestInheritedDescriptors(t *testing.T) {
	t.Parallel()
	cmd := wrapper(t, "1m", "sh", "-c", "echo text >&4; ls /proc/self/fd | tr '\\n' ' '")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{nil, w}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	// Its end shows that the guard has not got it.
	if text, err := io.ReadAll(r); string(text) != "text\n" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if got := string(out); got != "0 1 2 3 4 " { // 3 is of ls itself, or inherited by the test.
		t.Logf("the command had the descriptors %s", got)
	}
}

// The reader of an inherited pipe does not wait for the guard.
func TestGuardInheritsNothing(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := wrapper(t, "1m", "sh", "-c", "exec 3>&- 4>&-; echo ready; read x")
	cmd.ExtraFiles = []*os.File{w}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := pipe(t, cmd)
	start(t, cmd)
	w.Close()
	expect(t, out, "ready")
	for fd := range 64 {
		guard, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", proctest.Helper(t, cmd.Process.Pid, "killer"), fd))
		if own, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", r.Fd())); err == nil && guard == own {
			t.Errorf("the guard has the pipe, as %d", fd)
		}
	}
	in.Close()
	cmd.Wait()
}

func TestScriptWithoutAnInterpreter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "script")
	write(t, path, 0o755, "echo script $1; exit 4\n")
	cmd := wrapper(t, "1m", path, "argument")
	out, err := cmd.Output()
	if string(out) != "script argument\n" || code(err) != 4 {
		t.Errorf("printed %q, exit code %d, want 4", out, code(err))
	}
}

// As the first process of a container the wrapper takes note of the end of everybody's orphans, and
// does not end those that are not its own.
func TestFirstProcess(t *testing.T) {
	t.Parallel()
	unshare := asRoot(t, "unshare")
	cmd := exec.CommandContext(t.Context(), unshare, "--pid", "--fork", "--mount-proc", "--kill-child", os.Args[0], wrapArg, "1m",
		"sh", "-c", `(setsid sleep 0.1 &) ; echo first $PPID; sleep 0.5; echo zombies $(grep -l "^State:.Z" /proc/[0-9]*/status | wc -l);
		(setsid sleep 1000 &)`)
	cmd.Env = append(os.Environ(), leftoversEnv+"=wait:100ms")
	out, err := cmd.CombinedOutput()
	if got := code(err); got != 0 || !strings.Contains(string(out), "first 1\n") || !strings.Contains(string(out), "zombies 0\n") {
		t.Errorf("exit code %d, printed\n%s", got, out)
	}
}

// Processes of another user cannot be ended. That is said, and by the exit code.
func TestProcessesOfAnotherUser(t *testing.T) {
	asRoot(t, "sh")
	dir, err := os.MkdirTemp("", "dlm-test-") //nolint:usetesting // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	plain, setuid := filepath.Join(dir, "plain"), filepath.Join(dir, "asroot")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(plain, binary, 0o755), os.WriteFile(setuid, binary, 0o755),
		os.Chmod(setuid, 0o755|os.ModeSetuid)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  string
		act  bool
		code int
		says string
	}{
		"lost":          {decidedEnv + "=1s", false, 71, "left:"},
		"kill":          {leftoversEnv + "=kill", false, 71, "left:"},
		"signal passed": {decidedEnv + "=2s", true, 71, "SIGTERM could not be passed on to process"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := `"$0" root sh -c 'echo $$; exec sleep 1000'`
			if name == "kill" {
				script += ` & sleep 0.5`
			}
			cmd := exec.CommandContext(t.Context(), plain, wrapArg, "1m", "sh", "-c", script, setuid)
			cmd.Env = append(os.Environ(), test.env)
			cmd.Dir = "/"
			nobody := uint32(65534)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			said := stderr(t, cmd)
			out := pipe(t, cmd)
			start(t, cmd)
			pid := number(t, out)
			defer unix.Kill(pid, unix.SIGKILL)
			if test.act {
				signal(t, cmd, unix.SIGTERM)
			}
			if got := code(cmd.Wait()); got != test.code || !strings.Contains(said(), test.says) {
				t.Errorf("exit code %d, want %d and %q\n%s", got, test.code, test.says, said())
			}
			if !alive(pid) {
				t.Error("the process was ended after all: this test is of no use")
			}
		})
	}
}

// asRoot skips the test if it is not run by root, or without a program, and returns that.
func asRoot(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil || os.Getuid() != 0 {
		t.Skipf("needs root, and %s", program)
	}
	return path
}

// stderr has a command write its messages to a file, which nobody waits for as for a pipe, and
// returns what is in it.
func stderr(t *testing.T, cmd *exec.Cmd) func() string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cmd.Stderr = f
	return func() string {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// A guard that somebody has stopped is not waited for, and killed in the end.
func TestStoppedGuard(t *testing.T) {
	t.Parallel()
	cmd := wrapper(t, "1m", "sh", "-c", "echo ready; read x; exit 3")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := stderr(t, cmd)
	out := pipe(t, cmd)
	start(t, cmd)
	expect(t, out, "ready")
	guard := proctest.Helper(t, cmd.Process.Pid, "killer")
	if err := unix.Kill(guard, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if got := code(cmd.Wait()); got != 3 || said() != "" {
		t.Errorf("exit code %d, want the command's own, 3, and no word\n%s", got, said())
	}
	eventually(t, "the guard's end", func() bool { return !alive(guard) })
}
