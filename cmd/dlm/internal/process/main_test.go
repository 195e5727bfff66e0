//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// helperArg and wrapArg make the test binary a helper or a wrapper; rootArg, when that is a setuid
// program, one that runs another as root, as sudo does.
const (
	helperArg = "helper"
	wrapArg   = "wrap"
	rootArg   = "root"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == helperArg:
		// On another thread than the main one, as may happen to any goroutine: what the kernel
		// keeps of a thread is then not what it keeps of the process.
		runtime.LockOSThread()
		ended := make(chan int)
		go func() { ended <- process.Helper(os.Args[2], afterwards) }()
		os.Exit(<-ended)
	case len(os.Args) > 3 && os.Args[1] == wrapArg:
		os.Exit(wrap(os.Args[2], os.Args[3:]))
	case len(os.Args) > 2 && os.Args[1] == rootArg:
		os.Exit(becomeRoot(os.Args[2:]))
	}
	ptytest.DefaultSignals()
	await.AtATime(6) // all tests wait for processes
	os.Exit(m.Run())
}

// decidedEnv says when the lease is ended by decision, counted from its beginning.
const decidedEnv = "TEST_DECIDED"

// noShellEnv says that there is no shell for the guard.
const noShellEnv = "TEST_NO_SHELL"

// lateEnv says that the wrapper says so when Run has returned, and then waits.
const lateEnv = "TEST_LATE"

// leftoversEnv says what becomes of leftovers.
const leftoversEnv = "TEST_LEFTOVERS"

// afterwardsEnv names a file that a guard makes when it has ended the group.
const afterwardsEnv = "TEST_AFTERWARDS"

func afterwards(order []byte) { _ = os.WriteFile(string(order), nil, 0o600) }

// wrap runs a command under a lease of the given length, as `dlm lock` does, and returns the exit
// code; 70 if the lease ended, 71 if something could not be ended.
func wrap(lease string, argv []string) int {
	length, err := time.ParseDuration(lease)
	if err != nil {
		return fail(err)
	}
	path, err := process.Find(argv[0])
	if err != nil {
		return fail(err)
	}
	prepare := process.Prepare
	if os.Getenv(noShellEnv) != "" {
		prepare = process.PrepareWithoutShell
	}
	opts := process.Options{KillAfter: time.Second, Leftovers: process.WaitForLeftovers()}
	opts.Say = func(message string) { fmt.Fprintln(os.Stderr, message) }
	if text := os.Getenv(leftoversEnv); text != "" {
		if err := opts.Leftovers.Set(text); err != nil {
			return fail(err)
		}
	}
	signals := process.Catch()
	defer signals.Release()
	tree, err := prepare(helperArg, os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		return fail(err)
	}
	defer tree.Close()
	if path := os.Getenv(afterwardsEnv); path != "" {
		if err := tree.Afterwards([]byte(path)); err != nil {
			return fail(err)
		}
	}
	expiry := time.Now().Add(length)
	ctx, cancel := context.WithDeadline(context.Background(), expiry.Add(-margin))
	defer cancel()
	if after, err := time.ParseDuration(os.Getenv(decidedEnv)); err == nil {
		defer time.AfterFunc(after, cancel).Stop()
	}
	result, err := tree.Run(
		process.Lease{Context: ctx, Expiry: func() time.Time { return expiry }, Margin: func() time.Duration { return margin }},
		process.Command{Path: path, Args: argv, Env: append(os.Environ(), "TEST_MARK="+tree.Mark())}, signals, opts)
	if err != nil {
		return fail(err)
	}
	if os.Getenv(lateEnv) != "" {
		fmt.Fprintln(os.Stdout, "late")
		<-time.After(time.Minute)
	}
	if result.Interrupted != 0 {
		process.Propagate(result.Interrupted)
	}
	if len(result.Left) > 0 {
		fmt.Fprintln(os.Stderr, "left:", result.Left)
		return 71
	}
	if result.Lost {
		return 70
	}
	return result.Code
}

// becomeRoot runs a command as root, if this binary is a setuid program.
func becomeRoot(argv []string) int {
	path, err := exec.LookPath(argv[0])
	if err == nil {
		err = unix.Setreuid(0, 0)
	}
	if err == nil {
		err = syscall.Exec(path, argv, os.Environ())
	}
	return fail(err)
}

// margin is how long before the lease's end a wrapper must be done.
const margin = 400 * time.Millisecond

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	switch {
	case errors.Is(err, process.ErrNotFound):
		return 127
	case errors.Is(err, process.ErrNotRunnable):
		return 126
	}
	return 1
}
