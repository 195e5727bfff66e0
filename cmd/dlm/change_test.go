package main_test

import (
	"bytes"
	"strings"
	"testing"
)

// Files are replaced, removed and cut, in a section of their own or in one that is held.
func TestChanges(t *testing.T) {
	t.Parallel()
	replace := func(text string, args ...string) {
		t.Helper()
		cmd := dlm(t, append([]string{"replace"}, args...)...)
		cmd.Stdin = strings.NewReader(text)
		must(t, cmd)
	}
	wants := func(want string) {
		t.Helper()
		if got := must(t, dlm(t, "cat", "change", "file")); got != want {
			t.Errorf("the file is %q, want %q", got, want)
		}
	}
	tail := start(t, dlm(t, "tail", "-f", "change", "file"))
	must(t, dlm(t, "append", "change", "file", "old"))
	tail.says(t, "old\n")
	replace("one\ntwo\n", "change", "file")
	wants("one\ntwo\n")
	tail.says(t, "old\none\ntwo\n")
	if out := must(t, dlm(t, "ls", "change")); strings.Contains(out, "START") {
		t.Errorf("ls of a file that was not cut: %s", out)
	}
	must(t, dlm(t, "cut", "--before", "4", "change", "file"))
	wants("two\n")
	if got := must(t, dlm(t, "cat", "--offset", "5", "change", "file")); got != "wo\n" {
		t.Errorf("from 5 on the file is %q", got)
	}
	if r := run(t, dlm(t, "cat", "--offset", "3", "change", "file")); r.code != 1 || !strings.Contains(r.err, "begins at offset 4") {
		t.Errorf("cat of what was cut off: exit code %d, %s", r.code, r.err)
	}
	for _, args := range [][]string{{"tail", "change", "file"}, {"tail", "-c", "100", "change", "file"}} {
		if got := must(t, dlm(t, args...)); got != "two\n" {
			t.Errorf("%q prints %q", args, got)
		}
	}
	if out := must(t, dlm(t, "ls", "change")); !strings.Contains(out, "START") {
		t.Errorf("ls of a file that was cut: %s", out)
	}

	held := `dlm append change file three; dlm cut change file --before 8; echo new | dlm replace change other
		dlm cat change other && exit 9; dlm rm change never`
	must(t, dlm(t, "lock", "change", "sh", "-c", held))
	wants("three\n")
	if got := must(t, dlm(t, "cat", "change", "other")); got != "new\n" {
		t.Errorf("the other file is %q", got)
	}
	replace("under the lock", "--wait", "1m", "change", "file")
	wants("under the lock")
	large := string(bytes.Repeat([]byte("a line\n"), 300_000)) // more than one call has
	replace(large, "change", "file")
	wants(large)
	replace("", "change", "file")
	wants("")
	must(t, dlm(t, "rm", "change", "file"))
	must(t, dlm(t, "rm", "--wait", "1m", "change", "file"))
	if r := run(t, dlm(t, "cat", "change", "file")); r.code != 1 {
		t.Errorf("cat of a file that was removed: exit code %d", r.code)
	}
	eventually(t, "the tail to tell", func() bool {
		return strings.Contains(tail.err.String(), `"file" was replaced`) && strings.Contains(tail.err.String(), `"file" was removed`)
	})

	for _, args := range [][]string{
		{"cut", "change", "file"}, {"cut", "change", "file", "--before", "-1"}, {"rm", "change"}, {"replace", "change"}, {"rm", "a//b", "file"},
	} {
		if r := run(t, dlm(t, args...)); r.code != 64 {
			t.Errorf("%q: exit code %d, want 64\n%s", args, r.code, r.err)
		}
	}
}
