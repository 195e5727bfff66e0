package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/config"
)

func newRetention(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Say how much of files is kept",
		Long: `Say how much is kept of the files of all locks whose names begin with a prefix. About once a minute the servers cut off
what is older, or more, from the beginning of each file, where a section ends, whoever holds the lock. What is left keeps its
offsets, and files their versions; "dlm cat" begins with what there is, "dlm tail" goes on behind a gap. The space
comes back.

Of the prefixes that a lock's name begins with the longest counts, alone. It takes the right to "admin".`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRetentionSet(s), newRetentionList(s), newRetentionRemove(s))
	return cmd
}

func newRetentionSet(s *streams) *cobra.Command {
	var conn connection
	var files, maxBytes, maxAge string
	cmd := &cobra.Command{
		Use:   "set [flags] PREFIX",
		Short: "Keep no more of files than so many bytes, or than is so old",
		Long: `Keep no more of the files of the locks whose names begin with PREFIX ("" for all locks), in place of what was said of it
before. With --max-bytes and --max-age both count.

A file has up to --max-bytes, with a sixteenth less after a cut, but more until it is cut about once a minute, and
always its last section. What is older than --max-age is cut off when it is a sixteenth of that older. What is in a file
already counts from now on: by its age as if it were new, by its size once the file grows.`,
		Example: `  dlm retention set logs/ --max-bytes 64MiB --max-age 30d
  dlm retention set jobs/nightly --files '*.log' --max-age 12h`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &client.Retention{Prefix: args[0], Files: files}
			if maxBytes == "" && maxAge == "" {
				return usagef("say how much is kept: --max-bytes, --max-age, or both")
			}
			if maxBytes != "" {
				bytes, ok := config.ParseSize(maxBytes)
				if !ok || bytes <= 0 {
					return usagef("--max-bytes is %q, must be a size above 0 such as 64MiB", maxBytes)
				}
				r.MaxBytes = bytes
			}
			if maxAge != "" {
				d, ok := parseAge(maxAge)
				if !ok || d < time.Minute {
					return usagef("--max-age is %q, must be a duration of at least 1m such as 12h or 30d", maxAge)
				}
				r.MaxAge = durationpb.New(d)
			}
			return setRetention(cmd, s, &conn, r, "set")
		},
	}
	conn.flags(cmd)
	cmd.Flags().StringVar(&files, "files", "", `which files, a pattern such as '*.log' (default: all)`)
	cmd.Flags().StringVar(&maxBytes, "max-bytes", "", "the most bytes of a file; in bytes, KiB, MiB, GiB, KB, MB or GB")
	cmd.Flags().StringVar(&maxAge, "max-age", "", "how old what is in a file may become, at least 1m; in m, h, or d for 24 hours")
	return cmd
}

func newRetentionRemove(s *streams) *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:   "rm [flags] PREFIX",
		Short: "Say nothing of a prefix any more",
		Long: `Say nothing of PREFIX any more: what a shorter prefix says counts for its locks, else all is kept. A prefix of which
nothing is said is left as it is.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return setRetention(cmd, s, &conn, &client.Retention{Prefix: args[0]}, "removed")
		},
	}
	conn.flags(cmd)
	return cmd
}

func setRetention(cmd *cobra.Command, s *streams, conn *connection, r *client.Retention, did string) error {
	c, done, err := conn.opened(cmd.Context(), s)
	if err != nil {
		return err
	}
	defer done()
	if err := c.SetRetention(cmd.Context(), r); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s the retention of %q\n", did, r.GetPrefix())
	return err
}

func newRetentionList(s *streams) *cobra.Command {
	var conn connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List how much is kept, by prefix",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			all, err := c.Retentions(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSONArray(s.out, all)
			}
			rows := [][]string{{"PREFIX", "FILES", "MAX BYTES", "MAX AGE"}}
			for _, r := range all {
				bytes, old := "", ""
				if r.GetMaxBytes() > 0 {
					bytes = config.FormatSize(r.GetMaxBytes())
				}
				if r.GetMaxAge() != nil {
					old = formatAge(r.GetMaxAge().AsDuration())
				}
				rows = append(rows, []string{orDash(r.GetPrefix()), orDash(r.GetFiles()), orDash(bytes), orDash(old)})
			}
			return writeTable(s.out, rows)
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

const day = 24 * time.Hour

// parseAge reads a duration that may be in whole days.
func parseAge(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * day, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d%time.Millisecond == 0
}

// formatAge is a duration as parseAge reads it, in days if they are whole.
func formatAge(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}
