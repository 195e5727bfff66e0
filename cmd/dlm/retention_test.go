package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestRetention: what is said of prefixes is listed as it was said, and is gone once it is removed.
func TestRetention(t *testing.T) {
	t.Parallel()
	at := func(args ...string) result { return run(t, dlm(t, append([]string{"retention"}, args...)...)) }
	want := func(r result, code int, said string) {
		t.Helper()
		if r.code != code || !strings.Contains(r.out+r.err, said) {
			t.Errorf("exit code %d, %q, %q; want %d, and %q", r.code, r.out, r.err, code, said)
		}
	}
	want(at("list"), 0, "PREFIX  FILES  MAX BYTES  MAX AGE\n")
	want(at("set", "retained/", "--max-bytes", "64MiB", "--max-age", "30d", "--files", "*.log"), 0, `set the retention of "retained/"`)
	want(at("set", "retained/b", "--max-age", "90m"), 0, "set")
	want(at("set", "retained/b", "--max-bytes", "1000"), 0, "set") // in place of that
	list := at("list")
	for _, line := range []string{"retained/ *.log 64MiB 30d", "retained/b - 1KB -"} {
		found := false
		for got := range strings.Lines(list.out) {
			found = found || strings.Join(strings.Fields(got), " ") == line
		}
		if !found {
			t.Errorf("list does not say %q:\n%s", line, list.out)
		}
	}
	var listed []struct{ Prefix, MaxBytes, MaxAge string }
	r := at("list", "--json")
	if err := json.Unmarshal([]byte(r.out), &listed); err != nil || fmt.Sprint(listed) != "[{retained/ 67108864 2592000s} {retained/b 1000 }]" {
		t.Errorf("list --json printed %s, read as %v; %v", r.out, listed, err)
	}
	for _, prefix := range []string{"retained/", "retained/b", "retained/b"} {
		want(at("rm", prefix), 0, "removed")
	}
	want(at("list", "--json"), 0, "[]")

	want(at("set", "x"), 64, "--max-bytes")
	want(at("set", "x", "--max-bytes", "0"), 64, "above 0")
	want(at("set", "x", "--max-bytes", "many"), 64, "64MiB")
	want(at("set", "x", "--max-age", "59s"), 64, "at least 1m")
	want(at("set", "x", "--max-age", "70000d"), 64, "at least 1m")
	want(at("set", "x//", "--max-age", "1h"), 64, "no lock's name begins like this")
	want(at("set", "x", "--files", "[", "--max-age", "1h"), 64, "pattern")
	want(at("set"), 64, "too few arguments")
	want(at("sett"), 64, "no command")
}
