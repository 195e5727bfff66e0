package main_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want int
	}{
		{"success", []string{"lock", "exit/ok", "true"}, 0},
		{"the command's own", []string{"lock", "exit/own", "sh", "-c", "exit 3"}, 3},
		{"died of a signal", []string{"lock", "exit/signal", "sh", "-c", "kill -KILL $$"}, 137},
		{"not runnable", []string{"lock", "exit/126", plain}, 126},
		{"not found", []string{"lock", "exit/127", "no-such-command"}, 127},
		{"no arguments", []string{"lock"}, 64},
		{"no command", []string{"lock", "exit/none"}, 64},
		{"no command after the dashes", []string{"lock", "exit/none", "--"}, 64},
		{"unknown flag", []string{"lock", "--no-such-flag", "exit/flag", "true"}, 64},
		{"unknown command", []string{"loc", "exit/command", "true"}, 64},
		{"unknown subcommand", []string{"config", "prin"}, 64},
		{"too many arguments", []string{"cat", "a", "b", "c"}, 64},
		{"bad duration", []string{"lock", "-w", "5", "exit/duration", "true"}, 64},
		{"bad name", []string{"lock", "exit//name", "true"}, 64},
		{"ttl below zero", []string{"lock", "--ttl", "-5s", "exit/ttl", "true"}, 64},
		{"endpoint that is not UTF-8", []string{"lock", "--endpoints", "h\xff:1", "exit/endpoint", "true"}, 64},
		{"endless kill-after", []string{"lock", "--kill-after", "2m", "exit/after", "true"}, 64},
		{"unknown leftovers", []string{"lock", "--leftovers", "eat", "exit/leftovers", "true"}, 64},
		{"bad ttl", []string{"lock", "--ttl", "1ms", "exit/ttl", "true"}, 64},
		{"bad label", []string{"lock", "--label", "a\nb", "exit/label", "true"}, 64},
		{"contradicting flags", []string{"lock", "-n", "-w", "1s", "exit/both", "true"}, 64},
		{"no such file", []string{"cat", "exit/cat", "none"}, 1},
		{"nobody to evict", []string{"evict", "exit/evict", "--reason", "test"}, 1},
		{"evict without a reason", []string{"evict", "exit/evict"}, 64},
		{"unreachable", []string{"lock", "--endpoints", "127.0.0.1:1", "--connect-timeout", "300ms", "exit/69", "true"}, 69},
		{"unhealthy", []string{"health", "--endpoints", "127.0.0.1:1", "--connect-timeout", "300ms"}, 69},
		{"healthy", []string{"health"}, 0},
		{"bad configuration", []string{"server", "--listen", "nowhere"}, 78},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, dlm(t, test.args...))
			if r.code != test.want {
				t.Errorf("%q: exit code %d, want %d\n%s", test.args, r.code, test.want, r.err)
			}
			if test.want == 64 && !strings.HasPrefix(r.err, "dlm: ") {
				t.Errorf("no explanation: %q", r.err)
			}
		})
	}
}

func TestFlagsEndAtLock(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"lock", "flags/a", "printf", "%s", "-n"},
		{"lock", "flags/b", "--", "printf", "%s", "-n"},
		{"lock", "--", "flags/c", "printf", "%s", "-n"},
		{"lock", "-w", "5s", "flags/d", "sh", "-c", `printf %s "$0"`, "-n"},
		{"lock", "flags/e", "--", "--", "printf", "%s", "-n"},
	} {
		want := "-n"
		if args[1] == "flags/e" {
			want = "" // Only the first dashes are ours.
		}
		if r := run(t, dlm(t, args...)); r.out != want {
			t.Errorf("%q printed %q, want %q\n%s", args, r.out, want, r.err)
		}
	}
}

func TestUnreachableWithinTheConnectTimeout(t *testing.T) {
	t.Parallel()
	before := time.Now()
	r := run(t, command(t, "127.0.0.1:1", dlmPath, "lock", "--connect-timeout", "1s", "unreachable", "true"))
	if took := time.Since(before); r.code != 69 || took > 6*time.Second {
		t.Errorf("exit code %d after %v, want 69 after a second\n%s", r.code, took, r.err)
	}
}

// hold holds a lock until the returned function is called.
func hold(t *testing.T, lock string, flags ...string) (holder *background, release func()) {
	t.Helper()
	args := append(append([]string{"lock"}, flags...), lock, "sh", "-c", "echo held; read x; exit 0")
	cmd := dlm(t, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, cmd)
	b.says(t, "held")
	return b, func() { in.Close() }
}

func TestNotAcquired(t *testing.T) {
	t.Parallel()
	holder, release := hold(t, "busy", "--label", "the night job")
	for _, test := range []struct {
		flags []string
		want  int
	}{
		{[]string{"-n"}, 75},
		{[]string{"--try"}, 75},
		{[]string{"-w", "0s"}, 75},
		{[]string{"-w", "200ms"}, 75},
		{[]string{"--wait=200ms"}, 75},
		{[]string{"-n", "-E", "9"}, 9},
		{[]string{"-n", "--conflict-exit-code", "0"}, 0},
	} {
		args := append(append([]string{"lock"}, test.flags...), "busy", "echo", "ran")
		r := run(t, dlm(t, args...))
		if r.code != test.want || r.out != "" {
			t.Errorf("%q: exit code %d, want %d; printed %q", args, r.code, test.want, r.out)
		}
		if !strings.Contains(r.err, `held by "the night job"`) {
			t.Errorf("%q does not tell who holds the lock: %q", args, r.err)
		}
	}
	if r := run(t, dlm(t, "lock", "-q", "-n", "busy", "true")); r.code != 75 || r.err != "" {
		t.Errorf("quiet: exit code %d, said %q", r.code, r.err)
	}
	if r := run(t, dlm(t, "append", "-n", "-E", "8", "busy", "file", "text")); r.code != 8 {
		t.Errorf("append -n -E 8: exit code %d", r.code)
	}
	if n := waiting(t, "busy"); n != 0 {
		t.Errorf("%d are left in the queue", n)
	}
	release()
	if code := holder.wait(t); code != 0 {
		t.Errorf("holder: exit code %d", code)
	}
}

// waiting is how many wait for a lock.
func waiting(t *testing.T, lock string) int {
	t.Helper()
	return queueOf(t, endpoint, lock)
}

// queueOf is how many wait for a lock of a server.
func queueOf(t *testing.T, endpoint, lock string) int {
	t.Helper()
	var state struct{ QueueLength int }
	decode(t, must(t, command(t, endpoint, dlmPath, "status", "--json", lock)), &state)
	return state.QueueLength
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	holder, release := hold(t, "wait", "--label", "first")
	waiter := start(t, dlm(t, "lock", "wait", "echo", "granted"))
	waiter.says(t, `dlm: waiting for lock "wait": held by "first"`)

	gone := start(t, dlm(t, "lock", "wait", "echo", "granted"))
	gone.says(t, "waiting for lock")
	gone.signal(t, syscall.SIGTERM)
	if code := gone.wait(t); code != 143 || strings.Contains(gone.out.String(), "granted") {
		t.Errorf("SIGTERM while waiting: exit code %d, want 143; printed %q", code, gone.out)
	}
	if n := waiting(t, "wait"); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	release()
	if code := holder.wait(t); code != 0 {
		t.Errorf("holder: exit code %d", code)
	}
	if code := waiter.wait(t); code != 0 || waiter.out.String() != "granted\n" {
		t.Errorf("waiter: exit code %d, printed %q", code, waiter.out)
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, dlm(t, "lock", "signals/"+name, "sh", "-c",
				`trap "echo heard; exit 5" `+name+`; echo ready; while :; do sleep 0.01; done`))
			b.says(t, "ready")
			b.signal(t, sig)
			if code := b.wait(t); code != 5 || !strings.Contains(b.out.String(), "heard") {
				t.Errorf("exit code %d, printed %q, want 5 and heard", code, b.out)
			}
		})
	}
	t.Run("unhandled", func(t *testing.T) {
		t.Parallel()
		b := start(t, dlm(t, "lock", "signals/unhandled", "sh", "-c", "echo ready; exec sleep 60"))
		b.says(t, "ready")
		b.signal(t, syscall.SIGTERM)
		if code := b.wait(t); code != 143 {
			t.Errorf("exit code %d, want 143", code)
		}
	})
}

func TestStandardStreamsPassThrough(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "lock", "streams", "sh", "-c", "tr a-z A-Z; echo problem >&2")
	cmd.Stdin = strings.NewReader("hello\n")
	r := run(t, cmd)
	if r.code != 0 || r.out != "HELLO\n" || r.err != "problem\n" {
		t.Errorf("exit code %d, out %q, err %q", r.code, r.out, r.err)
	}
}

func TestPublishedOnlyOnSuccess(t *testing.T) {
	t.Parallel()
	if r := run(t, dlm(t, "lock", "publish", "sh", "-c", "dlm append publish file no; exit 4")); r.code != 4 {
		t.Errorf("exit code %d, want 4\n%s", r.code, r.err)
	}
	if r := run(t, dlm(t, "lock", "publish", "sh", "-c", "dlm append publish file never; kill -TERM $$")); r.code != 143 {
		t.Errorf("exit code %d, want 143\n%s", r.code, r.err)
	}
	script := "dlm append publish file one; dlm cat publish file && exit 9; echo two | dlm append publish file"
	must(t, dlm(t, "lock", "publish", "sh", "-c", script))
	if got := must(t, dlm(t, "cat", "publish", "file")); got != "one\ntwo\n" {
		t.Errorf("published %q", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	out := must(t, dlm(t, "lock", "env/outer", "dlm", "lock", "env/inner", "env"))
	env := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, twice := env[name]; twice && strings.HasPrefix(name, "DLM_") {
			t.Errorf("%s is there twice", name)
		}
		env[name] = value
	}
	token, err := strconv.ParseInt(env["DLM_TOKEN"], 10, 64)
	if env["DLM_LOCK"] != "env/inner" || err != nil || token <= 0 || env["DLM_SESSION"] == "" ||
		env["DLM_ENDPOINTS"] != endpoint || env["DLM_HELD"] != "env/outer:env/inner" {
		t.Errorf("environment:\n%s", out)
	}
}

func TestNestedLocks(t *testing.T) {
	t.Parallel()
	r := run(t, dlm(t, "lock", "nest/a", "dlm", "lock", "nest/b", "dlm", "lock", "nest/a", "true"))
	if r.code != 64 || !strings.Contains(r.err, `"nest/a" is already held by an enclosing dlm lock`) {
		t.Errorf("nested lock of the same name: exit code %d, want 64\n%s", r.code, r.err)
	}
	r = run(t, dlm(t, "lock", "nest/a", "dlm", "lock", "nest/b", "dlm", "append", "nest/a", "file", "text"))
	if r.code != 64 || !strings.Contains(r.err, "not by the innermost") {
		t.Errorf("append to an outer lock: exit code %d, want 64\n%s", r.code, r.err)
	}
	must(t, dlm(t, "lock", "nest/a", "dlm", "append", "nest/c", "file", "text"))
	if got := must(t, dlm(t, "cat", "nest/c", "file")); got != "text\n" {
		t.Errorf("append to another lock: %q", got)
	}
}

func TestEvictedHolder(t *testing.T) {
	t.Parallel()
	b := start(t, dlm(t, "lock", "--ttl", "2s", "evicted", "sh", "-c",
		`trap "" TERM; sh -c 'trap "" TERM; echo pid $$; while :; do sleep 0.01; done' & while :; do sleep 0.01; done`))
	b.says(t, "pid")
	eventually(t, "the process id", func() bool { return strings.Contains(b.out.String(), "\n") })
	grandchild, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(b.out.String(), "pid ")))
	if err != nil {
		t.Fatal(err)
	}
	out := must(t, dlm(t, "evict", "evicted", "--reason", "the test says so"))
	if !strings.Contains(out, "evicted ") {
		t.Errorf("evict printed %q", out)
	}
	if code := b.wait(t); code != 70 || !strings.Contains(b.err.String(), "lock lost") {
		t.Errorf("exit code %d, want 70\n%s", code, b.err)
	}
	if alive(grandchild) {
		t.Error("a process of the group still runs")
	}
	if status := must(t, dlm(t, "status", "evicted")); !strings.Contains(status, "the test says so") {
		t.Errorf("status does not tell why:\n%s", status)
	}
}

// A command hears of an eviction at once, whatever the TTL, and is not waited for if it takes its
// time.
func TestEvictedHolderIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for name, trap := range map[string]string{
		"willing":   `echo "told" >&2; exit 0`,
		"unwilling": `echo "told" >&2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, dlm(t, "lock", "--ttl", "10m", "evicted/"+name, "sh", "-c",
				`trap '`+trap+`' TERM; echo held; while :; do sleep 0.01; done`))
			b.says(t, "held")
			must(t, dlm(t, "evict", "evicted/"+name, "--reason", "the test says so"))
			b.says(t, "told")
			if code := b.wait(t); code != 70 || !strings.Contains(b.err.String(), "evicted: the test says so") {
				t.Errorf("exit code %d, want 70 and the reason\n%s", code, b.err)
			}
		})
	}
}

func TestLostAppend(t *testing.T) {
	t.Parallel()
	b := start(t, dlm(t, "lock", "lost", "sh", "-c",
		`dlm append lost file one && env | grep ^DLM_ && echo held && exec sleep 60`))
	b.says(t, "held")
	must(t, dlm(t, "evict", "lost", "--reason", "test"))
	if code := b.wait(t); code != 70 {
		t.Errorf("exit code %d, want 70\n%s", code, b.err)
	}
	late := dlm(t, "append", "lost", "file", "two") // by what the command has left behind
	late.Env = append(late.Env, strings.Fields(b.out.String())...)
	r := run(t, late)
	if r.code != 70 || !strings.Contains(r.err, "evicted: test") {
		t.Errorf("the late append: exit code %d, want 70 and why\n%s", r.code, r.err)
	}
	if r := run(t, dlm(t, "cat", "lost", "file")); r.code != 1 {
		t.Errorf("something was published: %q", r.out)
	}
}

func TestKilledWrapperTakesItsGroupAlong(t *testing.T) {
	t.Parallel()
	b := start(t, dlm(t, "lock", "--ttl", "2s", "killed", "sh", "-c",
		`sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 0.01; done' & wait`))
	eventually(t, "the process id", func() bool { return strings.Contains(b.out.String(), "\n") })
	grandchild, err := strconv.Atoi(strings.TrimSpace(b.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	b.signal(t, syscall.SIGKILL)
	eventually(t, "the grandchild's end", func() bool { return !alive(grandchild) })
	must(t, dlm(t, "lock", "-w", "20s", "killed", "true"))
}

// alive reports whether a process runs; one that ended and was not reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
