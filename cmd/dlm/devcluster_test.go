package main_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// devCluster is a running `dlm dev-cluster`, with ports that nobody else has.
type devCluster struct {
	*background
	t         *testing.T
	dir       string
	orders    io.WriteCloser
	endpoints string
	seen      int // how much of its output was looked at
}

func startDevCluster(t *testing.T, args ...string) *devCluster {
	t.Helper()
	c := &devCluster{t: t, dir: filepath.Join(t.TempDir(), "data")}
	cmd := dlm(t, append([]string{"dev-cluster", "--data-dir", c.dir, "--ports", ports(t)}, args...)...)
	var err error
	if c.orders, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.background = start(t, cmd)
	c.endpoints = c.comes(`DLM_ENDPOINTS=(\S+)`)
	return c
}

// ports are three ports that are free.
func ports(t *testing.T) string {
	t.Helper()
	var all []string
	for range 3 {
		_, port, _ := strings.Cut(storetest.FreeAddr(t), ":")
		all = append(all, port)
	}
	return strings.Join(all, ",")
}

// says gives it an order.
func (c *devCluster) order(keys string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.orders, keys); err != nil {
		c.t.Fatal(err)
	}
}

// comes waits for a line that was not looked at yet, and returns what its group matches.
func (c *devCluster) comes(pattern string) (found string) {
	c.t.Helper()
	line := regexp.MustCompile(pattern)
	eventually(c.t, pattern, func() bool {
		text := c.out.String()[c.seen:]
		at := line.FindStringSubmatchIndex(text)
		if at == nil {
			return false
		}
		found = text[at[2]:at[3]]
		c.seen += at[1]
		return true
	})
	return found
}

// locks runs a command under a lock of the cluster.
func (c *devCluster) locks(when string) {
	c.t.Helper()
	if out := must(c.t, command(c.t, c.endpoints, dlmPath, "lock", "l", "echo", when)); out != when+"\n" {
		c.t.Errorf("%s: %q", when, out)
	}
}

// left are the processes that have something to do with a directory of its data.
func (c *devCluster) left(dir string) (pids []int) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range all {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), filepath.Join(c.dir, dir)+"\x00") {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// ended checks that no process is left.
func (c *devCluster) ended(code int) {
	c.t.Helper()
	if got := c.wait(c.t); got != code {
		c.t.Errorf("exit code %d, want %d", got, code)
	}
	eventually(c.t, "no server", func() bool {
		return len(c.left(""))+len(c.left("s1"))+len(c.left("s2"))+len(c.left("s3")) == 0
	})
}

func TestDevCluster(t *testing.T) {
	t.Parallel()
	c := startDevCluster(t, "--", "--coursework-hold", "30s")
	leader := c.comes(`server (\d) leads`)
	c.locks("before")
	c.order("i")
	c.comes(`(server 3, on \S+, runs)`)

	c.order("l")
	if killed := c.comes(`server (\d) was killed`); killed != leader {
		t.Errorf("server %s was killed, and %s led", killed, leader)
	}
	c.locks("during")
	next := c.comes(`server (\d) leads`)
	if next == leader {
		t.Errorf("server %s leads, which was killed", next)
	}
	c.order("k") // whichever is chosen
	c.order(leader + " k r r")
	c.comes(`(does not run; r runs it again)`)
	c.comes(`server ` + leader + ` (was started)`)
	c.comes(`server ` + leader + ` (runs already)`)
	c.comes(`(?m)^` + leader + `\| (dlm is ready)`)
	c.order("1r 2r 3r")
	c.comes(`server 3 (runs already|was started)`)
	c.locks("after")

	c.order(next + "s s foo i")
	c.comes(`server ` + next + ` (is stopped)`)
	c.comes(`server ` + next + ` (is stopped already)`)
	c.comes(`no key "(foo)"`)
	c.locks("while one is stopped")
	c.order(next + "c " + next)
	c.comes(`server ` + next + ` (runs)`)
	c.comes(`server ` + next + ` is chosen; it (runs)`)

	// One that ends by itself is told of.
	c.order("1k 1r")
	c.comes(`server 1 (was started)`)
	c.comes(`(?m)^1\| (dlm is ready)`)
	for _, pid := range c.left("s1") {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		c.comes(`server 1 has ended by itself: (exit status 0)`)
	}
	c.order("q")
	c.ended(0)

	// The data was kept, and the same servers go on with it.
	again := dlm(t, "dev-cluster", "--data-dir", c.dir, "--ports", ports(t))
	c.background, c.seen = start(t, again), 0
	c.endpoints = c.comes(`DLM_ENDPOINTS=(\S+)`)
	c.comes(`server (\d) leads`)
	c.locks("again")
	c.signal(t, syscall.SIGTERM)
	c.ended(0)
}

// Servers do not outlive it, not even if it has no time to end them.
func TestDevClusterKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	c := startDevCluster(t)
	c.order("3s")
	c.comes(`server 3 (is stopped)`)
	for _, dir := range []string{"s1", "s2", "s3"} {
		if got := c.left(dir); len(got) != 1 {
			t.Errorf("server %s has the processes %d", dir, got)
		}
	}
	c.signal(t, syscall.SIGKILL)
	c.ended(128 + int(syscall.SIGKILL))
}

func TestDevClusterMistakes(t *testing.T) {
	t.Parallel()
	_, taken, _ := strings.Cut(endpoint, ":")
	torn := t.TempDir()
	if err := os.WriteFile(filepath.Join(torn, "peers"), []byte("1 two 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mistake := range []struct {
		args  []string
		words string
		code  int
	}{
		{[]string{"--ports", "1,2"}, "2 are given, want 3", 64},
		{[]string{"--ports", "0,70000,3"}, "0 is no port", 64},
		{[]string{"--ports", "50,x,3"}, "invalid argument", 64},
		{[]string{"--ports", taken + ",1,1"}, taken + " cannot be listened on", 64},
		{[]string{"--coursework-hold", "3s"}, "unknown flag", 64},
		{[]string{"server"}, `unexpected argument "server"`, 64},
		{[]string{"--data-dir", torn}, "should have three ports", 1},
		{[]string{"--data-dir", "/dev/null/x"}, "not a directory", 1},
	} {
		r := run(t, dlm(t, append([]string{"dev-cluster"}, mistake.args...)...))
		if r.code != mistake.code || !strings.Contains(r.err, mistake.words) {
			t.Errorf("%q: exit code %d, %q; want %d, %q", mistake.args, r.code, r.err, mistake.code, mistake.words)
		}
	}
}
