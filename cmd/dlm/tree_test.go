//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The details of ending a tree are tested in internal/process; these are the programs that people
// wrap.

// program returns the path of a program that a test needs.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("there is no %s here", name)
	}
	return path
}

// Output is never cut without a word: what a command leaves running finishes it.
func TestOutputIsNotCut(t *testing.T) {
	t.Parallel()
	bash, xz := program(t, "bash"), program(t, "xz")
	file := filepath.Join(t.TempDir(), "f.xz")
	must(t, dlm(t, "lock", "tree/xz", bash, "-c", `exec > >(`+xz+` >"$0"); seq 1 400000`, file))
	out, err := exec.CommandContext(t.Context(), xz, "-dc", file).Output()
	if err != nil || !strings.HasSuffix(string(out), "\n400000\n") {
		t.Errorf("the compressed output is cut: %v, it ends with %q", err, string(out[max(0, len(out)-20):]))
	}
}

// timeout(1) makes a group of its own; it and its child are ended before the lock passes on.
func TestTimeoutEndsWithItsLock(t *testing.T) {
	t.Parallel()
	path := program(t, "timeout")
	for name, end := range map[string]func(t *testing.T, b *background, lock string){
		"evicted": func(t *testing.T, b *background, lock string) {
			must(t, dlm(t, "evict", lock, "--reason", "test"))
			b.wait(t)
		},
		"signalled": func(t *testing.T, b *background, _ string) {
			b.signal(t, syscall.SIGTERM)
			b.wait(t)
		},
		"killed": func(t *testing.T, b *background, _ string) { b.signal(t, syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lock := "tree/timeout/" + name
			b := start(t, dlm(t, "lock", "--ttl", "1m", lock, "sh", "-c", path+` 1000 sh -c 'echo $$; while sleep 0.05; do :; done'; true`))
			pid := printed(t, b)
			end(t, b, lock)
			// Whoever has the lock next finds it ended.
			out := must(t, dlm(t, "lock", "-w", "20s", lock, "sh", "-c", fmt.Sprintf("kill -0 %d 2>&1; true", pid)))
			if alive(pid) {
				t.Errorf("process %d works on beside the next holder\n%s", pid, out)
			}
		})
	}
}

// make passes its job server on by inherited descriptors.
func TestMakeKeepsItsJobServer(t *testing.T) {
	t.Parallel()
	path := program(t, "make")
	dir := t.TempDir()
	text := "all:\n\t+@\"$(DLM)\" lock tree/make $(MAKE) -f inner\n"
	inner := "all: a b\na b:\n\t@echo begun-$@; for i in $$(seq 1 1000); do test -e a.run -a -e b.run && break; : > $@.run; sleep 0.01; done; echo ended-$@\n"
	writeFile(t, filepath.Join(dir, "outer"), text)
	writeFile(t, filepath.Join(dir, "inner"), inner)
	cmd := command(t, endpoint, path, "-j2", "-f", "outer", "DLM="+dlmPath)
	cmd.Dir = dir
	out := must(t, cmd)
	if a, b := strings.Index(out, "begun-b"), strings.Index(out, "ended-a"); a < 0 || b < 0 || a > b {
		t.Errorf("the two recipes did not run side by side:\n%s", out)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The environment of a hold outlasts that, as in a tmux server that was started under a lock. Then
// it counts no more: the lock can be had, and appended to.
func TestEnvironmentOutlastsItsHold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := start(t, dlm(t, "lock", "--leftovers", "leave", "tree/outlasted", "sh", "-c",
		`dlm lock -q -n tree/outlasted true; echo inside-$?; setsid sh -c '
			while ! test -e "$0"; do sleep 0.01; done
			dlm append tree/outlasted file late 2>&1; echo append-$?
			dlm lock -n tree/outlasted true 2>&1; echo lock-$?' "$0/go" >"$0/out" 2>&1 & `, dir))
	if code := b.wait(t); code != 0 || !strings.Contains(b.out.String(), "inside-64") {
		t.Fatalf("exit code %d, printed %q, want that the lock is held inside\n%s", code, b.out, b.err)
	}
	writeFile(t, filepath.Join(dir, "go"), "")
	eventually(t, "what runs on to be done", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "out"))
		return strings.Contains(string(text), "lock-")
	})
	text, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil || string(text) != "append-0\nlock-0\n" {
		t.Errorf("printed %q, %v", text, err)
	}
	if got := must(t, dlm(t, "cat", "tree/outlasted", "file")); got != "late\n" {
		t.Errorf("published %q", got)
	}
}

// A hold is one of its cluster: another one has a lock of the same name, and does not see the
// credential.
func TestAnotherClusterHasItsOwnLocks(t *testing.T) {
	t.Parallel()
	other := ownServer(t, "--log-level", "debug")
	must(t, dlm(t, "lock", "tree/cluster", "sh", "-c",
		`dlm append tree/cluster file here && dlm append --endpoints "$0" tree/cluster file there && dlm lock -n --endpoints "$0" tree/cluster true`,
		other.addr))
	if got := must(t, dlm(t, "cat", "tree/cluster", "file")); got != "here\n" {
		t.Errorf("the first cluster has %q", got)
	}
	if got := must(t, command(t, other.addr, dlmPath, "cat", "tree/cluster", "file")); got != "there\n" {
		t.Errorf("the other cluster has %q", got)
	}
	if strings.Contains(other.log.String(), "LOCK_EXPIRED") {
		t.Errorf("the other cluster was asked about a hold of the first:\n%s", other.log)
	}
}

// A release that nobody answers ends with two signals, and says what is not known.
func TestReleaseIsHurried(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	h := holdAt(t, s.addr, "dlm append hurried file text", 0, "--ttl", "10m", "hurried")
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.in.Close()
	over := time.Now().Add(patience)
	code := make(chan int, 1)
	go func() { code <- h.wait(t) }()
	for {
		select {
		case got := <-code:
			if got != 70 || !strings.Contains(h.err.String(), "it is not known whether the section was published") {
				t.Errorf("exit code %d, want 70 and that the outcome is not known\n%s", got, h.err)
			}
			return
		case <-time.After(100 * time.Millisecond): // The first comes while the command still ends, perhaps.
			if time.Now().After(over) {
				t.Fatal("it does not end")
			}
			if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err) // it may have ended just now
			}
		}
	}
}

// A wait goes on when nobody reads the notice of it.
func TestWaitWithoutAReader(t *testing.T) {
	t.Parallel()
	b := holdAt(t, endpoint, "true", 0, "tree/unread")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := dlm(t, "lock", "tree/unread", "true")
	cmd.Stdout, cmd.Stderr = io.Discard, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	eventually(t, "the waiter's place", func() bool { return waiting(t, "tree/unread") == 1 })
	<-time.After(1500 * time.Millisecond) // The notice comes after a second, and nobody is told of it.
	b.in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the waiter: %v", err)
	}
}

// Reasons are others' words: what a terminal would act upon is shown as what it is.
func TestReasonsAreEscaped(t *testing.T) {
	t.Parallel()
	h := holdAt(t, endpoint, "true", 0, "tree/reason")
	must(t, dlm(t, "evict", "tree/reason", "--reason", "ab\u202ecd"))
	if code := h.wait(t); code != 70 || strings.Contains(h.err.String(), "\u202e") || !strings.Contains(h.err.String(), `ab\u202ecd`) {
		t.Errorf("exit code %d, said %q", code, h.err)
	}
	if got := must(t, dlm(t, "status", "tree/reason")); strings.Contains(got, "\u202e") || !strings.Contains(got, `ab\u202ecd`) {
		t.Errorf("status says %q", got)
	}
}
