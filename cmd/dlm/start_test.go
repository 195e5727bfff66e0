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
