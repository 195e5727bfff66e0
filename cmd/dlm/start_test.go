package main_test

import (
	"regexp"
	"strings"
	"testing"
)

// Before a command does anything, nothing of etcd's is registered with Prometheus: what has it wait
// is initialised before etcd is.
func TestStartInitialisation(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "version")
	cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1")
	_, after, ok := strings.Cut(run(t, cmd).err, "/cmd/dlm/internal/collectors @")
	if !ok || !strings.Contains(after, "init go.etcd.io/etcd/server/v3/etcdserver @") {
		t.Error("the collectors are not initialised before etcd")
	}
}

// A short command ends before anything is collected.
func TestStartCollectsNothing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"append", "start", "file", "text"}, {"cat", "start", "file"}, {"ls"}} {
		cmd := dlm(t, args...)
		cmd.Env = append(cmd.Env, "GODEBUG=gctrace=1", "GOGC=")
		if r := run(t, cmd); r.code != 0 || strings.Contains(r.err, "gc 1 @") {
			t.Errorf("%q ends with %d:\n%s", args, r.code, r.err)
		}
	}
}

// A command that is made alone is the one that it is among all of them.
func TestStartMakesOne(t *testing.T) {
	t.Parallel()
	names := regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`).FindAllStringSubmatch(must(t, dlm(t, "--help")), -1)
	if len(names) < 25 {
		t.Fatalf("there are %d commands: %q", len(names), names)
	}
	for _, found := range names {
		if name := found[1]; name != "help" {
			alone, among := must(t, dlm(t, name, "--help")), must(t, dlm(t, "help", name))
			if alone != among || !strings.Contains(alone, "dlm "+name) {
				t.Errorf("dlm %s --help prints %q, dlm help %s %q", name, alone, name, among)
			}
		}
	}
}
