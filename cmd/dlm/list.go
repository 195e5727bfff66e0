package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

func newList(s *streams) *cobra.Command {
	var conn connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls [flags] [LOCK]",
		Short: "List the files of one lock, or of all",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			lock := ""
			if len(args) == 1 {
				if lock = args[0]; lock == "" {
					return usagef("LOCK is empty; leave it out for all locks")
				}
			}
			files, err := c.ListFiles(cmd.Context(), lock)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSONArray(s.out, files)
			}
			rows := [][]string{{"LOCK", "FILE", "BYTES", "VERSION"}}
			for _, f := range files {
				rows = append(rows, []string{
					f.GetLock(), f.GetName(), strconv.FormatInt(f.GetSize(), 10), client.FormatVersion(f.GetVersion()),
				})
			}
			return writeTable(s.out, rows)
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}
