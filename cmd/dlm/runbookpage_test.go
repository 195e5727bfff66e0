package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// The commands of docs/runbook.md, as they stand there but for addresses, each on a cluster that
// has what its alert is about.
func TestRunbookPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	const shellBlock = "```sh\n"
	ran := "<!-- runbook: run by the tests as it stands -->\n" + shellBlock
	if all, marked := strings.Count(page, shellBlock), strings.Count(page, ran); all != marked || all < 15 {
		t.Fatalf("of %d blocks of commands %d are marked", all, marked)
	}

	c, dir := startCluster(t), t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kill := func(servers ...int) func() {
		for _, i := range servers {
			_ = c.servers[i].stop(syscall.SIGKILL)
		}
		return func() {
			for _, i := range servers {
				c.restart(t, i)
			}
		}
	}
	// What is there before a section's commands are run, what they say then, and what undoes it.
	faults := map[string]struct {
		make func() (undo func())
		says []string
	}{
		"DlmAbsent":     {says: []string{"SERVING"}},
		"DlmServerDown": {make: func() func() { return kill(2) }, says: []string{"dlm-3", "dlm-1"}},
		"DlmNoQuorum": {make: func() func() {
			undo := kill(1, 2)
			eventually(t, "the loss of the quorum to be noticed", func() bool {
				return run(t, command(t, c.listen[0], dlmPath, "health")).code != 0
			})
			return undo
		}, says: []string{"no quorum"}},
		"DlmFilesStale": {make: func() func() { write("policy.yaml", "rules: [{identity: nobody, allow: [everything]}]\n"); return nil }, says: []string{"everything"}},
		"DlmAuthRefusals": {make: func() func() {
			write("good-policy.yaml", "rules: [{identity: 'spiffe:spiffe://dlm.test/jobs', locks: [jobs], allow: [append]}]\n")
			return nil
		}, says: []string{"line 1 allows it"}},
		"DlmFault": {make: func() func() { c.malform(t); return nil }, says: []string{"/dlm/locks/odd"}},
		"DlmWaitTooLong": {make: func() func() {
			holder := start(t, command(t, c.all(0), dlmPath, "lock", "--label", "the-holder", "jobs/nightly", "--", "sh", "-c", "echo held; exec sleep 600"))
			holder.says(t, "held")
			waiter := start(t, command(t, c.all(0), dlmPath, "lock", "jobs/nightly", "--", "echo", "mine"))
			return func() {
				if code := holder.wait(t); code != 70 {
					t.Errorf("the holder ended with %d", code)
				}
				waiter.says(t, "mine")
			}
		}, says: []string{"the-holder", "evicted"}},
	}
	seen := 0
	for _, section := range strings.Split(page, "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		fault, known := faults[name]
		if known {
			seen++
		}
		var undo func()
		if fault.make != nil {
			undo = fault.make()
		}
		said := ""
		for _, block := range regexp.MustCompile("(?s)"+regexp.QuoteMeta(ran)+"(.*?)\n```\n").FindAllStringSubmatch(body, -1) {
			script := strings.NewReplacer("127.0.0.1:50051", c.listen[0], "dlm member ", "dlm member --etcd-endpoints "+c.admin[0]+" ").Replace(block[1])
			cmd := command(t, c.all(0), "sh", "-ec", script)
			cmd.Dir = dir
			r := run(t, cmd)
			said += r.out + r.err
			if r.code != 0 {
				t.Errorf("%s: exit code %d of\n%s\n%s%s", name, r.code, script, r.out, r.err)
			}
		}
		for _, want := range fault.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it says nothing of %q:\n%s", name, want, said)
			}
		}
		if undo != nil {
			undo()
		}
	}
	if seen != len(faults) {
		t.Errorf("%d of %d faults have a section", seen, len(faults))
	}
}

// malform writes what no server writes.
func (c *cluster) malform(t *testing.T) {
	t.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: c.admin, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	if _, err := etcd.Put(t.Context(), "/dlm/locks/odd", "nobody"); err != nil {
		t.Fatal(err)
	}
}
