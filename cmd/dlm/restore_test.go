package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// backup saves a snapshot of a server's etcd.
func backup(t *testing.T, etcd *clientv3.Client) (file string) {
	t.Helper()
	r, err := etcd.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	file = filepath.Join(t.TempDir(), "backup.db")
	to, err := os.Create(file)
	if err == nil {
		_, err = to.ReadFrom(r)
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

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

// restore restores a snapshot into a data directory, with the words of docs/operations.md. raised:
// with the revision raised.
func restore(t *testing.T, file, dir string, raised bool) {
	t.Helper()
	args := restoreFlags(t, 0)
	if !raised {
		args, _, _ = strings.Cut(args, "--bump-revision")
	}
	etcdutl(t, etcdTool(t, "etcdutl"), file, dir, args)
}

// restoreFlags are those of a command in docs/operations.md that restores a backup: the first one
// is for a single server, the second one for a member of a cluster.
func restoreFlags(t *testing.T, which int) string {
	t.Helper()
	parts := strings.Split(operationsPage(t), "etcdutl snapshot restore backup.db --data-dir /var/lib/dlm/etcd")
	if len(parts) < which+2 {
		t.Fatal("docs/operations.md has no such restore")
	}
	flags, _, _ := strings.Cut(parts[which+1], "```")
	return strings.ReplaceAll(flags, "\\\n", " ")
}

func etcdutl(t *testing.T, tool, file, dir, flags string) {
	t.Helper()
	args := append([]string{"snapshot", "restore", file, "--data-dir", filepath.Join(dir, "etcd")}, strings.Fields(flags)...)
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("etcdutl %q: %v\n%s", args, err, out)
	}
}

// A backup is restored as the documentation says, with the servers stopped: a holder and a waiter
// go on. What came after the backup is lost.
func TestRestoreUnderClients(t *testing.T) {
	t.Parallel()
	s, _, etcd := etcdOf(t)
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
	file := backup(t, etcd)
	must(t, command(t, s.addr, dlmPath, "append", "other", "file", "after"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("server: %v\n%s", err, s.log)
	}
	if err := os.Rename(filepath.Join(s.dir, "etcd"), filepath.Join(s.dir, "etcd.old")); err != nil {
		t.Fatal(err)
	}
	restore(t, file, s.dir, true)
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
	s, _, etcd := etcdOf(t)
	must(t, command(t, s.addr, dlmPath, "append", "other", "file", "before"))
	file := backup(t, etcd)
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
	restore(t, file, s.dir, false)
	r := run(t, command(t, "", dlmPath, "server", "--listen", s.addr, "--data-dir", s.dir))
	if r.code != 78 || !strings.Contains(r.err, "--bump-revision") {
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
	tool := etcdTool(t, "etcdutl")
	for i := range f.dirs {
		if i != 2 {
			f.dirs[i] = filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(f.dirs[i], 0o700); err != nil {
				t.Fatal(err)
			}
		}
		flags := strings.ReplaceAll(restoreFlags(t, 1), "--name dlm-1", fmt.Sprintf("--name dlm-%d", i))
		flags = strings.ReplaceAll(flags, "--initial-advertise-peer-urls http://10.0.0.1:2380", "--initial-advertise-peer-urls http://"+f.peers[i])
		for j, peer := range f.peers {
			flags = strings.ReplaceAll(flags, fmt.Sprintf("dlm-%d=http://10.0.0.%d:2380", j+1, j+1), fmt.Sprintf("DLM-%d=http://%s", j, peer))
		}
		etcdutl(t, tool, filepath.Join(old, "member", "snap", "db"), f.dirs[i], strings.ToLower(flags)+" --skip-hash-check")
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
