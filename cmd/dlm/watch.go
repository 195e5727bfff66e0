package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func newWatch(s *streams) *cobra.Command {
	var conn connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch [flags] [PREFIX]",
		Short: "Print what happens to locks, as it happens",
		Long: `Print what happens to the locks whose names begin with PREFIX, or to all: first the state as it is, then each change,
until interrupted. After a gap the state is printed again.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			prefix := strings.Join(args, "")
			ctx, stop := whileRead(cmd.Context(), s.out)
			defer stop()
			for event, err := range c.Watch(ctx, prefix) {
				if err != nil {
					return ended(ctx, err)
				}
				if asJSON {
					err = writeJSON(s.out, event)
				} else {
					err = writeEvent(s.out, event)
				}
				if err != nil {
					return err
				}
			}
			return context.Cause(ctx)
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
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
