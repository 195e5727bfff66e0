package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

func newRepair(s *streams) *cobra.Command {
	var conn connection
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "repair [flags] [KEY...]",
		Short: "Remove from etcd what no server has written",
		Long: `Remove the keys that "dlm status --problems" lists: those in a form that no server writes, because somebody else has
written them, or a disk is damaged. What is as it should be is never removed; the holder of a lock is removed as by "dlm
evict", so that the next who waits gets the lock.

KEY is a key as it is listed there. Without KEY all are removed with which nothing is lost; those that LOSES says something
of have to be named. --dry-run only lists what would be removed.`,
		Args: arguments(0, -1),
		RunE: func(cmd *cobra.Command, keys []string) error {
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			found, err := c.Problems(cmd.Context())
			if err != nil {
				return err
			}
			problems, err := chosen(found.Keys, keys)
			if err != nil {
				return err
			}
			if dryRun {
				return writeProblems(s, problems, asJSON)
			}
			var removed []*client.Problem
			for _, p := range problems {
				did, failed := c.Repair(cmd.Context(), p)
				switch {
				case failed != nil:
					err = errors.Join(err, failed)
				case did:
					removed = append(removed, p)
				}
			}
			if asJSON {
				return errors.Join(err, writeJSONArray(s.out, removed))
			}
			for _, p := range removed {
				_, failed := fmt.Fprintf(s.out, "removed the %s %s\n", p.GetKind(), printable(p.GetName()))
				err = errors.Join(err, failed)
			}
			if left := len(found.Keys) - len(removed); len(keys) == 0 && left > 0 {
				s.printf("%d are left: see \"dlm status --problems\", and name those that are to be removed", left)
			}
			return err
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be removed")
	return cmd
}

// chosen returns the problems with the named keys; without names, those with which nothing is lost.
func chosen(problems []*client.Problem, keys []string) (some []*client.Problem, err error) {
	if len(keys) == 0 {
		return slices.DeleteFunc(slices.Clone(problems), func(p *client.Problem) bool { return p.GetLoses() != "" || p.GetFixed() }), nil
	}
	for _, key := range keys {
		i := slices.IndexFunc(problems, func(p *client.Problem) bool { return printable(p.GetName()) == key })
		switch {
		case i < 0:
			return nil, fmt.Errorf("%q is not among the malformed keys (see dlm status --problems)", key)
		case problems[i].GetFixed():
			return nil, fmt.Errorf("%q concerns the whole cluster, and is not removed by a server: see docs/operations.md", key)
		}
		some = append(some, problems[i])
	}
	return some, nil
}

// writeProblems writes malformed keys as a table, or as JSON.
func writeProblems(s *streams, problems []*client.Problem, asJSON bool) error {
	if asJSON {
		return writeJSONArray(s.out, problems)
	}
	rows := [][]string{{"KIND", "LOCK", "REVISION", "KEY", "WHAT IS WRONG", "LOSES"}}
	for _, p := range problems {
		loses := orDash(p.GetLoses())
		if p.GetFixed() {
			loses = "not to be removed"
		}
		rows = append(rows, []string{
			p.GetKind(), orDash(p.GetLock()), strconv.FormatInt(p.GetRevision(), 10), p.GetName(), p.GetWhy(), loses,
		})
	}
	return writeTable(s.out, rows)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
