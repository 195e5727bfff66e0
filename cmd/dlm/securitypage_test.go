package main_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// The commands of docs/security.md, one after the other, as they stand there but for the port.
func TestSecurityPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	script := "set -e\n"
	for _, block := range regexp.MustCompile("(?s)<!-- security: [^\n]*\n```sh\n(.*?)\n```\n").FindAllStringSubmatch(string(page), -1) {
		script += block[1] + "\n"
	}
	_, port, err := net.SplitHostPort(storetest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "", "sh", "-c", strings.ReplaceAll(script, "50051", port))
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with the server that it starts
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	r := run(t, cmd)
	_ = cmd.Cancel() // a script that failed has not ended it
	for _, want := range []string{" SERVING\n", "ran\n", "it may not\n", "three mistakes"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if n := strings.Count(r.out, "refused: exit code 77\n"); n != 2 {
		t.Errorf("%d of 2 are refused", n)
	}
	if n := strings.Count(r.out+r.err, "unauthenticated: "); n < 2 {
		t.Errorf("%d of 2 revocations are told", n)
	}
	if r.code != 0 || t.Failed() {
		log, _ := os.ReadFile(filepath.Join(cmd.Dir, "server.log"))
		t.Errorf("exit code %d\n%s\n%s\nthe server:\n%s", r.code, r.out, r.err, log)
	}
}
