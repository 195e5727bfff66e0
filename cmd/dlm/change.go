package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// How what a command does to a file goes on beside others, and within dlm lock.
const (
	howPublished = `It is published without taking the lock, if nobody holds it and nobody waits for it. Otherwise, and with --try or
--wait, it takes the lock, and releases it.`
	howHeld = `Inside "dlm lock LOCK" it comes into effect when the lock that is held already is released, in order with what is
appended. It exits 70 if that lock was lost, and never takes it anew.`
)

// newChange makes a command that changes a file, from its arguments.
func newChange(s *streams, cmd *cobra.Command, of func(args []string) (change, error)) *cobra.Command {
	c := &changer{streams: s}
	cmd.Long += "\n\n" + howHeld
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := c.check(cmd); err != nil {
			return err
		}
		do, err := of(args)
		if err != nil {
			return err
		}
		return c.run(cmd.Context(), args[0], do)
	}
	c.flags(cmd)
	return cmd
}

func newReplace(s *streams) *cobra.Command {
	return newChange(s, &cobra.Command{
		Use:   "replace [flags] LOCK FILE",
		Short: "Replace a file by standard input",
		Long: fmt.Sprintf(`Have FILE of LOCK be what standard input has, %d MiB at most. Whoever reads it has all of the one or all of the other;
who follows it is told, and begins anew. What was there before is not kept.

Up to 1 MiB is published without taking the lock, if nobody holds it and nobody waits for it. Otherwise, and with --try or
--wait, it takes the lock, and releases it.`, etcdstore.MaxSection>>20),
		Example: `  dlm replace orders current.json < current.json
  dlm replace --if-version "$v" orders current.json < next.json`,
		Args: arguments(2, 2),
	}, func(args []string) (change, error) {
		return change{args[1], s.in, client.Replace}, nil
	})
}

func newRemove(s *streams) *cobra.Command {
	return newChange(s, &cobra.Command{
		Use:   "rm [flags] LOCK FILE",
		Short: "Remove a file",
		Long: `Remove FILE of LOCK. It need not be there. Who follows it is told, and waits for it to be made again.

` + howPublished,
		Example: `  dlm rm orders current.json`,
		Args:    arguments(2, 2),
	}, func(args []string) (change, error) {
		return change{args[1], nil, func(file string, _ []byte) *client.Operation { return client.Remove(file) }}, nil
	})
}

func newCut(s *streams) *cobra.Command {
	var before int64
	var cmd *cobra.Command
	cmd = newChange(s, &cobra.Command{
		Use:   "cut [flags] LOCK FILE --before OFFSET",
		Short: "Cut off the beginning of a file",
		Long: `Cut off what is before an offset of FILE of LOCK. What is behind it keeps its offsets, so that who follows the file goes
on. The space comes back, but for a part of a chunk of 64 KiB. A file's start, which "dlm ls" shows, never goes
back, nor beyond its end.

` + howPublished,
		Example: `  dlm cut orders audit.log --before 1000000`,
		Args:    arguments(2, 2),
	}, func(args []string) (change, error) {
		if !cmd.Flags().Changed("before") {
			return change{}, usagef("say --before OFFSET, the first byte to keep")
		}
		if before < 0 {
			return change{}, usagef("--before is %d, must not be negative", before)
		}
		return change{args[1], nil, func(file string, _ []byte) *client.Operation { return client.Cut(file, before) }}, nil
	})
	cmd.Flags().Int64Var(&before, "before", 0, "first byte to keep, counted from 0")
	return cmd
}
