package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

func newCat(s *streams) *cobra.Command {
	var conn connection
	var offset int64
	var version bool
	cmd := &cobra.Command{
		Use:   "cat [flags] LOCK FILE",
		Short: "Print a file's published bytes",
		Long: `Print FILE of LOCK as it is at one moment: every section that was released or committed before, whole, and nothing
of those that are still open.

A file that was cut is printed from where it starts. With --offset, it is an error if that was cut off, which says where
the file starts. If the file is replaced while it is printed, it exits with 1.`,
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
			if version {
				v, err := c.FileVersion(cmd.Context(), args[0], args[1])
				if err == nil {
					_, err = fmt.Fprintln(s.out, versionText(v))
				}
				return err
			}
			if cmd.Flags().Changed("offset") {
				_, err = c.Copy(cmd.Context(), s.out, args[0], args[1], offset)
			} else {
				_, err = c.CopyAll(cmd.Context(), s.out, args[0], args[1])
			}
			return err
		},
	}
	conn.flags(cmd)
	cmd.Flags().Int64Var(&offset, "offset", 0, "first byte to print, counted from 0 (default where the file starts)")
	cmd.Flags().BoolVar(&version, "version", false, "print the file's version for append --if-version, and none of its bytes")
	cmd.MarkFlagsMutuallyExclusive("offset", "version")
	return cmd
}

// noVersion stands for a file that does not exist.
const noVersion = "none"

func versionText(v *client.Version) string {
	if v == nil {
		return noVersion
	}
	return client.FormatVersion(v)
}

// parseVersion reads what versionText writes.
func parseVersion(s string) (*client.Version, error) {
	if s == noVersion {
		return nil, nil //nolint:nilnil // there is no such file
	}
	return client.ParseVersion(s)
}
