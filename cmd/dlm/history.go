package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// historyCommand is `dlm history`.
type historyCommand struct {
	*streams
	files []string
	json  bool
}

func newHistory(s *streams) *cobra.Command {
	h := &historyCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "history [flags] LOCK",
		Short: "Tell who has done what to a lock, from audit logs",
		Long: `Tell who has done what to LOCK, in the order of etcd's revisions, from the audit logs of the servers: give all of them, and
those that were rotated away, each with a --file. Files that are compressed by gzip are read as they are, and "-" is
standard input. No server is asked.

An audit log tells of calls. A session that ended because its client was silent made none; that of one that was closed is
told here. What is missing in a file is said on standard error.`,
		Args: arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(h.files) == 0 {
				return usagef("no --file: give the servers' audit logs (audit.file in their configuration)")
			}
			return h.run(args[0])
		},
	}
	cmd.Flags().StringArrayVar(&h.files, "file", nil, "read the audit log `FILE`; may be given several times")
	cmd.Flags().BoolVar(&h.json, "json", false, "print the logs' own lines")
	return cmd
}

// recorded is a line of a log.
type recorded struct {
	audit.Line
	raw string
}

func (h *historyCommand) run(lock string) error {
	var all []recorded
	seen := map[string]bool{} // a file may be given twice, and a copy of it
	took := map[string]bool{} // sessions that had to do with the lock
	var closed []recorded     // of any sessions, until it is known of which
	for _, file := range h.files {
		missing, err := readAudit(h.streams, file, func(l audit.Line, raw []byte) {
			ours := l.Lock == lock
			ends := l.Lock == "" && l.Session != "" && strings.HasSuffix(l.Method, "Close")
			if !ours && !ends || seen[string(raw)] {
				return
			}
			r := recorded{l, string(raw)}
			seen[r.raw] = true
			if ours {
				took[l.Session] = true
				all = append(all, r)
			} else {
				closed = append(closed, r)
			}
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		h.tellMissing(file, missing)
	}
	for _, r := range closed {
		if took[r.Session] {
			all = append(all, r)
		}
	}
	all = inOrder(all)
	if h.json {
		for _, r := range all {
			if _, err := fmt.Fprintf(h.out, "%s\n", text.EscapeLines([]byte(r.raw))); err != nil {
				return err
			}
		}
		return nil
	}
	rows := [][]string{{"REVISION", "TIME", "WHO", "WHAT"}}
	for _, r := range all {
		rows = append(rows, []string{r.revision(), r.Time.Local().Format(time.DateTime), r.who(), r.what()})
	}
	return writeTable(h.out, rows)
}

// inOrder sorts lines by revision. Those that have none, as refusals, are where their time says.
func inOrder(lines []recorded) (sorted []recorded) {
	slices.SortStableFunc(lines, func(a, b recorded) int { return a.Time.Compare(b.Time) })
	var without []recorded
	for _, r := range lines {
		if r.Revision == 0 {
			without = append(without, r)
		} else {
			sorted = append(sorted, r)
		}
	}
	slices.SortStableFunc(sorted, func(a, b recorded) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, r := range slices.Backward(without) { // each before the others that are to stand at its place
		i := len(sorted)
		for i > 0 && sorted[i-1].Revision > 0 && sorted[i-1].Time.After(r.Time) || i > 0 && sorted[i-1].Revision == 0 {
			i--
		}
		sorted = slices.Insert(sorted, i, r)
	}
	return sorted
}

// readAudit reads a log, or standard input.
func readAudit(s *streams, file string, each func(l audit.Line, raw []byte)) (audit.Missing, error) {
	in := io.Reader(s.in)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return audit.Missing{}, err
		}
		defer f.Close()
		in = f
	}
	return audit.Read(in, each)
}

// tellMissing says what is missing in a file.
func (h *historyCommand) tellMissing(file string, m audit.Missing) {
	if m.Dropped > 0 {
		h.printf("%s: the server has dropped %d lines, of any lock", file, m.Dropped)
	}
	if m.Cut {
		h.printf("%s: it is cut off in its last line", file)
	}
	if m.Skipped > 0 {
		h.printf("%s: %d lines are none of an audit log's, and were passed over", file, m.Skipped)
	}
}

// revision is that of a line; nothing if it has none, as a refusal.
func (r *recorded) revision() string {
	if r.Revision == 0 {
		return "-"
	}
	return strconv.FormatInt(r.Revision, 10)
}

// who has called, as far as it is known.
func (r *recorded) who() string {
	if r.Identity != "" {
		return r.Identity
	}
	return r.Peer
}

// what was done.
func (r *recorded) what() string {
	what := strings.ToLower(r.Method)
	if r.Token != 0 {
		what += fmt.Sprintf(" token %d", r.Token)
	}
	if r.Session != "" {
		what += " session " + r.Session
	}
	if r.Request != "" {
		what += " request " + r.Request
	}
	if r.Reason != "" {
		what += " (" + strconv.Quote(r.Reason) + ")"
	}
	return what + ": " + r.Outcome
}
