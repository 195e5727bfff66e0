package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// benchArgs makes slices that are as short as can be: nothing is asserted about the figures.
func benchArgs(more ...string) []string {
	return append([]string{"bench", "--warmup", "0s", "--duration", "200ms", "--runs", "1", "--clients", "2"}, more...)
}

func TestBenchJSON(t *testing.T) {
	t.Parallel()
	args := benchArgs("--json", "--workload", "own,one,try,mixed,append,publish,waiters,idle", "--ttl", "2s")
	_, err := os.Stat("/proc/self/stat")
	proc := err == nil
	if proc {
		args = append(args, "--server-pid", strconv.Itoa(os.Getpid()))
	}
	out := must(t, dlm(t, args...))
	workloads := ""
	for line := range strings.Lines(out) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		workloads += " " + row["workload"].(string)
		for _, key := range []string{"system", "workload", "clients", "connections", "ops_per_s", "p50_us", "p99_us", "max_us", "seconds"} {
			if _, ok := row[key]; !ok {
				t.Errorf("no %s in %s", key, line)
			}
		}
		if row["system"] != "dlm" || row["clients"] != 2.0 {
			t.Errorf("row %s", line)
		}
		if _, ok := row["server_peak_bytes"]; ok != proc {
			t.Errorf("the peak of the server's memory in %s: %v, want %v", line, ok, proc)
		}
	}
	if want := " own one try mixed append publish waiters idle"; workloads != want {
		t.Errorf("rows of%s, want%s", workloads, want)
	}
}

func TestBenchTable(t *testing.T) {
	t.Parallel()
	r := run(t, dlm(t, benchArgs("--clients", "1,2", "--workload", "own")...))
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if r.code != 0 || len(lines) < 3 || strings.Fields(lines[0])[0] != "SYSTEM" || strings.Fields(lines[1])[0] != "dlm" {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if at := strings.Index(lines[0], "CLIENTS"); strings.LastIndexByte(lines[1][:at], ' ') != at-1 || lines[1][at] == ' ' {
		t.Errorf("not aligned:\n%s", r.out)
	}
	if r.err != "" {
		t.Errorf("progress without a terminal: %q", r.err)
	}
}

func TestBenchRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"--workload other --clients 0", 64, "0 clients"},
		{"--runs 0", 64, "0 runs"},
		{"--against other", 64, `"other"`},
		{"--against redis --workload append", 64, "no records"},
		{"--against dlm", 64, "no other build"},
		{"--against dlm --secure", 64, "--secure is for"},
		{"--builds a,b --secure", 64, "--secure is for"},
		{"--builds a,b --watched", 64, "--watched is for"},
		{"--against dlm --builds a,b --secure --watched", 64, "--watched is for"},
		{"--bar 0.97", 64, "something to measure against"},
		{"--clients many", 64, "clients"},
		{"--connect-timeout 0s", 64, "connect-timeout"},
		{"--against redis --workload own", 1, "cd cmd/dlm-bench-peers && go build"},
		{"--server-pid -1", 1, "process -1"},
		{"extra", 64, "extra"},
		{"--endpoints 127.0.0.1:1 --connect-timeout 200ms", 69, "own with --clients 1: "},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			r := run(t, dlm(t, append([]string{"bench"}, strings.Fields(test.args)...)...))
			if r.code != test.code || !strings.Contains(r.err, test.says) {
				t.Errorf("exit code %d, want %d; said %q, want %q in it", r.code, test.code, r.err, test.says)
			}
		})
	}
}

func TestBenchAgainstAnotherBuild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := dlm(t, benchArgs("--workload", "own", "--against", "dlm", "--builds", dlmPath+","+dlmPath, "--data-dir", dir, "--bar", "1e9")...)
	cmd.Env = append(cmd.Env, "DLM_CLUSTER_QUOTA=none") // which the servers are not to see
	r := run(t, cmd)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if r.code != 1 || len(lines) != 6 || !strings.Contains(r.err, "below the bar") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if !strings.HasPrefix(lines[2], "other-dlm") || !strings.HasPrefix(lines[5], "dlm/other-dlm") {
		t.Errorf("rows of\n%s", r.out)
	}
	if at := strings.Index(lines[4], "REACHES 1e+09"); at < 0 || strings.Fields(lines[5][at:])[0] != "no" {
		t.Errorf("reached\n%s", r.out)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The load reaches each of the two by the way that it has, whatever the command's own is.
func TestBenchAgainstAnotherBuildSecure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := dlm(t, benchArgs("--workload", "own,idle,append", "--ttl", "2s", "--runs", "2", "--secure",
		"--against", "dlm", "--builds", dlmPath+","+dlmPath, "--data-dir", dir, "--json")...)
	cmd.Env = append(cmd.Env, "DLM_CLIENT_TLS=true")
	out := must(t, cmd)
	if got := strings.Count(out, `"system":"dlm"`) + strings.Count(out, `"system":"other-dlm"`); got != 6 {
		t.Errorf("%d rows, want two of each workload\n%s", got, out)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The first of the two is looked at meanwhile, as operators do.
func TestBenchAgainstAnotherBuildWatched(t *testing.T) {
	t.Parallel()
	r := run(t, dlm(t, benchArgs("--workload", "own", "--runs", "1", "--duration", "1500ms", "--watched",
		"--against", "dlm", "--builds", dlmPath+","+dlmPath, "--data-dir", t.TempDir(), "--json")...))
	if r.code != 0 || strings.Contains(r.err, "/metrics") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// Every workload reaches a server as the flags say.
func TestBenchShowsACertificate(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	certstest.Write(t, s.policy, []byte("rules:\n  - {identity: cn:worker, locks: [bench], allow: [acquire, append, read, inspect]}\n"))
	args := benchArgs("--workload", "own,append,publish,waiters,idle", "--ttl", "2s")
	eventually(t, "the policy", func() bool { return run(t, s.known(t, "lock", "bench", "true")).code == 0 })
	must(t, s.known(t, args...))
	if r := run(t, s.bare(t, args...)); r.code != 77 {
		t.Errorf("without a certificate: exit code %d, want 77\n%s", r.code, r.err)
	}
	if r := run(t, s.bare(t, benchArgs("--workload", "idle")...)); r.code == 0 || !strings.Contains(r.err, "certificate") {
		t.Errorf("idle without a certificate: exit code %d\n%s", r.code, r.err)
	}
}

func TestBenchAgainstAnotherBuildInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := start(t, dlm(t, benchArgs("--duration", "1h", "--against", "dlm", "--builds", dlmPath+","+dlmPath, "--data-dir", dir)...))
	eventually(t, "the second server's data", func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "*", "1", "*"))
		return err == nil && len(found) > 0
	})
	b.signal(t, syscall.SIGTERM)
	if code := b.wait(t); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d\n%s", code, b.err)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	b := start(t, dlm(t, benchArgs("--duration", "1h", "--workload", "one", "--clients", "1")...))
	eventually(t, "the load", func() bool {
		return strings.Contains(must(t, dlm(t, "status")), "dlm bench")
	})
	began := time.Now()
	b.signal(t, syscall.SIGTERM)
	if code := b.wait(t); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d after %v\n%s", code, time.Since(began), b.err)
	}
}
