package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestAppendStandardInput(t *testing.T) {
	t.Parallel()
	// Larger than two records, with lines and without.
	lines := bytes.Repeat([]byte("a line of some length, so that records end within one\n"), 50_000)
	solid := bytes.Repeat([]byte("x"), 1<<20+1)
	for name, data := range map[string][]byte{
		"empty": nil, "no-newline": []byte("abc"), "lines": lines, "solid": solid, "binary": {0, 1, 2, '\n', 255, 254},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := dlm(t, "append", "stdin/"+name, "file")
			cmd.Stdin = bytes.NewReader(data)
			must(t, cmd)
			if got := must(t, dlm(t, "cat", "stdin/"+name, "file")); got != string(data) {
				t.Errorf("read %d bytes, want the %d that were appended", len(got), len(data))
			}
		})
	}
}

// What is appended on a version is appended once, whether the lock is free, held by somebody else
// meanwhile, or held by the enclosing command.
func TestAppendIfVersion(t *testing.T) {
	t.Parallel()
	const lock = "if-version"
	appendIf := func(version string, args ...string) []string {
		return append([]string{"append", "--if-version", version}, args...)
	}
	version := func() string { return strings.TrimSpace(must(t, dlm(t, "cat", "--version", lock, "f"))) }
	refused := func(args []string, code int, says string) {
		t.Helper()
		if r := run(t, dlm(t, args...)); r.code != code || !strings.Contains(r.err, says) {
			t.Errorf("%v: exit code %d, want %d, and that %s\n%s", args, r.code, code, says, r.err)
		}
	}
	if v := version(); v != "none" {
		t.Errorf("a file that is not there is of version %q", v)
	}
	must(t, dlm(t, appendIf("none", lock, "f", "one")...))
	first := version()
	refused(appendIf("none", lock, "f", "no"), 76, first)
	must(t, dlm(t, appendIf(first, lock, "f", "two")...))
	refused(appendIf(first, lock, "f", "no"), 76, version())
	refused(appendIf(first, "--wait", "10s", lock, "f", "no"), 76, version())
	must(t, dlm(t, append([]string{"append", "--wait", "10s", "--if-version", version()}, lock, "f", "three")...))
	if v := version(); strings.Contains(v, ".") {
		t.Errorf("version %q of what was held", v)
	}
	script := fmt.Sprintf(`dlm append --if-version %s %[2]s f no; test $? = 76 && dlm append --if-version "$(dlm cat --version %[2]s f)" %[2]s f four`,
		first, lock)
	must(t, dlm(t, "lock", lock, "sh", "-c", script))
	for _, bad := range []string{"", "0", "-1", "1.", "1.0", "01", "x", "1.99999999999"} {
		refused(appendIf(bad, lock, "f", "no"), 64, "--if-version")
	}
	if got := must(t, dlm(t, "cat", lock, "f")); got != "one\ntwo\nthree\nfour\n" {
		t.Errorf("the file has %q", got)
	}
	if got := must(t, dlm(t, "ls", lock)); !strings.Contains(got, "VERSION") || !strings.Contains(got, version()) {
		t.Errorf("ls prints %q", got)
	}
}

func TestAppendMoreThanASection(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "append", "toolarge", "file")
	cmd.Stdin = bytes.NewReader(make([]byte, 64<<20+1))
	if r := run(t, cmd); r.code != 1 || !strings.HasPrefix(r.err, "dlm: ") {
		t.Errorf("exit code %d, want 1\n%s", r.code, r.err)
	}
	if r := run(t, dlm(t, "cat", "toolarge", "file")); r.code != 1 {
		t.Errorf("%d bytes were published", len(r.out))
	}
	must(t, dlm(t, "lock", "-n", "toolarge", "true"))
}

func TestAppendInterrupted(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "append", "--wait", "1h", "interrupted", "file") // which takes the lock first
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, cmd)
	eventually(t, "the lock", func() bool {
		return !strings.Contains(must(t, dlm(t, "status", "interrupted")), "it is free")
	})
	fmt.Fprintln(in, "half")
	b.signal(t, syscall.SIGINT)
	if code := b.wait(t); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, b.err)
	}
	if r := run(t, dlm(t, "cat", "interrupted", "file")); r.code != 1 {
		t.Errorf("something was published: %q", r.out)
	}
	must(t, dlm(t, "lock", "-n", "interrupted", "true"))
}

func TestTail(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	cmd := dlm(t, "append", "tail", "file")
	cmd.Stdin = strings.NewReader(lines.String())
	must(t, cmd)
	all := lines.String()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, all[strings.Index(all, "line 19990\n"):]},
		{[]string{"-n", "1"}, "line 19999\n"},
		{[]string{"-n", "0"}, ""},
		{[]string{"-n", "15000"}, all[strings.Index(all, "line 5000\n"):]},
		{[]string{"-n", "50000"}, all},
		{[]string{"-c", "4"}, "999\n"},
		{[]string{"-c", "0"}, ""},
	} {
		args := append(append([]string{"tail"}, test.args...), "tail", "file")
		if got := must(t, dlm(t, args...)); got != test.want {
			t.Errorf("%q printed %d bytes, want %d", args, len(got), len(test.want))
		}
	}
	if r := run(t, dlm(t, "tail", "tail", "absent")); r.code != 1 {
		t.Errorf("absent file: exit code %d", r.code)
	}
}

func TestTailFollows(t *testing.T) {
	t.Parallel()
	late := start(t, dlm(t, "tail", "-f", "follow", "file"))
	must(t, dlm(t, "append", "follow", "file", "one"))
	late.says(t, "one\n")
	recent := start(t, dlm(t, "tail", "-f", "-n", "0", "follow", "file"))
	// Nobody can see that a tail stands at the end, so lines are appended until it prints one.
	eventually(t, "the tail", func() bool {
		must(t, dlm(t, "append", "follow", "file", "two"))
		return strings.Contains(recent.out.String(), "two\n")
	})
	if strings.Contains(recent.out.String(), "one") {
		t.Error("tail -n 0 printed what was there before")
	}
	late.says(t, "one\ntwo\n")
	// A reader that has seen enough ends it without a word.
	r := run(t, shell(t, `dlm tail -f follow file | head -n 1; dlm append follow file three`))
	if r.code != 0 || r.out != "one\n" || r.err != "" {
		t.Errorf("exit code %d, out %q, err %q", r.code, r.out, r.err)
	}
}

func TestListings(t *testing.T) {
	t.Parallel()
	must(t, dlm(t, "append", "list/a", "one", "x"))
	must(t, dlm(t, "append", "list/a", "two", "xyz"))
	var files []struct{ Lock, Name, Size, Token string }
	decode(t, must(t, dlm(t, "ls", "--json", "list/a")), &files)
	if len(files) != 2 || files[0].Name != "one" || files[1].Size != "4" || files[1].Token == "" {
		t.Errorf("ls --json: %+v", files)
	}
	if out := must(t, dlm(t, "ls")); !strings.Contains(out, "list/a") || !strings.Contains(out, "BYTES") {
		t.Errorf("ls: %s", out)
	}
	decode(t, must(t, dlm(t, "ls", "--json", "list/none")), &files)
	if len(files) != 0 {
		t.Errorf("ls of a lock without files: %+v", files)
	}

	_, release := hold(t, "list/held", "--label", "somebody")
	defer release()
	var lock struct {
		Name   string
		Holder struct{ Label, Token, Session string }
	}
	decode(t, must(t, dlm(t, "status", "--json", "list/held")), &lock)
	if lock.Name != "list/held" || lock.Holder.Label != "somebody" || lock.Holder.Token == "" {
		t.Errorf("status --json: %+v", lock)
	}
	status := must(t, dlm(t, "status", "list/held"))
	if want := "dlm evict list/held --token " + lock.Holder.Token + " --reason"; !strings.Contains(status, want) {
		t.Errorf("status does not say %q:\n%s", want, status)
	}
	if strings.Contains(status, "Credential") {
		t.Error("status shows a credential")
	}
	if out := must(t, dlm(t, "status")); !strings.Contains(out, `"somebody"`) {
		t.Errorf("status of all locks:\n%s", out)
	}
	if out := must(t, dlm(t, "status", "list/unused")); !strings.Contains(out, "it is free") {
		t.Errorf("status of an unused lock:\n%s", out)
	}
}

func TestEvictNamesTheToken(t *testing.T) {
	t.Parallel()
	holder, release := hold(t, "evicttoken")
	if out := must(t, dlm(t, "evict", "evicttoken", "--token", "1", "--reason", "an old one")); !strings.Contains(out, "nothing to do") {
		t.Errorf("another token: %s", out)
	}
	release()
	if code := holder.wait(t); code != 0 {
		t.Errorf("the holder was hit: exit code %d\n%s", code, holder.err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	people := start(t, dlm(t, "watch", "watch/"))
	scripts := start(t, dlm(t, "watch", "--json", "watch/"))
	eventually(t, "both watches", func() bool {
		must(t, dlm(t, "lock", "--label", "me", "watch/a", "true"))
		return strings.Contains(people.out.String(), "released") && strings.Contains(scripts.out.String(), "TYPE_RELEASED")
	})
	if out := people.out.String(); !strings.Contains(out, `watch/a  "me"  token `) {
		t.Errorf("watch printed:\n%s", out)
	}
	line, _, _ := strings.Cut(scripts.out.String(), "\n")
	var event struct{ Type, Lock, Label string }
	decode(t, line, &event)
	if event.Lock != "watch/a" || event.Label != "me" {
		t.Errorf("watch --json: %+v", event)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	t.Parallel()
	var version struct{ Version, Revision, Committed, Go, Etcd, Platform string }
	decode(t, must(t, dlm(t, "version", "--json")), &version)
	if version.Version == "" || version.Go != runtime.Version() || version.Etcd == "" || version.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("version --json: %+v", version)
	}
	out := must(t, dlm(t, "version"))
	for _, want := range []string{"dlm " + version.Version, " " + version.Committed, version.Go, "etcd " + version.Etcd, version.Platform} {
		if !strings.Contains(out, want) {
			t.Errorf("version: %q, want %q in it", out, want)
		}
	}
	for _, name := range []string{"bash", "zsh", "fish"} {
		if out := must(t, dlm(t, "completion", name)); !strings.Contains(out, "dlm") {
			t.Errorf("completion %s: %d bytes", name, len(out))
		}
	}
}

// Each command that is not hidden has a page, with its flags in it, and none says when it was made.
func TestManual(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man")
	must(t, dlm(t, "man", dir))
	for page, want := range map[string]string{"dlm.1": "dlm-server(1)", "dlm-lock.1": "--ttl", "dlm-member-add.1": "dlm-member(1)"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
		}
		// Troff wants its hyphens escaped.
		if plain := strings.ReplaceAll(string(text), `\-`, "-"); !strings.Contains(strings.ReplaceAll(plain, `\fP`, ""), want) {
			t.Errorf("%s does not say %q", page, want)
		}
		if strings.Contains(string(text), "Auto generated") {
			t.Errorf("%s says when it was made", page)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "dlm-man.1")); err == nil {
		t.Error("a hidden command has a page")
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}
