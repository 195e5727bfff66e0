package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/top"
)

// maxInterval bounds --interval: nobody looks at what is older.
const maxInterval = time.Hour

func newTop(s *streams) *cobra.Command {
	var conn connection
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "top [flags] [PREFIX]",
		Short: "Show who holds and who waits, live",
		Long: `Show the locks that are held or waited for and whose names begin with PREFIX, or all, on the whole terminal, and keep
that up to date: who holds each, under which token and identity, for how long and how long it may (LEFT), what is left of the
lease and when the last heartbeat was, where the server tells (LEASE, BEAT), how many wait, how long the first of them has
waited, and how many records are staged. The longest wait is first. Columns that do not fit are left out.

Keys: arrows, j, k, PgUp, PgDn, Home and End move; / filters by name, holder or identity; s sorts by the next of oldest wait,
time held, waiters and name; Enter shows one lock with its queue and what has happened to it since the view was opened; e
evicts the holder that is shown, by its token, after it has asked for a reason and once more; Ctrl-L draws the page anew; q or Ctrl-C quits.

While no server answers it says so, and goes on when one does. Where the output is no terminal, or one that cannot be
addressed, the table is printed once, or every --interval if that is given.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if interval < 100*time.Millisecond || interval > maxInterval {
				return usagef("--interval is %v, must be between 100ms and %v", interval, maxInterval)
			}
			cfg, err := conn.config(0, "")
			if err != nil {
				return err
			}
			c, err := client.Open(cfg)
			if err != nil {
				return err
			}
			defer c.Close()
			prefix := strings.Join(args, "")
			err = top.ErrTerminal
			if term.IsTerminal(int(s.in.Fd())) && term.IsTerminal(int(s.out.Fd())) {
				err = showTop(cmd.Context(), c, prefix, interval)
			}
			if !errors.Is(err, top.ErrTerminal) {
				return err
			}
			if !cmd.Flags().Changed("interval") {
				interval = 0
			}
			return printTop(cmd.Context(), c, prefix, interval, s)
		},
	}
	conn.flags(cmd)
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "how long it waits at least before it asks anew, 100ms to 1h")
	return cmd
}

// showTop shows the view on the terminal. A signal that ends it leaves the terminal as it was.
func showTop(ctx context.Context, c *client.Client, prefix string, interval time.Duration) error {
	signals := process.Catch(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signals.Release()
	ctx, stop := signals.Context(ctx)
	defer stop()
	return orSignal(ctx, top.Show(ctx, top.Config{
		Source: c, Prefix: prefix, Interval: interval, Lock: describe,
		Event: func(w io.Writer, e *client.Event) error { return writeEvent(w, e) },
	}))
}

// printTop prints the table, and again whenever the interval is over; 0: once.
func printTop(ctx context.Context, c *client.Client, prefix string, interval time.Duration, s *streams) error {
	ctx, stop := whileRead(ctx, s.out)
	defer stop()
	for {
		locks, err := c.List(ctx, prefix)
		if err == nil {
			err = writeTable(s.out, top.Table(locks, time.Now()))
		}
		if err != nil || interval == 0 {
			return ended(ctx, err)
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
