package coursework_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// lines is what was logged.
type lines struct {
	await.Text
	taken int // bytes of it
}

// take returns the refusals that were logged since it was last called.
func (l *lines) take(t *testing.T) (refusals []map[string]any) {
	t.Helper()
	text := l.String()
	for line := range strings.Lines(text[l.taken:]) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if entry["msg"] == "refused with FILE_ERROR" {
			refusals = append(refusals, entry)
		}
	}
	l.taken = len(text)
	return refusals
}

// Each FILE_ERROR has a line in the log that says of whose which call it is the answer, and why.
func TestFileErrorIsLogged(t *testing.T) {
	t.Parallel()
	log := &lines{}
	node := facadetest.Start(t, facadetest.WithCoursework(long, long), facadetest.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	c := join(t, node, 0)
	nobody := client{t: t, api: c.api, id: 99}
	for _, refusal := range []struct {
		call          func()
		method, id    string
		client        float64
		reason, never string
	}{
		{func() { nobody.acquires("9-1", file) }, "lock_acquire", "9-1", 99, "unknown client", ""},
		{func() { nobody.beats(file) }, "heartbeat", "", 99, "unknown client", ""},
		{func() { c.releases("1-1", file) }, "lock_release", "1-1", 1, "does not hold", ""},
		{func() { c.acquires("1-2", success); c.appends("1-3", "no\n\u202efile", "x", file) }, "file_append", "1-3", 1, "want file_0 to file_99", "\u202e"},
		{func() { c.appends("1-3", "file_0", strings.Repeat("x", 1<<20+1), file) }, "file_append", "1-3", 1, "1048577 bytes", "xxxx"},
		{func() { c.appends("1-2", "file_0", "x", file) }, "file_append", "1-2", 1, "of kind acquire", ""},
		{func() { c.acquires("1-3", file) }, "lock_acquire", "1-3", 1, "of kind append", ""},
		{func() { c.releases("1-0001\u202e"+strings.Repeat("A", 300), file) }, "lock_release", "", 1, "bytes", strings.Repeat("A", 300)},
		{func() { c.releases("1-4", success); c.acquires("1-4", file) }, "lock_acquire", "1-4", 1, "of kind release", ""},
		{func() { c.acquires("1-7", success); c.releases("1-6", file) }, "lock_release", "1-6", 1, "earlier", ""},
	} {
		refusal.call()
		got := log.take(t)
		if len(got) != 1 {
			t.Errorf("%s %s: %d refusals logged, want 1: %v", refusal.method, refusal.id, len(got), got)
			continue
		}
		reason, _ := got[0]["err"].(string)
		if got[0]["method"] != refusal.method || got[0]["client"] != refusal.client || got[0]["level"] != "INFO" ||
			!strings.Contains(reason, refusal.reason) || refusal.id != "" && got[0]["request"] != refusal.id {
			t.Errorf("%s %s of client %v, %q: logged %v", refusal.method, refusal.id, refusal.client, refusal.reason, got[0])
		}
		for key, value := range got[0] {
			if text, is := value.(string); is && refusal.never != "" && strings.Contains(text, refusal.never) {
				t.Errorf("%s is logged as %q", key, text)
			}
		}
	}
}
