package main_test

import (
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
