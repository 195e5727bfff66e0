package main_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/client"
)

// serverTo starts a server whose standard streams are pipes that the caller reads, or does not.
func serverTo(t *testing.T, args ...string) (s *server, out, log *os.File) {
	t.Helper()
	outRead, outWrite := pipe(t)
	logRead, logWrite := pipe(t)
	s = &server{cmd: exec.Command(dlmPath, append([]string{
		"server", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--log-level", "debug",
	}, args...)...)}
	s.cmd.Stdout, s.cmd.Stderr = outWrite, logWrite
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	_ = errors.Join(outWrite.Close(), logWrite.Close())
	line, err := bufio.NewReader(outRead).ReadString('\n')
	after, ready := strings.CutPrefix(line, "dlm is ready on ")
	if !ready {
		t.Fatalf("server said %q: %v", line, err)
	}
	s.addr, _, _ = strings.Cut(after, ",")
	return s, outRead, logRead
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(read.Close(), write.Close()) })
	return read, write
}

// logMuch makes a server log some hundred kilobytes, and fails if one of the calls does.
func logMuch(t *testing.T, s *server) {
	t.Helper()
	c, err := client.New(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2000 {
		if _, err := c.ListFiles(t.Context(), "nothing"); err != nil {
			t.Fatal(err)
		}
	}
}

// A server goes on when nobody reads any more what it prints and logs.
func TestReaderOfTheLogGoesAway(t *testing.T) {
	t.Parallel()
	s, out, log := serverTo(t)
	_ = errors.Join(out.Close(), log.Close())
	logMuch(t, s)
	must(t, command(t, s.addr, dlmPath, "append", "unread", "file", "text"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v", err)
	}
}

// A server goes on when its log is not read for a while, and says afterwards what it left out.
func TestReaderOfTheLogStandsStill(t *testing.T) {
	t.Parallel()
	s, _, log := serverTo(t)
	for range 6 { // more than the pipe and the server together hold
		logMuch(t, s)
	}
	stopped := make(chan error, 1)
	lines := bufio.NewReader(log)
	go func() {
		for {
			line, err := lines.ReadString('\n')
			if strings.Contains(line, "lines of the log were lost") {
				stopped <- nil
				_, _ = io.Copy(io.Discard, lines)
				return
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	if err := <-stopped; err != nil {
		t.Errorf("the log does not say that lines were lost: %v", err)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v", err)
	}
}
