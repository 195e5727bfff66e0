package main

import (
	"github.com/spf13/cobra"
)

func newCat(s *streams) *cobra.Command {
	var conn connection
	var offset int64
	cmd := &cobra.Command{
		Use:   "cat [flags] LOCK FILE",
		Short: "Print a file's published bytes",
		Long: `Print FILE of LOCK as it is at one moment: every section that was released or committed before, whole, and nothing
of those that are still open.`,
		Args: arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if offset < 0 {
				return usagef("--offset is %d, must not be negative", offset)
			}
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			_, err = c.Copy(cmd.Context(), s.out, args[0], args[1], offset)
			return err
		},
	}
	conn.flags(cmd)
	cmd.Flags().Int64Var(&offset, "offset", 0, "first byte to print, counted from 0")
	return cmd
}
