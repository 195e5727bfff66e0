//go:build linux

package main_test

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/proctest"
)

// soon is how soon the next one is to have the lock of somebody who was killed, whatever the TTL. A
// busy machine is given more: what is measured is told with -v.
const soon = 2500 * time.Millisecond

// Whoever holds a lock or waits for it, and is killed, with a TTL of a minute, is not waited for.
func TestKilledIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	const lock = "linger/killed"
	for name, kill := range map[string]func(t *testing.T, wrapper int){
		"wrapper": func(t *testing.T, wrapper int) { killAll(t, wrapper) },
		"wrapper and guard": func(t *testing.T, wrapper int) {
			killAll(t, proctest.Helper(t, wrapper, "killer"), wrapper)
		},
	} {
		t.Run("holder, "+name, func(t *testing.T) {
			t.Parallel()
			lock := lock + "/" + strconv.Itoa(len(name))
			holder := start(t, dlm(t, "lock", "--ttl", "60s", lock, "sh", "-c", "echo $$; exec sleep 1000"))
			child := printed(t, holder)
			next := start(t, dlm(t, "lock", lock, "echo", "granted"))
			eventually(t, "the waiter's place", func() bool { return waiting(t, lock) == 1 })
			killed := time.Now()
			kill(t, holder.cmd.Process.Pid)
			passesOn(t, next, killed)
			if alive(child) {
				t.Error("the command of the one that was killed runs on")
			}
		})
	}
	t.Run("waiter", func(t *testing.T) {
		t.Parallel()
		lock := lock + "/waiter"
		holder, release := hold(t, lock)
		waiter := start(t, dlm(t, "lock", "--ttl", "60s", lock, "echo", "never"))
		eventually(t, "the waiter's place", func() bool { return waiting(t, lock) == 1 })
		next := start(t, dlm(t, "lock", lock, "echo", "granted"))
		eventually(t, "the next one's place", func() bool { return waiting(t, lock) == 2 })
		killed := time.Now()
		killAll(t, waiter.cmd.Process.Pid)
		release()
		if code := holder.wait(t); code != 0 {
			t.Errorf("holder: exit code %d", code)
		}
		passesOn(t, next, killed)
	})
}

// passesOn waits for the grant to the next in line, and tells how long that took.
func passesOn(t *testing.T, next *background, since time.Time) {
	t.Helper()
	next.says(t, "granted")
	took := time.Since(since)
	t.Logf("next grant %v after the kill", took.Round(10*time.Millisecond))
	if took > soon && !busy() {
		t.Errorf("next grant after %v, want %v at most", took, soon)
	}
	if code := next.wait(t); code != 0 {
		t.Errorf("the next one: exit code %d", code)
	}
}

// busy reports whether the machine has more to do than it can.
func busy() bool {
	var info unix.Sysinfo_t
	return unix.Sysinfo(&info) != nil || info.Loads[0]>>16 >= 2
}

// killAll kills processes at once: none of them notices the others' end first.
func killAll(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

// printed is the number that a command prints first.
func printed(t *testing.T, b *background) int {
	t.Helper()
	eventually(t, "a number", func() bool { return strings.Contains(b.out.String(), "\n") })
	n, err := strconv.Atoi(strings.TrimSpace(b.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A process that is stopped has not left: its lock lives its TTL.
func TestStoppedHolderHasItsTTL(t *testing.T) {
	t.Parallel()
	const lock, ttl = "linger/stopped", 9 * time.Second // of which a third may be over when it is stopped
	holder := start(t, dlm(t, "lock", "--ttl", ttl.String(), lock, "sh", "-c", "echo $$; sleep 1000"))
	printed(t, holder)
	next := start(t, dlm(t, "lock", lock, "echo", "granted"))
	eventually(t, "the waiter's place", func() bool { return waiting(t, lock) == 1 })
	stopped := time.Now()
	holder.signal(t, syscall.SIGSTOP)
	next.says(t, "granted")
	if took := time.Since(stopped); took < ttl/2 {
		t.Errorf("next grant %v after the stop, with a TTL of %v", took, ttl)
	} else {
		t.Logf("next grant %v after the stop", took.Round(10*time.Millisecond))
	}
	holder.signal(t, syscall.SIGCONT)
	if code := holder.wait(t); code != 70 {
		t.Errorf("exit code %d, want 70", code)
	}
}

// The commands that append with the section's credential come and go; that ends nothing.
func TestAppendingCommandsEndNothing(t *testing.T) {
	t.Parallel()
	must(t, dlm(t, "lock", "--ttl", "60s", "linger/child", "sh", "-c",
		"dlm append linger/child f one; sleep 4; dlm append linger/child f two"))
	if got := must(t, dlm(t, "cat", "linger/child", "f")); got != "one\ntwo\n" {
		t.Errorf("published %q", got)
	}
}

// The server is killed, and away for longer than anybody lingers. Its client had a connection of
// its own to it, and knows that nobody can have seen that end: the command runs on.
func TestServerAwayForLongerThanTheLinger(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	holder := start(t, command(t, s.addr, dlmPath, "lock", "--ttl", "60s", "away", "sh", "-c", "echo $$; sleep 6; dlm append away f x"))
	printed(t, holder)
	if err := s.stop(syscall.SIGKILL); err == nil {
		t.Fatal("the server survived SIGKILL")
	}
	<-time.After(3 * time.Second) // Nothing is waited for: this is the outage.
	again, err := startServer(s.addr, s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if code := holder.wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, holder.err)
	}
	if err := again.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, again.log)
	}
}
