package main_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// How long a command may wait is how long it may wait for servers, too, whatever the connect
// timeout is.
func TestBoundedWaitEndsWithoutServers(t *testing.T) {
	t.Parallel()
	stopped := ownServer(t)
	holder := start(t, command(t, stopped.addr, dlmPath, "lock", "--ttl", "2m", "l", "sh", "-c", "echo held; exec sleep 60"))
	holder.says(t, "held")
	waiter := start(t, command(t, stopped.addr, dlmPath, "lock", "--connect-timeout", "2m", "-w", "5s", "l", "true"))
	waiter.says(t, "waiting for")
	before := time.Now()
	if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const most = 20 * time.Second // for a busy machine: far below the connect timeout
	for name, args := range map[string][]string{
		"-n, nobody listens":     {"lock", "-n", "--endpoints", storetest.FreeAddr(t), "l", "true"},
		"-n, silence":            {"lock", "-n", "--endpoints", stopped.addr, "l", "true"},
		"-w 1s, nobody listens":  {"append", "-w", "1s", "--endpoints", storetest.FreeAddr(t), "l", "file", "text"},
		"-w 1s, silence":         {"lock", "-w", "1s", "--endpoints", stopped.addr, "l", "true"},
		"other connect timeouts": {"status", "--connect-timeout", "1s", "--endpoints", stopped.addr},
		"and of health":          {"health", "--connect-timeout", "1s", "--endpoints", stopped.addr},
	} {
		began := time.Now()
		if args[0] == "lock" || args[0] == "append" {
			args = append([]string{args[0], "--connect-timeout", "2m"}, args[1:]...)
		}
		r := run(t, dlm(t, args...))
		t.Logf("%s: %v, %s", name, time.Since(began).Round(time.Millisecond), r.out+r.err)
		if took := time.Since(began); r.code != 69 || took > most {
			t.Errorf("%s: exit code %d, want 69, after %v: %s", name, r.code, took, r.err)
		}
	}
	if code := waiter.wait(t); code != 69 || time.Since(before) > most {
		t.Errorf("-w 5s, and the server falls silent: exit code %d, want 69, after %v: %s", code, time.Since(before), waiter.err)
	}
}
