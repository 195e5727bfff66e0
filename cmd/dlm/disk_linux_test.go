package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a file system of so many MiB.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("dlm-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		t.Skipf("skipped: no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves so many bytes of a file system, and returns how to free what was taken.
func fill(t *testing.T, disk string, leave int64) (free func()) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(disk, &s); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(disk, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if size := int64(s.Bavail)*s.Bsize - leave; size > 0 {
		if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func TestFullDiskIsSaidAtStart(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 400)
	dir := filepath.Join(disk, "data")
	refused := func(when string) {
		t.Helper()
		r := run(t, command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--data-dir", dir))
		if r.code != 74 || strings.Contains(r.out, "ready") || !strings.Contains(r.err, "disk: it is full") || strings.Contains(r.err, "goroutine ") {
			t.Errorf("%s: exit code %d, want 74 and why; printed %q\n%s", when, r.code, r.out, r.err)
		}
	}
	free := fill(t, disk, 1<<20)
	refused("full from the beginning")
	free()
	free = fill(t, disk, 100<<20)
	refused("room for one segment of two")
	free()

	// With just enough it starts, and serves.
	free = fill(t, disk, 180<<20)
	for range 3 {
		s, err := startServer("127.0.0.1:0", dir)
		if err != nil {
			t.Fatal(err)
		}
		must(t, command(t, s.addr, dlmPath, "append", "l", "file", "text"))
		if err := s.stop(syscall.SIGKILL); err == nil {
			t.Error("killed, and no error")
		}
	}
	free()
	free = fill(t, disk, 0)
	refused("full with data")
	free()
	s, err := startServer("127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := must(t, command(t, s.addr, dlmPath, "cat", "l", "file")); got != "text\ntext\ntext\n" {
		t.Errorf("read %q", got)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, s.log)
	}
}

// The disk becomes full under a server: it says so and ends, and what it acknowledged is there
// when there is room again.
func TestFullDiskWhileRunning(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 300)
	dir := filepath.Join(disk, "data")
	s, err := startServer("127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	text := strings.Repeat("x", 100_000)
	// Some is acknowledged in any case: on a full disk even the first append may end the server.
	must(t, command(t, s.addr, dlmPath, "append", "l", "file", text))
	want := 1
	free := fill(t, disk, 8<<20)
	for range 1500 {
		if r := run(t, command(t, s.addr, dlmPath, "append", "--connect-timeout", "1s", "l", "file", text)); r.code != 0 {
			break
		}
		want++
	}
	if code := exitCode(t, s.cmd.Wait()); code != 74 {
		t.Errorf("after %d appends exit code %d, want 74\n%s", want, code, s.log)
	}
	log := s.log.String()
	if n := strings.Count(log, "dlm: embedded etcd: disk: it is full"); n != 1 || strings.Contains(log, "goroutine ") {
		t.Errorf("it says %d times that the disk is full, want once and no dump:\n%s", n, log)
	}
	free()
	s, err = startServer("127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Count(must(t, command(t, s.addr, dlmPath, "cat", "l", "file")), text)
	if got < want {
		t.Errorf("%d appends are there, %d were acknowledged", got, want)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, s.log)
	}
}
