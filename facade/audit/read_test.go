package audit_test

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/facade/audit"
)

// What a log has written is read as it was, whatever stands between its lines.
func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(path, nil, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	wrote := audit.Line{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Server: "s", Identity: "cn:ops", Method: "Evict", Lock: "a/b", Token: 7, Revision: 9,
		Reason: "a \"quoted\"\u202e reason", Outcome: "OK", Took: 12 * time.Microsecond,
	}
	log.Write(wrote)
	log.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(whole)
	_ = w.Close()
	line := strings.TrimSuffix(string(whole), "\n")
	for _, test := range []struct {
		name, in string
		lines    int
		want     audit.Missing
	}{
		{"nothing", "", 0, audit.Missing{}},
		{"a log", line + "\n", 1, audit.Missing{}},
		{"a log that is being written", line + "\n" + line[:20], 1, audit.Missing{Cut: true}},
		{"a line without its end", line, 1, audit.Missing{Cut: true}},
		{"a write that was cut short", line[:30] + "\n" + line + "\n", 1, audit.Missing{Skipped: 1}},
		{"lines that were dropped", `{"time":"2026-01-02T03:04:05.000000Z","dropped":3}` + "\n" + line + "\r\n\n", 1, audit.Missing{Dropped: 3}},
		{"what is no log", "null\n[]\n{}\n\"x\"\n{\"time\":\"today\",\"method\":\"Evict\"}\n{\"time\":\"2026-01-02T03:04:05Z\",\"dropped\":-3}\n", 0, audit.Missing{Skipped: 6}},
		{"a line without bound", strings.Repeat("x", 1<<20) + "\n" + line + "\n", 1, audit.Missing{Skipped: 1}},
		{"a compressed log", packed.String(), 1, audit.Missing{}},
		{"half of a compressed log", packed.String()[:packed.Len()-6], 1, audit.Missing{Cut: true}},
	} {
		n := 0
		got, err := audit.Read(strings.NewReader(test.in), func(l audit.Line, raw []byte) {
			n++
			if l != wrote || string(raw) != line {
				t.Errorf("%s: read %+v from %s; want %+v", test.name, l, raw, wrote)
			}
		})
		if err != nil || n != test.lines || got != test.want {
			t.Errorf("%s: %d lines, %+v, %v; want %d, %+v", test.name, n, got, err, test.lines, test.want)
		}
	}
	if _, err := audit.Read(strings.NewReader("\x1f\x8bnothing"), nil); err == nil {
		t.Error("what only looks compressed is read without an error")
	}
}
