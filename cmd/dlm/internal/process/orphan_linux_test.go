package process_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The guard does what it was told to when nothing of the group runs any more, and only if the
// wrapper died.
func TestGuardActsAfterTheGroupsEnd(t *testing.T) {
	for name, killed := range map[string]bool{"killed": true, "done": false} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ended")
			cmd := wrapper(t, "1m", "sh", "-c", `sh -c 'trap "" TERM; echo $$; read x' & wait`)
			cmd.Env = append(os.Environ(), afterwardsEnv+"="+path)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out := pipe(t, cmd)
			start(t, cmd)
			grandchild := number(t, out)
			there := func() bool {
				_, err := os.Stat(path)
				return err == nil
			}
			if !killed {
				in.Close()
				cmd.Wait()
				if there() {
					t.Error("the guard of a wrapper that was done acted")
				}
				return
			}
			signal(t, cmd, unix.SIGKILL)
			cmd.Wait()
			eventually(t, "the guard to act", there)
			if alive(grandchild) {
				t.Error("a process of the group runs on after that")
			}
		})
	}
}

// With the guard killed as well, the kernel ends the command.
func TestCommandDiesWithWrapperAndGuard(t *testing.T) {
	cmd, out := started(t, "1m", "sh", "-c", `trap "" TERM HUP; echo $$; while :; do sleep 0.01; done`)
	child := number(t, out)
	guard := helperOf(t, cmd.Process.Pid, "guard")
	if err := unix.Kill(guard, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	signal(t, cmd, unix.SIGKILL)
	cmd.Wait()
	eventually(t, "the command's end", func() bool { return !alive(child) })
}

// helperOf finds the helper of a wrapper that plays a part.
func helperOf(t *testing.T, pid int, role string) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		children, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range strings.Fields(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if pid, err := strconv.Atoi(child); err == nil && strings.HasSuffix(string(line), "\x00"+role+"\x00") {
				return pid
			}
		}
	}
	t.Fatalf("process %d has no %s", pid, role)
	return 0
}
