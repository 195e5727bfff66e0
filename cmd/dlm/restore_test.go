package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// etcdTool builds a tool of etcd's own.
func etcdTool(t *testing.T, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile", "tools/etcdutl/go.mod", "-o", path, "go.etcd.io/etcd/"+name+"/v3")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("%s cannot be built here: %v\n%s", name, err, out)
	}
	return path
}

func operationsPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// operations runs the commands of docs/operations.md behind a mark, with what they name replaced.
func operations(t *testing.T, endpoints, mark string, replace ...string) string {
	t.Helper()
	_, after, found := strings.Cut(operationsPage(t), "<!-- "+mark+": run by the tests as it stands -->\n```sh\n")
	script, _, ends := strings.Cut(after, "```")
	if !found || !ends {
		t.Fatalf("docs/operations.md has no %s", mark)
	}
	return must(t, command(t, endpoints, "sh", "-e", "-c", strings.NewReplacer(replace...).Replace(script)))
}

// backup saves a snapshot of a server's, with the words of docs/operations.md.
func backup(t *testing.T, endpoints string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "dlm.db")
	operations(t, endpoints, "backup", "/backup/dlm.db", file)
	return file
}

// restore restores a snapshot into the data directory of a server that is configured by lines of
// YAML besides, with the words of docs/operations.md.
func restore(t *testing.T, file, dir, config string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dlm.yaml")
	if err := os.WriteFile(path, []byte("data-dir: "+dir+"\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "etcd"), 0o700); err != nil { // of an empty directory, too, something is moved away
		t.Fatal(err)
	}
	operations(t, "", "restore", "/backup/dlm.db", file, "/etc/dlm/dlm.yaml", path, "/var/lib/dlm", dir)
}

// A backup is restored as the documentation says, with the servers stopped: a holder and a waiter
// go on. What came after the backup is lost.
func TestRestoreUnderClients(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cmd := command(t, s.addr, dlmPath, "lock", "--ttl", "60s", "--connect-timeout", "30s", "kept", "sh", "-c",
		"echo held; read x; dlm append --connect-timeout 30s kept file holder")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder := start(t, cmd)
	holder.says(t, "held")
	waiter := start(t, command(t, s.addr, dlmPath, "lock", "--ttl", "60s", "--connect-timeout", "30s", "kept",
		"dlm", "append", "kept", "file", "waiter"))
	waiter.says(t, "waiting for")
	must(t, command(t, s.addr, dlmPath, "append", "other", "file", "before"))
	must(t, command(t, s.addr, dlmPath, "cat", "other", "file"))
	file := backup(t, s.addr)
	must(t, command(t, s.addr, dlmPath, "append", "other", "file", "after"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("server: %v\n%s", err, s.log)
	}
	restore(t, file, s.dir, "")
	again, err := startServer(s.addr, s.dir)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if a, b := holder.wait(t), waiter.wait(t); a != 0 || b != 0 {
		t.Errorf("exit codes %d and %d\n%s\n%s", a, b, holder.err, waiter.err)
	}
	if got := must(t, command(t, s.addr, dlmPath, "cat", "kept", "file")); got != "holder\nwaiter\n" {
		t.Errorf("read %q", got)
	}
	if got := must(t, command(t, s.addr, dlmPath, "cat", "other", "file")); got != "before\n" {
		t.Errorf("read %q", got)
	}
	if err := again.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, again.log)
	}
	if strings.Contains(again.log.String(), `"level":"ERROR"`) {
		t.Errorf("the server complains:\n%s", again.log)
	}
}

// A backup is restored without raising the revision. A server that remembers does not start. One on
// a new machine remembers nothing, but clients do; only those that are new as well notice nothing.
func TestCarelessRestore(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	must(t, command(t, s.addr, dlmPath, "append", "other", "file", "before"))
	file := backup(t, s.addr)
	for range 5 {
		must(t, command(t, s.addr, dlmPath, "append", "other", "file", "after"))
	}
	holder := start(t, command(t, s.addr, dlmPath, "lock", "--ttl", "60s", "--connect-timeout", "30s", "held", "sh", "-c", "echo held; exec sleep 60"))
	holder.says(t, "held")
	_ = s.stop(syscall.SIGKILL) // its highest revision is written down every few seconds, and here by hand
	if err := os.WriteFile(filepath.Join(s.dir, "highwater"), []byte("1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.dir, "etcd"), filepath.Join(s.dir, "etcd.old")); err != nil {
		t.Fatal(err)
	}
	// Where nothing is remembered, it is not noticed either.
	elsewhere := t.TempDir()
	must(t, command(t, "", dlmPath, "snapshot", "restore", file, "--data-dir", elsewhere, "--raise", "1"))
	if err := os.Rename(filepath.Join(elsewhere, "etcd"), filepath.Join(s.dir, "etcd")); err != nil {
		t.Fatal(err)
	}
	r := run(t, command(t, "", dlmPath, "server", "--listen", s.addr, "--data-dir", s.dir))
	if r.code != 78 || !strings.Contains(r.err, "dlm snapshot restore --raise") {
		t.Errorf("a server that remembers: exit code %d, want 78 and the remedy\n%s", r.code, r.err)
	}
	if err := os.Remove(filepath.Join(s.dir, "highwater")); err != nil {
		t.Fatal(err)
	}
	again, err := startServer(s.addr, s.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		again.cmd.Process.Kill()
		again.cmd.Wait()
	})
	if code := holder.wait(t); code != 70 || !strings.Contains(holder.err.String(), "went back") {
		t.Errorf("the holder: exit code %d, want 70 and the reason\n%s", code, holder.err)
	}
	if n := strings.Count(again.log.String(), "a call is refused"); n != 1 {
		t.Errorf("the server says so %d times, want once\n%s", n, again.log)
	}
	if got := must(t, command(t, s.addr, dlmPath, "cat", "other", "file")); got != "before\n" {
		t.Errorf("a new client read %q", got)
	}
}

// Two of three members are lost for good. What is left is restored on all of them, as the
// documentation says: nothing is missing that the third one had, and no token is granted twice.
func TestSurvivorIsRestoredEverywhere(t *testing.T) {
	t.Parallel()
	f := newFounders(t)
	servers := []*background{f.start(t, 0), f.start(t, 1), f.start(t, 2)}
	for i, b := range servers {
		f.serve(t, b, i, fmt.Sprint(i))
	}
	token := func(i int) int64 {
		t.Helper()
		out := must(t, command(t, f.listen[i], dlmPath, "lock", "--connect-timeout", "20s", "l", "sh", "-c", "echo $DLM_TOKEN"))
		n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := token(0)
	// So that the third one has all of it.
	if got := must(t, command(t, f.listen[2], dlmPath, "cat", "l", "file")); got != "0\n1\n2\n" {
		t.Errorf("read %q", got)
	}
	for _, b := range servers {
		killNow(t, b)
	}

	b := f.start(t, 2)
	b.says(t, "waiting for a quorum")
	b.signal(t, syscall.SIGTERM)
	b.wait(t)
	old := filepath.Join(f.dirs[2], "etcd.old")
	if err := os.Rename(filepath.Join(f.dirs[2], "etcd"), old); err != nil {
		t.Fatal(err)
	}
	for i := range f.dirs {
		if i != 2 {
			f.dirs[i] = filepath.Join(t.TempDir(), "data")
		}
		args := append(f.member(i), "--data-dir", f.dirs[i], "--skip-hash-check")
		must(t, command(t, "", dlmPath, append([]string{"snapshot", "restore", filepath.Join(old, "member", "snap", "db")}, args...)...))
	}
	for i := range servers {
		servers[i] = f.start(t, i)
	}
	for i, b := range servers {
		f.serve(t, b, i, fmt.Sprint(i, " again"))
	}
	if got := must(t, command(t, f.all(), dlmPath, "cat", "l", "file")); got != "0\n1\n2\n0 again\n1 again\n2 again\n" {
		t.Errorf("read %q", got)
	}
	if after := token(0); after <= before+1_000_000 {
		t.Errorf("token %d, and %d before: want the revision raised", after, before)
	}
}
