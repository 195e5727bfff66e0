package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManual is for who packages dlm, and hidden from its users.
func newManual() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write manual pages",
		Long:   "Write a manual page for each command, dlm.1, dlm-lock.1 and so on, into a directory, which is made if it is not there.",
		Hidden: true,
		Args:   arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			b := build()
			header := &doc.GenManHeader{Section: "1", Source: "dlm " + b.Version, Manual: "dlm"}
			// Two builds of a commit have the same pages.
			if committed, err := time.Parse(time.RFC3339, b.Committed); err == nil {
				header.Date = &committed
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			return nil
		},
	}
}
