//go:build unix

package main

import (
	"context"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// readerCheck is how long a look for a reader takes at most.
const readerCheck = 200 * time.Millisecond

// whileRead returns a context that ends when nobody reads f any more. A command that follows
// something would otherwise notice only when it has the next thing to write: "dlm tail -f … | grep
// -m 1 done" should end with grep.
func whileRead(parent context.Context, f *os.File) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			// No event is asked for: errors and hang-ups are reported anyway.
			fds := []unix.PollFd{{Fd: int32(f.Fd())}} //nolint:gosec // descriptors are small
			if n, err := unix.Poll(fds, int(readerCheck.Milliseconds())); err == nil && n > 0 {
				cancel(exitWith(128 + int(unix.SIGPIPE)))
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
	}
}
