package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// words are the words of a text, with a blank between two.
func spaced(text string) string { return strings.Join(strings.Fields(text), " ") }

// A command is warned before the end of its hold, told when that is, and ended then, whatever it
// does about SIGTERM; the next one has the lock.
func TestMaxHold(t *testing.T) {
	t.Parallel()
	for name, trap := range map[string]string{"willing": "exit 0", "unwilling": ":"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lock := "hold/" + name
			b := start(t, dlm(t, "lock", "--ttl", "10m", "--max-hold", "3s", lock, "sh", "-c",
				`trap '`+trap+`' TERM; dlm append `+lock+` f text; echo held; while :; do sleep 0.01; done`))
			b.says(t, "held")
			b.says(t, "it may not be held longer than until ")
			must(t, dlm(t, "lock", "-w", "20s", lock, "sh", "-c", `test -z "$DLM_DEADLINE"`))
			if code := b.wait(t); code != 70 || !strings.Contains(b.err.String(), "held longer than 3s") {
				t.Errorf("exit code %d, want 70 and the reason\n%s", code, b.err)
			}
			if n := strings.Count(b.err.String(), "it may not be held longer"); n != 1 {
				t.Errorf("it was warned %d times\n%s", n, b.err)
			}
			if status := must(t, dlm(t, "status", lock)); !strings.Contains(spaced(status), "last undone held longer than 3s") {
				t.Errorf("status does not tell why:\n%s", status)
			}
		})
	}
}

// The deadline is told to the command, and to whoever asks for the lock's state.
func TestDeadlineIsShown(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Second)
	h := holdAt(t, endpoint, `echo "until $DLM_DEADLINE!"`, 0, "--max-hold", "1h", "hold/shown")
	_, text, _ := strings.Cut(h.out.String(), "until ")
	text, _, _ = strings.Cut(text, "!")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Before(before.Add(time.Hour)) || at.After(time.Now().Add(time.Hour)) {
		t.Errorf("DLM_DEADLINE is %q, %v; want a moment 1h after %v", text, err, before)
	}
	if status := must(t, dlm(t, "status", "hold/shown")); !strings.Contains(spaced(status), "deadline in ") {
		t.Errorf("status does not tell:\n%s", status)
	}
	var state struct {
		Holder struct{ Since, Deadline time.Time }
	}
	if err := json.Unmarshal([]byte(must(t, dlm(t, "status", "--json", "hold/shown"))), &state); err != nil {
		t.Fatal(err)
	}
	if got := state.Holder.Deadline.Sub(state.Holder.Since); got != time.Hour {
		t.Errorf("by its status it may be held for %v, want 1h", got)
	}
	h.in.Close()
	if code := h.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, h.err)
	}
}

// A holder that was stopped is evicted all the same, and told when it wakes.
func TestMaxHoldOfAStoppedHolder(t *testing.T) {
	t.Parallel()
	b := start(t, dlm(t, "lock", "--ttl", "10m", "--max-hold", "2s", "hold/stopped", "sh", "-c", "echo held; while :; do sleep 0.01; done"))
	b.says(t, "held")
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	must(t, dlm(t, "lock", "-w", "20s", "hold/stopped", "true"))
	if err := b.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code := b.wait(t); code != 70 || !strings.Contains(b.err.String(), "held longer than 2s") {
		t.Errorf("exit code %d, want 70 and the reason\n%s", code, b.err)
	}
}

// What makes no sense is refused before anything is asked of a server.
func TestMaxHoldRefused(t *testing.T) {
	t.Parallel()
	for _, bound := range []string{"0", "0s", "-1s", "1ns", "999ms", "25h", "8766000h", "soon", ""} {
		if r := run(t, dlm(t, "lock", "--max-hold", bound, "--endpoints", "127.0.0.1:1", "hold/refused", "true")); r.code != 64 {
			t.Errorf("--max-hold %q: exit code %d, want 64\n%s", bound, r.code, r.err)
		}
	}
}

// The configuration's limit counts for whoever asks for more or for none, and is taken over by a
// running server for what is granted from then on, places in the queue included.
func TestConfiguredHold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`hold: {max: [{prefix: "*", max-hold: 24h}, {prefix: short, max-hold: 1h}, {prefix: short/free, max-hold: 0s}]}`)
	s := ownServer(t, "--config", file)
	deadline := func(lock string, args ...string) string {
		t.Helper()
		r := must(t, command(t, s.addr, dlmPath, append(append([]string{"lock"}, args...), lock, "sh", "-c", `echo "$DLM_DEADLINE"`)...))
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(r))
		if err != nil {
			return strings.TrimSpace(r)
		}
		return time.Until(at).Round(time.Minute).String()
	}
	for _, test := range []struct {
		lock, want string
		args       []string
	}{
		{"x", "24h0m0s", nil}, {"short", "1h0m0s", nil}, {"short/x", "1h0m0s", []string{"--max-hold", "2h"}}, {"shorter", "24h0m0s", nil},
		{"short/x", "2m0s", []string{"--max-hold", "2m"}}, {"short/free/x", "", nil}, {"short/free", "5h0m0s", []string{"--max-hold", "5h"}},
	} {
		if got := deadline(test.lock, test.args...); got != test.want {
			t.Errorf("%s %q may be held for %q, want %q", test.lock, test.args, got, test.want)
		}
	}
	holder := holdAt(t, s.addr, "true", 0, "x")
	waiter := start(t, command(t, s.addr, dlmPath, "lock", "x", "sh", "-c", `echo "until $DLM_DEADLINE."`))
	eventually(t, "a waiter", func() bool {
		return strings.Contains(spaced(must(t, command(t, s.addr, dlmPath, "status", "x"))), "waiting 1")
	})
	write(`hold: {max: [{prefix: x, max-hold: 2h}]}`)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the configuration to be reread", func() bool { return strings.Contains(s.log.String(), `"key":"hold.max","changed":true`) })
	holder.in.Close()
	waiter.says(t, ".\n")
	at, err := time.Parse(time.RFC3339, strings.TrimSuffix(strings.TrimPrefix(waiter.out.String(), "until "), ".\n"))
	if left := time.Until(at); err != nil || left > 2*time.Hour || left < time.Hour {
		t.Errorf("who had waited may hold for %v, %v; want 2h", left, err)
	}
	write(`hold: {max: [{prefix: x/, max-hold: 2h}]}`)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal", func() bool { return strings.Contains(s.log.String(), "the old one is kept") })
	if got := deadline("x"); got != "2h0m0s" {
		t.Errorf("after a mistake it may be held for %q, want 2h as before", got)
	}
}
