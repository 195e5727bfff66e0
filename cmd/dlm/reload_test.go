package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// SIGHUP has a server take over what can be changed while it runs, and say what cannot; of a faulty
// file nothing. SIGQUIT shows what it is doing. It goes on after all of them.
func TestServerRereadsAndDumps(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	configure := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("log: {level: info}\n")
	s := ownServer(t, "--config", file)
	signal := func(sig syscall.Signal, says ...string) {
		t.Helper()
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		for _, text := range says {
			eventually(t, text, func() bool { return strings.Contains(s.log.String(), text) })
		}
	}
	must(t, command(t, s.addr, dlmPath, "ls"))
	if strings.Contains(s.log.String(), "ListFiles") {
		t.Error("calls are logged at level info")
	}
	configure("log: {level: loud}\ndrain: 5\n")
	signal(syscall.SIGHUP, "the old one is kept", "log.level", "drain")
	configure("log: {level: debug}\ndrain: 5s\n")
	signal(syscall.SIGHUP, `"key":"log.level"`, `that need a restart","keys":["drain"]`)
	must(t, command(t, s.addr, dlmPath, "ls"))
	eventually(t, "calls to be logged at level debug", func() bool { return strings.Contains(s.log.String(), "ListFiles") })
	signal(syscall.SIGQUIT, "goroutine 1 [", "main.serve")
	must(t, command(t, s.addr, dlmPath, "append", "signals", "file", "text"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, s.log)
	}
}
