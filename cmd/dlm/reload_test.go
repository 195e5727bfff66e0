package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
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

// SIGHUP opens the audit's file anew, also while the configuration or what it names is wrong. Of
// what needs no signal it says nothing, and of a path that has changed that it needs a restart.
func TestSignalOpensTheAuditAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	audit := filepath.Join(dir, "audit.log")
	s := startSecured(t, "--audit-file", audit)
	rotate := func(n int, line string) {
		t.Helper()
		if err := os.Rename(audit, fmt.Sprintf("%s.%d", audit, n)); err != nil {
			t.Fatal(err)
		}
		before := len(s.log.String())
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of the rereading", func() bool { return regexp.MustCompile(line).MatchString(s.log.String()[before:]) })
		must(t, s.known(t, "append", "jobs", "file", fmt.Sprint(n)))
		eventually(t, "the new file", func() bool {
			text, err := os.ReadFile(audit)
			return err == nil && strings.Contains(string(text), `"identity":"cn:worker"`)
		})
	}
	must(t, s.known(t, "append", "jobs", "file", "0"))
	const reopened, restart = `"the audit file is opened anew"`, "need a restart"
	rotate(1, `(?s)`+reopened+`.*"key":"log.level"`)
	certstest.Write(t, s.policy, []byte("rules: ["))
	rotate(2, `(?s)`+reopened+`.*the old one is kept`)
	certstest.Write(t, s.policy, []byte(rules))
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if log := s.log.String(); strings.Contains(log, restart) || regexp.MustCompile(`"key":"(tls|auth|audit)`).MatchString(log) {
		t.Errorf("it says more than it does:\n%s", log)
	}
	other := certstest.Write(t, filepath.Join(dir, "other.yaml"), []byte(rules))
	certstest.Write(t, s.config, []byte(strings.Replace(string(text), s.policy, other, 1)+fmt.Sprintf("audit: {file: %q}\n", audit+".other")))
	rotate(3, reopened+`(?s).*`+restart+`","keys":\["auth.policy"\]`)
	if n := strings.Count(s.log.String(), restart); n != 1 {
		t.Errorf("%d keys or lists of them need a restart, want one:\n%s", n, s.log)
	}
}
