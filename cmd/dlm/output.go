package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/distributed-lock-manager/dlm/internal/text"
)

// jsonFlag adds --json to a command.
func jsonFlag(cmd *cobra.Command, set *bool) {
	cmd.Flags().BoolVar(set, "json", false, "print JSON, the API's messages")
}

// writeJSON writes one message on one line.
func writeJSON(w io.Writer, m proto.Message) error {
	line, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text.EscapeLines(line), '\n'))
	return err
}

// writeJSONValue writes a value that is no message of the API on one line.
func writeJSONValue(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text.EscapeLines(line), '\n'))
	return err
}

// writeJSONArray writes messages as one array, one message a line.
func writeJSONArray[M proto.Message](w io.Writer, messages []M) error {
	lines := make([][]byte, len(messages))
	for i, m := range messages {
		line, err := protojson.Marshal(m)
		if err != nil {
			return err
		}
		lines[i] = text.EscapeLines(line)
	}
	_, err := fmt.Fprintf(w, "[%s]\n", bytes.Join(lines, []byte(",\n ")))
	return err
}

// writeTable writes rows in columns, the first being their headings.
func writeTable(w io.Writer, rows [][]string) error {
	out := bufio.NewWriter(w) // what writes columns writes every cell by itself
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return out.Flush()
}

// printable is a text with what a terminal would act upon shown as an escape: others have written
// reasons and labels, and what a server answers. It escapes more than servers do, who do not know
// where their texts are shown: all that cannot be seen.
func printable(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) { // as nearly all
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// age is how long ago something was, by this machine's clock.
func age(since *timestamppb.Timestamp) string {
	if since == nil {
		return "an unknown time"
	}
	return short(max(time.Since(since.AsTime()), 0))
}

// short is a duration as exact as people want it.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// clock is a moment in this machine's time zone.
func clock(at *timestamppb.Timestamp) string {
	if at == nil {
		return "an unknown moment"
	}
	return at.AsTime().Local().Format(time.DateTime)
}
