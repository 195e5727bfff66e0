package main_test

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// holding is a `dlm lock` whose command waits for the end of its standard input.
type holding struct {
	*background
	in      io.Closer
	session string // its public id
}

// holdAt begins one at a server, whose command first runs a line of shell, and exits with a code.
func holdAt(t *testing.T, addr, line string, code int, args ...string) holding {
	t.Helper()
	script := line + `; echo "session ${DLM_SESSION%%.*}."; read x; exit ` + strconv.Itoa(code)
	cmd := command(t, addr, dlmPath, append(append([]string{"lock"}, args...), "sh", "-c", script)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, cmd)
	b.says(t, ".\n")
	_, id, _ := strings.Cut(b.out.String(), "session ")
	id, _, _ = strings.Cut(id, ".")
	return holding{b, in, id}
}

// A hold that was lost is reported, whatever was or was not appended, and also if nobody has
// noticed before the command ends, in whichever way.
func TestLostHold(t *testing.T) {
	t.Parallel()
	etcdAddr := storetest.FreeAddr(t)
	s := ownServer(t, "--cluster-client-listen", etcdAddr)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{etcdAddr}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { etcd.Close() })
	for _, test := range []struct {
		name, line string
		code       int // the command's own
	}{
		{"nothing", "true", 0},
		{"appends", "dlm append lost/appends file text", 0},
		{"fails", "true", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			lock := "lost/" + test.name
			h := holdAt(t, s.addr, test.line, test.code, "--ttl", "10m", lock)
			lease, err := strconv.ParseInt(h.session, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := etcd.Revoke(ctx, clientv3.LeaseID(lease)); err != nil {
				t.Fatal(err)
			}
			must(t, command(t, s.addr, dlmPath, "lock", "-w", "20s", lock, "true"))
			h.in.Close()
			if code := h.wait(t); code != 70 || !regexp.MustCompile("nothing (was )?published").MatchString(h.err.String()) {
				t.Errorf("exit code %d, want 70 and that nothing was published\n%s", code, h.err)
			}
			if r := run(t, command(t, s.addr, dlmPath, "cat", lock, "file")); r.code != 1 {
				t.Errorf("published %q", r.out)
			}
		})
	}
}

// A wrapper that was stopped for longer than its lock lives has lost it, though its command did
// nothing under the lock.
func TestLostWhileStopped(t *testing.T) {
	t.Parallel()
	h := holdAt(t, endpoint, "true", 0, "--ttl", "2s", "lost/stopped")
	h.signal(t, syscall.SIGSTOP)
	must(t, dlm(t, "lock", "-w", "20s", "lost/stopped", "true"))
	h.in.Close() // the command may end now
	h.signal(t, syscall.SIGCONT)
	if code := h.wait(t); code != 70 || !strings.Contains(h.err.String(), "nothing published") {
		t.Errorf("exit code %d, want 70 and that nothing was published\n%s", code, h.err)
	}
}

// A release that nobody answers: whether it was carried out is not known, and that is said.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	h := holdAt(t, s.addr, "dlm append unknown file text", 0, "--ttl", "3s", "--connect-timeout", "1s", "unknown")
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.in.Close()
	if code := h.wait(t); code != 70 || !strings.Contains(h.err.String(), "it is not known whether the section was published") {
		t.Errorf("exit code %d, want 70 and that the outcome is not known\n%s", code, h.err)
	}
}

// A holder that dies is in the log, though it has appended nothing; one that releases and leaves is
// not.
func TestDeadHolderIsLogged(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	must(t, command(t, s.addr, dlmPath, "lock", "well", "true"))
	holder := start(t, command(t, s.addr, dlmPath, "lock", "bereft", "sh", "-c", "echo held; exec sleep 60"))
	holder.says(t, "held")
	holder.signal(t, syscall.SIGKILL) // its guard ends the session
	eventually(t, "the line in the log", func() bool {
		return strings.Contains(s.log.String(), `"msg":"a lock was lost: its holder's session has ended","lock":"bereft"`)
	})
	if n := strings.Count(s.log.String(), "a lock was lost"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, s.log)
	}
}
