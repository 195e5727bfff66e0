package bench_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience bounds everything that is waited for: two builds of dlm, on a busy machine.
const patience = 5 * time.Minute

// against is a run of the script.
type against struct {
	*testing.T
	cmd      *exec.Cmd
	dir      string // in which it keeps everything
	out, err bytes.Buffer
}

func newAgainst(t *testing.T, args ...string) *against {
	t.Helper()
	if slices.Contains(buildSettings(), debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector sees nothing of a script")
	}
	// So that go test knows what its result depends on.
	for _, file := range []string{"against.sh", "common.sh"} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--verify", "HEAD^{commit}").CombinedOutput(); err != nil {
		t.Skipf("there is no git history here: %v %s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	a := &against{T: t, cmd: exec.CommandContext(ctx, "bash", append([]string{"./against.sh"}, args...)...), dir: t.TempDir()}
	a.cmd.Env = append(os.Environ(), "BENCH_DIR="+a.dir)
	a.cmd.Stdout, a.cmd.Stderr = &a.out, &a.err
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal's shell does
	a.cmd.WaitDelay = 30 * time.Second
	return a
}

func buildSettings() []debug.BuildSetting {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Settings
	}
	return nil
}

// ended returns the script's exit code, and checks that nothing of it is left: no file and, where
// that can be seen, no process.
func (a *against) ended() (code int) {
	a.Helper()
	var exit *exec.ExitError
	if err := a.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		a.Fatal(err)
	}
	if left, err := os.ReadDir(a.dir); len(left) > 0 || err != nil {
		a.Errorf("files are left: %v, %v", left, err)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		if line, err := os.ReadFile(p); err == nil && bytes.Contains(line, []byte(a.dir)) {
			a.Errorf("a process is left: %q", line)
		}
	}
	return a.cmd.ProcessState.ExitCode()
}

func (a *against) start() {
	a.Helper()
	if err := a.cmd.Start(); err != nil {
		a.Fatal(err)
	}
}

func TestAgainst(t *testing.T) {
	a := newAgainst(t, "HEAD", "--workload=own", "--clients", "2", "--pairs", "2", "--duration", "200ms",
		"--warmup", "0s", "--bar", "0.000001")
	a.start()
	code, verdict := a.ended(), " yes "
	if code == 1 { // a machine so busy that nothing was done in a slice of either pair
		verdict = " no "
	} else if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"dlm        the working tree, ", "other-dlm  HEAD, ", "\ndlm/other-dlm  own ", "REACHES 1e-06", verdict,
	} {
		if !strings.Contains(a.out.String(), want) {
			t.Errorf("no %q in\n%s%s", want, &a.out, &a.err)
		}
	}
}

// Without a commit the working tree is held against itself.
func TestAgainstSecure(t *testing.T) {
	a := newAgainst(t, "--secure", "--workload=own", "--clients", "2", "--pairs", "1", "--duration", "200ms", "--warmup", "0s")
	a.start()
	if code := a.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		", with TLS, client certificates and a policy\n", "other-dlm  the same without\n", "\ndlm/other-dlm  own ",
	} {
		if !strings.Contains(a.out.String(), want) {
			t.Errorf("no %q in\n%s%s", want, &a.out, &a.err)
		}
	}
}

func TestAgainstRefuses(t *testing.T) {
	for args, says := range map[string]string{
		"":                       "which commit",
		"no-such-commit":         `no commit "no-such-commit" here`,
		"HEAD HEAD":              "one commit",
		"--secure no-such-one":   `no commit "no-such-one" here`,
		"HEAD --pairs 0":         "--pairs 0",
		"HEAD --bar high":        "--bar high",
		"HEAD --workload":        "--workload needs a value",
		"HEAD --clients=1 --run": "no flag --run",
	} {
		t.Run(args, func(t *testing.T) {
			a := newAgainst(t, strings.Fields(args)...)
			a.start()
			if code := a.ended(); code != 64 {
				t.Errorf("exit code %d, want 64", code)
			}
			if !strings.Contains(a.err.String(), says) {
				t.Errorf("said %q, want %q in it", &a.err, says)
			}
		})
	}
}

// stub is a go command whose builds are programs that note that they run, and do not end by
// themselves.
const stub = `#!/bin/sh
while [ "$1" != -o ]; do shift; done
cat >"$2" <<END
#!/bin/sh
echo \$\$ >"$BENCH_DIR.runs"
while :; do sleep 0.1; done
END
chmod +x "$2"
`

func TestAgainstInterrupted(t *testing.T) {
	for name, test := range map[string]struct {
		to     func(pid int) int
		signal syscall.Signal
		code   int
		args   []string
	}{
		"by ctrl-C":        {func(pid int) int { return -pid }, syscall.SIGINT, 130, nil},
		"by its parent":    {func(pid int) int { return pid }, syscall.SIGTERM, 143, nil},
		"by its own limit": {nil, 0, 124, []string{"--limit", "0.5s"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgainst(t, append([]string{"HEAD"}, test.args...)...)
			command := filepath.Join(t.TempDir(), "go")
			if err := os.WriteFile(command, []byte(stub), 0o700); err != nil {
				t.Fatal(err)
			}
			a.cmd.Env = append(a.cmd.Env, "GO="+command)
			a.start()
			if test.to != nil {
				a.runs()
				if err := syscall.Kill(test.to(a.cmd.Process.Pid), test.signal); err != nil {
					t.Fatal(err)
				}
			}
			if code := a.ended(); code != test.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, test.code, &a.out, &a.err)
			}
		})
	}
}

// runs waits until what was built runs.
func (a *against) runs() {
	a.Helper()
	await.Eventually(a, patience, "it to begin to measure", func() bool {
		text, err := os.ReadFile(a.dir + ".runs")
		return err == nil && len(text) > 0
	})
}
