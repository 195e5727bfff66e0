package main

import (
	"slices"
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
			return writeTable(s.out, fileRows(files))
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// fileRows are a table of files. Where they start is in it if one of them was cut.
func fileRows(files []*client.File) [][]string {
	cut := slices.ContainsFunc(files, func(f *client.File) bool { return f.GetStart() > 0 })
	rows := [][]string{{"LOCK", "FILE", "BYTES", "VERSION"}}
	if cut {
		rows[0] = append(rows[0], "START")
	}
	for _, f := range files {
		row := []string{f.GetLock(), f.GetName(), strconv.FormatInt(f.GetSize(), 10), client.FormatVersion(f.GetVersion())}
		if cut {
			row = append(row, strconv.FormatInt(f.GetStart(), 10))
		}
		rows = append(rows, row)
	}
	return rows
}
