//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
)

// helperArg and wrapArg make the test binary a helper or a wrapper.
const (
	helperArg = "helper"
	wrapArg   = "wrap"
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
	}
	ptytest.DefaultSignals()
	os.Exit(m.Run())
}

// afterwardsEnv names a file that a guard makes when it has ended the group.
const afterwardsEnv = "TEST_AFTERWARDS"

func afterwards(order []byte) { _ = os.WriteFile(string(order), nil, 0o600) }

// wrap runs a command under a lease of the given length, as `dlm lock` does, and returns the exit
// code; 70 if the lease ended.
func wrap(lease string, argv []string) int {
	length, err := time.ParseDuration(lease)
	if err != nil {
		return fail(err)
	}
	path, err := process.Find(argv[0])
	if err != nil {
		return fail(err)
	}
	signals := process.Catch()
	defer signals.Release()
	group, err := process.Prepare(helperArg, os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		return fail(err)
	}
	defer group.Close()
	if path := os.Getenv(afterwardsEnv); path != "" {
		if err := group.Afterwards([]byte(path)); err != nil {
			return fail(err)
		}
	}
	expiry := time.Now().Add(length)
	ctx, cancel := context.WithDeadline(context.Background(), expiry.Add(-margin))
	defer cancel()
	result, err := group.Run(
		process.Lease{Context: ctx, Expiry: func() time.Time { return expiry }, Margin: func() time.Duration { return margin }},
		process.Command{Path: path, Args: argv, Env: os.Environ()}, signals)
	if err != nil {
		return fail(err)
	}
	if result.Interrupted != 0 {
		process.Propagate(result.Interrupted)
	}
	if result.Lost {
		return 70
	}
	return result.Code
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
