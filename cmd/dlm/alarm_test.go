package main_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/client"
)

// Etcd has raised its alarm: what works goes on, what does not says so and what to do, and what the
// documentation says to do helps.
func TestAlarmAndTheWayOut(t *testing.T) {
	t.Parallel()
	s, addr, etcd := etcdOf(t, "--cluster-quota", "16777216")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	must(t, command(t, s.addr, dlmPath, "append", "l", "file", "before"))
	must(t, command(t, s.addr, dlmPath, "cat", "l", "file"))
	c, err := client.New(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var held []*client.Lock
	for _, name := range []string{"plain", "records", "dropped"} {
		l, err := c.Lock(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if name != "plain" {
			if err := l.Append(ctx, "file", []byte("staged\n")); err != nil {
				t.Fatal(err)
			}
		}
		held = append(held, l)
	}
	for err == nil { // somebody else fills it up, of which the server knows nothing
		_, err = etcd.Put(ctx, "/other", strings.Repeat("x", 256<<10))
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("put: %v", err)
	}

	const remedy = `docs/operations.md says under "When the space runs out"`
	for _, args := range [][]string{{"lock", "other", "true"}, {"append", "other", "file", "x"}} {
		if r := run(t, command(t, s.addr, dlmPath, args...)); r.code != 1 || !strings.Contains(r.err, remedy) {
			t.Errorf("%q: exit code %d, want 1 and the remedy\n%s", args, r.code, r.err)
		}
	}
	if r := run(t, command(t, s.addr, dlmPath, "health")); r.code != 69 || !strings.Contains(r.out, "takes no new locks: no space") ||
		!strings.Contains(r.out, remedy) {
		t.Errorf("health: exit code %d, want 69 and why\n%s", r.code, r.out)
	}
	if out := must(t, command(t, s.addr, dlmPath, "status", "--cluster")); !strings.Contains(out, "new locks are refused") {
		t.Errorf("status --cluster says nothing of the alarm:\n%s", out)
	}
	if out := must(t, command(t, s.addr, dlmPath, "cat", "l", "file")); out != "before\n" {
		t.Errorf("read %q", out)
	}
	if out := must(t, command(t, s.addr, dlmPath, "ls")); !strings.Contains(out, "file") {
		t.Errorf("ls: %q", out)
	}
	if out := must(t, command(t, s.addr, dlmPath, "status")); !strings.Contains(out, "records") {
		t.Errorf("status: %q", out)
	}
	if err := held[0].Unlock(ctx); err != nil {
		t.Errorf("release without records: %v", err)
	}
	if err := held[1].Unlock(ctx); !errors.Is(err, client.ErrNoSpace) || !strings.Contains(err.Error(), remedy) {
		t.Errorf("release with records: %v, want that there is no space, and the remedy", err)
	}
	if err := held[2].Discard(ctx); err != nil {
		t.Errorf("discard: %v", err)
	}

	_, after, _ := strings.Cut(operationsPage(t), "<!-- alarm: run by the tests as it stands -->\n```sh\n")
	script, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/operations.md has no way out of the alarm")
	}
	etcdctl := etcdTool(t, "etcdctl")
	out := must(t, command(t, s.addr, "sh", "-e", "-c", `PATH="`+filepath.Dir(etcdctl)+`:$PATH"
`+strings.ReplaceAll(script, "127.0.0.1:2379", addr)))
	if !strings.Contains(out, "alarm:NOSPACE") {
		t.Errorf("there was no alarm:\n%s", out)
	}

	if err := held[1].Unlock(ctx); err != nil {
		t.Errorf("release with records, again: %v", err)
	}
	if out := must(t, command(t, s.addr, dlmPath, "cat", "records", "file")); out != "staged\n" {
		t.Errorf("read %q", out)
	}
	eventually(t, "health", func() bool { return run(t, command(t, s.addr, dlmPath, "health")).code == 0 })
	must(t, command(t, s.addr, dlmPath, "append", "l", "file", "after"))
	if out := must(t, command(t, s.addr, dlmPath, "cat", "l", "file")); out != "before\nafter\n" {
		t.Errorf("read %q", out)
	}
}
