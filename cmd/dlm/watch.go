package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func newWatch(s *streams) *cobra.Command {
	var conn connection
	var asJSON bool
	var since int64
	cmd := &cobra.Command{
		Use:   "watch [flags] [PREFIX]",
		Short: "Print what happens to locks, as it happens",
		Long: `Print what happens to the locks whose names begin with PREFIX, or to all: first the state as it is, then each change,
until interrupted. After a gap the state is printed again.

With --since REVISION print instead what has happened after that revision, as far as etcd's history goes, and then each
change, every one once. To go on where an earlier one with --json was interrupted, give the last revision that it printed.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			past := cmd.Flags().Changed("since")
			if past && since <= 0 {
				return usagef("--since is %d; want a revision that was printed", since)
			}
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			prefix := strings.Join(args, "")
			ctx, stop := whileRead(cmd.Context(), s.out)
			defer stop()
			write := writeEvent
			if asJSON {
				write = func(w io.Writer, e *dlmv1.Event) error { return writeJSON(w, e) }
			}
			if past {
				return watchSince(ctx, c, prefix, since, s.out, write)
			}
			for event, err := range c.Watch(ctx, prefix) {
				if err != nil {
					return ended(ctx, err)
				}
				if err := write(s.out, event); err != nil {
					return err
				}
			}
			return context.Cause(ctx)
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().Int64Var(&since, "since", 0, "print what has happened after this `REVISION`, not the state")
	return cmd
}

// watchSince writes what has happened after a revision and what happens, the events of a revision
// all at once: whoever goes on after the last one that was written misses none.
func watchSince(
	ctx context.Context, c *client.Client, prefix string, since int64, w io.Writer, write func(io.Writer, *dlmv1.Event) error,
) error {
	for news, err := range c.WatchSince(ctx, prefix, since) {
		if err != nil {
			return ended(ctx, err)
		}
		var lines bytes.Buffer
		for _, e := range news.GetEvents() {
			if err := write(&lines, e); err != nil {
				return err
			}
		}
		if _, err := w.Write(lines.Bytes()); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// writeEvent writes one event on one line.
func writeEvent(w io.Writer, e *dlmv1.Event) error {
	what := strings.ToLower(strings.TrimPrefix(e.GetType().String(), "TYPE_"))
	if e.GetInitial() {
		what = "is " + what
	}
	line := fmt.Sprintf("%-10s  %s  %s", what, e.GetLock(), who(e.GetLabel(), e.GetSession()))
	if e.GetToken() != 0 {
		line += fmt.Sprintf("  token %d", e.GetToken())
	}
	if e.GetReason() != "" {
		line += fmt.Sprintf("  (%q)", e.GetReason())
	}
	_, err := fmt.Fprintln(w, printable(line))
	return err
}
