package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	_ "github.com/distributed-lock-manager/dlm/cmd/dlm/internal/collectors" // has etcd's wait
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/cmd/internal/heap"
)

// helperArg makes this binary a helper of `dlm lock`. It is read before the commands are, and is
// none of them.
const helperArg = "process-group-helper"

func main() {
	if len(os.Args) == 3 && os.Args[1] == helperArg {
		os.Exit(process.Helper(os.Args[2], endLease))
	}
	heap.First()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: what the exit code is about has been said on stderr when it returns.
func run(ctx context.Context, args []string, stdin, stdout, stderr *os.File) int {
	s := &streams{in: stdin, out: stdout, err: stderr}
	root := newRoot(s, args)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, end := s.traced(ctx, root, args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		end(nil)
		return exitOK
	}
	if !errors.As(err, new(silent)) {
		fmt.Fprintf(stderr, "dlm: %s\n", printable(told(err)))
	}
	end(err)
	var keyboard *interrupted
	if errors.As(err, &keyboard) {
		process.Propagate(keyboard.signal)
	}
	return exitCode(err)
}

// streams are the process's standard streams. They are files, not readers and writers, because `dlm
// lock` passes them on to its command.
type streams struct {
	in, out, err *os.File
}

// printf writes a message for people.
func (s *streams) printf(format string, args ...any) {
	fmt.Fprintf(s.err, "dlm: %s\n", printable(fmt.Sprintf(format, args...)))
}
