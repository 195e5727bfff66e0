package main_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the servers' logs say of one lock is told in the order of its revisions, whichever file it
// stands in, once, and beside it what is missing.
func TestHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := func(at int, server, more string) string {
		return fmt.Sprintf(`{"time":"2026-01-02T03:04:%02d.000000Z","server":%q,%s,"took_us":9}`+"\n", at, server, more)
	}
	granted := line(1, "s1", `"identity":"cn:alice","peer":"p","verb":"acquire","method":"Acquire","lock":"a/b","request":"1","session":"aa","token":10,"revision":10,"outcome":"GRANTED"`)
	other := line(2, "s1", `"identity":"cn:bob","method":"Acquire","lock":"a","session":"bb","token":11,"revision":11,"outcome":"GRANTED"`)
	closed := line(3, "s2", `"identity":"cn:alice","method":"Close","session":"aa","revision":30,"outcome":"OK"`)
	others := line(3, "s2", `"identity":"cn:bob","method":"Close","session":"bb","revision":31,"outcome":"OK"`)
	evicted := line(4, "s2", `"peer":"10.0.0.1:5","method":"Evict","lock":"a/b","session":"aa","token":10,"revision":20,"reason":"\u001b[31mstuck","outcome":"OK"`)
	refused := line(5, "s1", `"identity":"cn:eve","method":"Evict","lock":"a/b","outcome":"PERMISSION_DENIED"`)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(granted + other))
	_ = w.Close()
	files := map[string]string{
		"s1": refused + `{"time":"2026-01-02T03:04:06.000000Z","dropped":2}` + "\n" + refused[:40], "s1.1.gz": packed.String(),
		"s2": closed + others + "no line\n" + evicted, "copy": evicted,
	}
	args := []string{"history", "a/b"}
	for _, name := range []string{"s2", "s1.1.gz", "s1", "copy"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--file", path)
	}
	r := run(t, dlm(t, args...))
	var got []string
	for l := range strings.Lines(r.out) {
		f := strings.Fields(l)
		if f[0] != "REVISION" {
			f = append(f[:1:1], f[3:]...) // without the time, which is this machine's
		}
		got = append(got, strings.Join(f, " "))
	}
	want := []string{
		"REVISION TIME WHO WHAT",
		"10 cn:alice acquire token 10 session aa request 1: GRANTED",
		`20 10.0.0.1:5 evict token 10 session aa ("\x1b[31mstuck"): OK`,
		"30 cn:alice close session aa: OK",
		"- cn:eve evict: PERMISSION_DENIED",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, says := range []string{"has dropped 2 lines", "cut off in its last line", "1 lines are none"} {
		if !strings.Contains(r.err, says) {
			t.Errorf("it does not say %q: %s", says, r.err)
		}
	}
	asJSON := must(t, dlm(t, append(args, "--json")...))
	if n := strings.Count(asJSON, "\n"); n != 4 || !strings.Contains(asJSON, strings.TrimSpace(granted)) {
		t.Errorf("as JSON %d lines: %s", n, asJSON)
	}
	if r := run(t, dlm(t, "history", "a/b")); r.code != 64 {
		t.Errorf("without a file it exits with %d", r.code)
	}
	if r := run(t, dlm(t, "history", "a/b", "--file", filepath.Join(dir, "none"))); r.code != 1 || !strings.Contains(r.err, "none") {
		t.Errorf("with a file that is not there it exits with %d: %s", r.code, r.err)
	}
}
