package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

const (
	noticeAfter   = time.Second     // of waiting, before a user is told whom for
	noticeTimeout = 2 * time.Second // for finding that out
	settleTimeout = 5 * time.Second // for ending what is not wanted any more

)

// acquisition is how a command asks for its lock.
type acquisition struct {
	try      bool
	wait     time.Duration
	waitSet  bool
	conflict int
	label    string
	quiet    bool
	maxHold  time.Duration // 0: as long as the servers allow
}

func (a *acquisition) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.try, "try", "n", false, "do not wait for the lock, nor for servers that cannot be reached")
	cmd.Flags().DurationVarP(&a.wait, "wait", "w", 0, "wait this long at most, for the lock and for servers (default: for ever)")
	cmd.Flags().IntVarP(&a.conflict, "conflict-exit-code", "E", exitNotAcquired, "exit code if the lock was not acquired")
	cmd.Flags().StringVar(&a.label, "label", "", "who this is, for the eyes of others (default user@host:pid)")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "do not tell who holds the lock")
}

// check refuses flags that make no sense.
func (a *acquisition) check(cmd *cobra.Command) error {
	a.waitSet = cmd.Flags().Changed("wait")
	switch {
	case a.try && a.waitSet:
		return usagef("--try and --wait exclude each other")
	case a.wait < 0 || a.wait > etcdstore.MaxWait:
		return usagef("--wait is %v, must be between 0s and %v", a.wait, etcdstore.MaxWait)
	case a.conflict < 0 || a.conflict > 255:
		return usagef("--conflict-exit-code is %d, must be between 0 and 255", a.conflict)
	}
	return nil
}

// acquire gets the lock as the flags say. If it has to wait, it writes to stderr, once, whom for.
// Not getting the lock is an error with the exit code that was asked for; nothing is left in the
// queue then.
func (a *acquisition) acquire(ctx context.Context, c *client.Client, lock string, s *streams) (*client.Lock, error) {
	var opts []client.LockOption
	if a.maxHold > 0 {
		opts = append(opts, client.WithMaxHold(a.maxHold))
	}
	if a.try || a.waitSet && a.wait == 0 {
		l, err := c.TryLock(ctx, lock, opts...)
		return l, a.busy(lock, err)
	}
	if a.waitSet {
		opts = append(opts, client.WithWait(a.wait))
	}
	if !a.quiet {
		defer a.notice(ctx, c, lock, s)()
	}
	l, err := c.Lock(ctx, lock, opts...)
	return l, a.busy(lock, err)
}

// busy is the refusal err in words for people, and with its exit code; other errors are left as
// they are.
func (a *acquisition) busy(lock string, err error) error {
	var busy *client.BusyError
	if !errors.As(err, &busy) {
		return err
	}
	coded := exitError{code: a.conflict, err: fmt.Errorf("lock %q not acquired: %s", lock, contention(busy.Holder, busy.QueueLength))}
	if a.quiet {
		return silent{coded}
	}
	return coded
}

// notice writes to stderr what a wait is for, if it lasts: whom, or a limit of the server's; each
// once. The place in the queue is not touched by that. stop ends it.
func (a *acquisition) notice(ctx context.Context, c *client.Client, lock string, s *streams) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(noticeAfter)
		defer tick.Stop()
		for saidWhom, saidLimit := false, false; !saidWhom || !saidLimit; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			text, limit := "", c.Limited()
			switch {
			case limit == nil && !saidWhom:
				text, limit = whom(ctx, c, lock)
				saidWhom = limit == nil
			case limit != nil && saidLimit:
				continue
			}
			if limit != nil {
				text, saidLimit = limitText(limit), true
			}
			if text != "" && ctx.Err() == nil {
				s.printf("waiting for lock %q: %s", lock, text)
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// whom says who is in the way of a wait, or which limit keeps it from being found out.
func whom(ctx context.Context, c *client.Client, lock string) (string, *client.Error) {
	ctx, cancel := context.WithTimeout(ctx, noticeTimeout)
	defer cancel()
	state, err := c.Inspect(ctx, lock)
	var refused *client.Error
	switch {
	case errors.Is(err, client.ErrLimit) && errors.As(err, &refused):
		return "", refused
	case errors.Is(err, client.ErrPermissionDenied):
		return "who holds it may not be seen", nil
	case err != nil && !errors.Is(err, client.ErrLockNotFound):
		return "no server answers", nil
	}
	return contention(state.GetHolder(), int(state.GetQueueLength())), nil
}

// limitText says that a server's limit is in the way.
func limitText(limit *client.Error) string { return fmt.Sprintf("the server is at a limit: %v", limit) }

// contention says who is in the way.
func contention(holder *dlmv1.Holder, queue int) string {
	holding := "nobody that may be seen holds it just now"
	if holder != nil {
		holding = fmt.Sprintf("held by %q for %s (token %d)", holder.GetLabel(), age(holder.GetSince()), holder.GetToken())
	}
	return fmt.Sprintf("%s, %d in the queue", holding, queue)
}

// abandon discards a section whose records nobody wants. If that fails, or ctx ends, the session's
// end does it.
func abandon(ctx context.Context, l *client.Lock) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_ = l.Discard(ctx)
}

// publish releases the lock and publishes its section. The client rides an outage out for as long
// as the lock is certainly held, unless ctx ends; whatever keeps the release from being confirmed
// counts as a loss. The error says whether anything may have been published all the same.
func publish(ctx context.Context, l *client.Lock) error {
	switch err := l.Unlock(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrOutcomeUnknown), ctx.Err() != nil:
		return fmt.Errorf("%w: it is not known whether the section was published: %w", errLost, err)
	case errors.Is(err, client.ErrPermissionDenied), errors.Is(err, client.ErrUnauthenticated):
		return fmt.Errorf("nothing was published: %w", err)
	default:
		return fmt.Errorf("%w: nothing was published: %w", errLost, err)
	}
}
