package process_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/proctest"
)

// The guard does what it was told to when nothing of the group runs any more, and only if the
// wrapper died.
func TestGuardActsAfterTheGroupsEnd(t *testing.T) {
	for name, killed := range map[string]bool{"killed": true, "done": false} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ended")
			cmd := wrapper(t, "1m", "sh", "-c", `exec 9<&0; sh -c 'trap "" TERM; echo $$; read x <&9' & wait`)
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
	guard := proctest.Helper(t, cmd.Process.Pid, "killer")
	if err := unix.Kill(guard, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	signal(t, cmd, unix.SIGKILL)
	cmd.Wait()
	eventually(t, "the command's end", func() bool { return !alive(child) })
}
