package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// While the disk of a required audit log is full nothing is changed, and that is said; what is held
// is kept, and can be given back. When there is room again all goes on, and no line is missing.
func TestFullDiskOfTheAudit(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	disk := smallDisk(t, 1)
	audit := filepath.Join(disk, "audit.log")
	s := startSecured(t, "--audit-file", audit, "--audit-required=true")
	worker := s.person(t, certstest.Spec{CN: "worker"})
	held := holdAs(t, worker, "jobs/held", "--ttl", ttl.String())
	c := worker.client(t, client.Config{TTL: ttl})
	l, err := c.Lock(t.Context(), "jobs/given")
	if err != nil {
		t.Fatal(err)
	}
	free := fill(t, disk, 0)
	eventually(t, "the disk to be full", func() bool { // its last page has room for some lines
		run(t, s.bare(t, "ls"))
		return strings.Contains(s.log.String(), `"the audit log cannot be written"`)
	})
	full := time.Now()
	r := run(t, worker.command(t, "append", "--connect-timeout", "1s", "jobs/refused", "file", "never"))
	if r.code != 69 || !strings.Contains(r.err, "the audit log cannot be written") || strings.Contains(r.err, disk) {
		t.Errorf("exit code %d, want 69 and why\n%s", r.code, r.err)
	}
	if err := l.Discard(t.Context()); err != nil {
		t.Errorf("discard: %v", err)
	}
	<-time.After(2*ttl - time.Since(full)) // which a session without heartbeats does not outlive
	must(t, worker.command(t, "status", "jobs/held"))
	free()
	eventually(t, "an append", func() bool {
		return run(t, worker.command(t, "append", "--connect-timeout", "1s", "jobs/healed", "file", "text")).code == 0
	})
	held.in.Close()
	if code := held.wait(t); code != 0 {
		t.Errorf("the holder: exit code %d\n%s", code, held.err)
	}
	text, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"method":"Discard","lock":"jobs/given"`, `"method":"Publish","lock":"jobs/healed"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no line with %s:\n%s", want, text)
		}
	}
}
