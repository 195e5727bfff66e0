package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A hundred shell processes increment a counter in a plain file, each under the lock.
func TestHundredShellsCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	counter := filepath.Join(dir, "c")
	if err := os.WriteFile(counter, []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var shells sync.WaitGroup
	for range 100 {
		cmd := shell(t, `exec dlm lock -q --connect-timeout 30s counter -- sh -c 'n=$(cat c); echo $((n+1)) >c'`)
		cmd.Dir = dir
		shells.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	shells.Wait()
	if got, err := os.ReadFile(counter); err != nil || string(got) != "100\n" {
		t.Errorf("the counter is at %q, %v, want 100", got, err)
	}
}

// A holder is stopped past its TTL, with its command. Another appends meanwhile; the first one's
// append is refused.
func TestStoppedHolderIsRefused(t *testing.T) {
	t.Parallel()
	go1 := filepath.Join(t.TempDir(), "go")
	first := start(t, dlm(t, "lock", "--ttl", "5s", "stopped", "sh", "-c", fmt.Sprintf(`
		trap "" TERM
		dlm append stopped file "first, before" && echo $$
		until [ -e %s ]; do sleep 0.05; done
		dlm append stopped file "first, after"; echo code $?
		while :; do sleep 0.05; done`, go1)))
	eventually(t, "the process id", func() bool { return strings.Contains(first.out.String(), "\n") })
	child, err := strconv.Atoi(strings.TrimSpace(first.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{first.cmd.Process.Pid, -child} {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	must(t, dlm(t, "append", "-w", "20s", "stopped", "file", "second"))

	// The command wakes before its wrapper does, as a holder without a wrapper would.
	if err := os.WriteFile(go1, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-child, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.says(t, "code 70")
	first.signal(t, syscall.SIGCONT)
	if code := first.wait(t); code != 70 {
		t.Errorf("first: exit code %d, want 70\n%s", code, first.err)
	}
	if alive(child) {
		t.Error("the first one's command still runs")
	}
	if got := must(t, dlm(t, "cat", "stopped", "file")); got != "second\n" {
		t.Errorf("the file has %q, want the second one's only", got)
	}
}

// The server is killed in the middle of sections and restarted: each is there whole or not at all,
// and those that were acknowledged are there.
func TestServerKilledInTheMiddleOfSections(t *testing.T) {
	t.Parallel()
	const processes, sections, records = 5, 4, 5
	s := ownServer(t)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	begun := make(chan struct{}, processes*sections)
	var running sync.WaitGroup
	for p := range processes {
		running.Go(func() {
			for n := range sections {
				id := fmt.Sprintf("%d-%d", p, n)
				script := fmt.Sprintf(`for i in $(seq %d); do dlm append killed file "%s $i" || exit 1; done`, records, id)
				begun <- struct{}{}
				cmd := command(t, s.addr, dlmPath, "lock", "-q", "--ttl", "10s", "--connect-timeout", "30s", "killed", "sh", "-c", script)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Logf("section %s: %v\n%s", id, err, out)
					continue
				}
				mu.Lock()
				acknowledged[id] = true
				mu.Unlock()
			}
		})
	}
	for range processes + 3 {
		<-begun
	}
	eventually(t, "records in the middle of a section", func() bool {
		r := run(t, command(t, s.addr, dlmPath, "status", "killed"))
		return strings.Contains(r.out, "2 records")
	})
	if err := s.stop(syscall.SIGKILL); err == nil {
		t.Fatal("the server survived SIGKILL")
	}
	again, err := startServer(s.addr, s.dir)
	if err != nil {
		t.Fatal(err)
	}
	running.Wait()

	lines := strings.Split(strings.TrimSpace(must(t, command(t, again.addr, dlmPath, "cat", "killed", "file"))), "\n")
	seen := map[string]bool{}
	for len(lines) >= records {
		id, _, _ := strings.Cut(lines[0], " ")
		if seen[id] {
			t.Fatalf("section %s is there twice", id)
		}
		seen[id] = true
		for i := range records {
			if want := fmt.Sprintf("%s %d", id, i+1); lines[i] != want {
				t.Fatalf("section %s is torn: line %q, want %q", id, lines[i], want)
			}
		}
		lines = lines[records:]
	}
	if len(lines) > 0 {
		t.Fatalf("a torn section at the end: %q", lines)
	}
	for id := range acknowledged {
		if !seen[id] {
			t.Errorf("section %s was acknowledged and is lost", id)
		}
	}
	if len(acknowledged) < processes*sections {
		t.Errorf("%d of %d sections were acknowledged: a short outage should be ridden out", len(acknowledged), processes*sections)
	}
	if err := again.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, again.log)
	}
}

// The README's tour, as it stands there.
func TestTour(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "<!-- tour:")
	_, after, _ = strings.Cut(after, "```sh\n")
	script, _, found := strings.Cut(after, "\n```")
	if !found {
		t.Fatal("there is no tour in the README")
	}
	const build = "go build -o dlm ./cmd/dlm\n"
	if !strings.HasPrefix(script, build) {
		t.Fatalf("the tour does not begin with %q", build)
	}
	s := ownServer(t)
	cmd := command(t, s.addr, "sh", "-c", strings.TrimPrefix(script, build))
	cmd.Dir = t.TempDir()
	if err := os.Symlink(dlmPath, filepath.Join(cmd.Dir, "dlm")); err != nil {
		t.Fatal(err)
	}
	r := run(t, cmd)
	if !strings.HasSuffix(r.out, "opened\nB\n") || !strings.Contains(r.out, "A was refused: exit code 70") {
		t.Errorf("exit code %d, printed:\n%s\n%s", r.code, r.out, r.err)
	}
}
