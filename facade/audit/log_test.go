package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/internal/await"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 30 * time.Second
	maxQueue = 4096
)

var discard = slog.New(slog.DiscardHandler)

func open(tb testing.TB, path string, stderr io.Writer, required bool, log *slog.Logger) *audit.Log {
	tb.Helper()
	l, err := audit.Open(path, stderr, required, log)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func closed(tb testing.TB, l *audit.Log) {
	tb.Helper()
	if err := l.Close(); err != nil {
		tb.Error(err)
	}
}

func read(tb testing.TB, path string) string {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(content)
}

// line is what the tests read of a line.
type line struct {
	Lock    string
	Token   int64
	Dropped int64
}

// lines reads lines, each of which has to be whole.
func lines(tb testing.TB, content string) (all []line) {
	tb.Helper()
	for text := range strings.Lines(content) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil || !strings.HasSuffix(text, "\n") {
			tb.Fatalf("%q: %v", text, err)
		}
		all = append(all, l)
	}
	return all
}

// tokens are those of lines.
func tokens(of []line) (all []int64) {
	for _, l := range of {
		all = append(all, l.Token)
	}
	return all
}

func TestALineIsAnObjectInAFixedOrder(t *testing.T) {
	t.Parallel()
	var out await.Text
	l := open(t, audit.Stderr, &out, false, discard)
	when := time.Date(2026, 11, 26, 13, 0, 0, 1500, time.FixedZone("", 3600))
	l.Write(audit.Line{
		Time: when, Server: "dlm-0", Identity: "dns:cron.example.org", Peer: "10.0.0.7:4711", Verb: "evict", Method: "Evict", Lock: "jobs/<a>",
		Request: "r1", Session: "0123456789abcdef", Token: 17, Revision: 4711, Reason: "is stuck", Outcome: "OK", Took: 1500 * time.Microsecond,
	})
	l.Write(audit.Line{Time: when.UTC(), Outcome: "UNAUTHENTICATED", Refusal: true})
	closed(t, l)
	want := `{"time":"2026-11-26T12:00:00.000001Z","server":"dlm-0","identity":"dns:cron.example.org","peer":"10.0.0.7:4711",` +
		`"verb":"evict","method":"Evict","lock":"jobs/<a>","request":"r1","session":"0123456789abcdef","token":17,"revision":4711,` +
		`"reason":"is stuck","outcome":"OK","took_us":1500}` + "\n" +
		`{"time":"2026-11-26T12:00:00.000001Z","outcome":"UNAUTHENTICATED","took_us":0}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWhateverAClientSaysALineStaysALine(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for r := range rune(0x3000) {
		all.WriteRune(r)
	}
	for _, lock := range []string{
		all.String(), "a\nb", "a\r\nb", "\x00\x1b[31m\x7f", "\u0085\u009b", "\u2028\u2029", "\u202e\u2066", "\xff\xfe\xed\xa0\x80",
		`"},{"`, "\U0001f600", "{\"dropped\":1}\n",
	} {
		var out await.Text
		l := open(t, audit.Stderr, &out, false, discard)
		l.Write(audit.Line{Lock: lock, Identity: lock, Reason: lock})
		closed(t, l)
		got := out.String()
		if strings.Count(got, "\n") != 1 || !text.Plain(strings.TrimSuffix(got, "\n")) {
			t.Errorf("%q became %q", lock, got)
		}
		if first := lines(t, got)[0]; first.Lock != strings.ToValidUTF8(strings.ReplaceAll(lock, "\xff\xfe\xed\xa0\x80", strings.Repeat("\ufffd", 5)), "") {
			t.Errorf("%q became %q", lock, first.Lock)
		}
	}
}

func TestTheFileIsItsOwnersAndIsAppendedTo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for token, path := range map[int64]string{1: path, 2: link} {
		l := open(t, path, nil, false, discard)
		l.Write(audit.Line{Token: token})
		closed(t, l)
		closed(t, l)
		l.Write(audit.Line{Token: token}) // is not written, and does no harm
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v, want a file of its owner's", info.Mode(), err)
	}
	if all := lines(t, read(t, path)); len(all) != 2 {
		t.Errorf("%d lines, want 2", len(all))
	}
}

func TestOpenRefusesWhatIsNoLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	public := filepath.Join(dir, "public")
	if err := os.WriteFile(public, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(public, 0o622); err != nil { // as the umask has no say in
		t.Fatal(err)
	}
	for _, path := range []string{"", dir, public, filepath.Join(dir, "absent", "audit"), filepath.Join(public, "audit")} {
		if l, err := audit.Open(path, nil, false, discard); err == nil {
			closed(t, l)
			t.Errorf("%q: taken", path)
		}
		if err := audit.Check(path); path != "" && err == nil {
			t.Errorf("%q: nothing is known of its fault", path)
		}
	}
	absent := filepath.Join(dir, "absent")
	if err := audit.Check(absent); err != nil {
		t.Errorf("a file that is to be made: %v", err)
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("it was made by a look")
	}
}

func TestAFileThatEndsInHalfALineIsGoneOnWithOnANewOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	for _, c := range []struct{ before, want string }{{"{\"time\":", "{\"time\":\n{"}, {"{}\n", "{}\n{"}, {"", "{"}} {
		if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, path, nil, false, discard)
		l.Write(audit.Line{})
		closed(t, l)
		if got := read(t, path); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q became %q", c.before, got)
		}
	}
}

// Whoever may do nothing can be refused as often as it likes, and is not to fill the disk with
// that.
func TestRefusalsDoNotFillTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(path, io.Discard, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50_000 {
		log.Write(audit.Line{Verb: "acquire", Outcome: "UNAUTHENTICATED", Refusal: true})
		if i%1000 == 0 {
			log.Write(audit.Line{Verb: "release", Outcome: "OK"})
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused, done, dropped := bytes.Count(text, []byte("UNAUTH")), bytes.Count(text, []byte("release")), bytes.Count(text, []byte("dropped"))
	if refused > 10_000 || refused < 100 || done != 50 || dropped == 0 {
		t.Errorf("%d refusals, %d changes, %d marks; want some thousand, all 50, and at least one", refused, done, dropped)
	}
}

func TestRotationLosesAndTearsNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 3000
	path := filepath.Join(t.TempDir(), "audit")
	l := open(t, path, nil, true, discard)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for n := range each {
				l.Write(audit.Line{Lock: fmt.Sprint(w), Token: int64(n + 1)})
			}
		})
	}
	written := make(chan struct{})
	go func() { defer close(written); running.Wait() }()
	files := []string{path}
	rotate := func() {
		t.Helper()
		old := fmt.Sprintf("%s.%d", path, len(files))
		if err := errors.Join(os.Rename(path, old), l.Reopen()); err != nil {
			t.Fatal(err)
		}
		files = append(files[:len(files)-1], old, path)
	}
	for going := true; going; {
		rotate()
		select {
		case <-written:
			going = false
		default:
		}
	}
	closed(t, l)
	last := map[string]int64{}
	for _, file := range files {
		for _, line := range lines(t, read(t, file)) {
			if line.Token != last[line.Lock]+1 {
				t.Fatalf("%s: writer %s: %d after %d", file, line.Lock, line.Token, last[line.Lock])
			}
			last[line.Lock] = line.Token
		}
	}
	for w := range writers {
		if got := last[fmt.Sprint(w)]; got != each {
			t.Errorf("writer %d: %d lines in %d files, want %d", w, got, len(files), each)
		}
	}
}

func TestALineAfterReopenIsInTheNewFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	l := open(t, path, nil, false, discard)
	const rotations = 200
	for n := range int64(rotations) {
		l.Write(audit.Line{Token: 2 * n})
		if err := errors.Join(os.Rename(path, fmt.Sprint(path, n)), l.Reopen()); err != nil {
			t.Fatal(err)
		}
		l.Write(audit.Line{Token: 2*n + 1})
	}
	closed(t, l)
	for n := range int64(rotations) {
		for _, token := range tokens(lines(t, read(t, fmt.Sprint(path, n)))) {
			if token > 2*n {
				t.Errorf("line %d is in file %d", token, n)
			}
		}
	}
}

func TestAFileThatCannotBeReopenedIsGoneOnWith(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "audit")
	l := open(t, path, nil, true, discard)
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want %v", err, os.ErrNotExist)
	}
	l.Write(audit.Line{Token: 1})
	closed(t, l)
	if n := len(lines(t, read(t, filepath.Join(dir+".old", "audit")))); n != 1 || l.Reopen() == nil {
		t.Errorf("%d lines, want 1, and that there is still an error", n)
	}
}

// full returns a path to a device that is full, and has it become a file.
func full(t *testing.T) (path string, heal func()) {
	t.Helper()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full: ", err)
	}
	path = filepath.Join(t.TempDir(), "audit")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFullDiskCostsLinesAndNothingElse(t *testing.T) {
	t.Parallel()
	path, heal := full(t)
	var log await.Text
	l := open(t, path, nil, false, slog.New(slog.NewTextHandler(&log, nil)))
	l.Write(audit.Line{Token: 1})
	await.Eventually(t, patience, "a complaint", func() bool { return strings.Contains(log.String(), "cannot be written") })
	for n := int64(2); n <= maxQueue+1000; n++ {
		l.Write(audit.Line{Token: n})
	}
	if !l.Room() {
		t.Error("there is no room for what gives back")
	}
	if err := l.Ready(); err != nil {
		t.Errorf("%v, though it is not required", err)
	}
	heal()
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, patience, "there to be room", func() bool { return strings.Contains(log.String(), "were dropped") })
	l.Write(audit.Line{Token: 7})
	closed(t, l)
	all := lines(t, read(t, path))
	if len(all) != maxQueue+2 || all[maxQueue-1].Token != maxQueue || all[maxQueue].Dropped != 1000 || all[maxQueue+1].Token != 7 {
		t.Errorf("%d lines, want the first %d, a line for 1000, and the last", len(all), maxQueue)
	}
	if text := log.String(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "is written again") != 1 || strings.Count(text, "were dropped\" lines=1000") != 1 {
		t.Errorf("the log says\n%s", text)
	}
}

func TestARequiredLogLosesNothingToAFullDisk(t *testing.T) {
	t.Parallel()
	path, heal := full(t)
	l := open(t, path, nil, true, discard)
	if err := l.Ready(); err != nil {
		t.Error(err)
	}
	l.Write(audit.Line{Token: 1})
	await.Eventually(t, patience, "it not to be ready", func() bool { return errors.Is(l.Ready(), unix.ENOSPC) })
	for n := int64(2); n <= maxQueue+1000; n++ {
		l.Write(audit.Line{Token: n})
	}
	if !l.Room() {
		t.Error("there is no room for what gives back")
	}
	for range 10 {
		l.Write(audit.Line{Refusal: true})
	}
	heal()
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, patience, "it to be ready", func() bool { return l.Ready() == nil })
	closed(t, l)
	if l.Ready() == nil {
		t.Error("it is ready when it is closed")
	}
	all := lines(t, read(t, path))
	if len(all) != maxQueue+1001 || all[maxQueue+1000].Dropped != 10 {
		t.Fatalf("%d lines, want %d, the last for 10", len(all), maxQueue+1001)
	}
	for n, token := range tokens(all[:maxQueue+1000]) {
		if token != int64(n+1) {
			t.Fatalf("line %d is %d", n+1, token)
		}
	}
}

// scripted is a writer that does what it is told.
type scripted func(p []byte) (int, error)

func (s scripted) Write(p []byte) (int, error) { return s(p) }

func TestALineThatWasCutIsWrittenAgainOnALineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var room atomic.Int64
		room.Store(100)
		l := open(t, audit.Stderr, scripted(func(p []byte) (int, error) {
			n, _ := out.Write(p[:min(len(p), int(room.Load()))])
			if room.Add(-int64(n)); n < len(p) {
				return n, unix.ENOSPC
			}
			return n, nil
		}), true, discard)
		for n := range int64(4) {
			l.Write(audit.Line{Token: n + 1})
		}
		synctest.Wait()
		if err := l.Ready(); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%v, want %v", err, unix.ENOSPC)
		}
		room.Store(1000)
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // of the bubble's clock
		synctest.Wait()
		if err := l.Ready(); err != nil {
			t.Error(err)
		}
		closed(t, l)
		var cut []string
		var good []int64
		for text := range strings.Lines(out.String()) {
			var line line
			if json.Unmarshal([]byte(text), &line) != nil {
				cut = append(cut, text)
				continue
			}
			good = append(good, line.Token)
		}
		if len(cut) != 1 || !strings.HasPrefix(cut[0], "{") || fmt.Sprint(good) != "[1 2 3 4]" {
			t.Errorf("cut %q, whole %v", cut, good)
		}
	})
}

func TestAWriterThatIsStuckHoldsUpNobody(t *testing.T) {
	for _, required := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			l := open(t, audit.Stderr, scripted(func(p []byte) (int, error) { <-stuck; return len(p), nil }), required, discard)
			want := func(tooMany bool) {
				t.Helper()
				if got := l.Ready() != nil; got != (tooMany && required) {
					t.Errorf("required %v, too many %v: %v", required, tooMany, l.Ready())
				}
			}
			for range maxQueue / 4 * 3 {
				l.Write(audit.Line{})
			}
			want(false)
			l.Write(audit.Line{})
			want(true)
			for range maxQueue {
				l.Write(audit.Line{})
			}
			began := time.Now()
			if err := l.Close(); err == nil || time.Since(began) != 2*time.Second {
				t.Errorf("%v after %v, want an error after 2 s", err, time.Since(began))
			}
			close(stuck)
		})
	}
}

func TestCloseGivesUpWhatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, audit.Stderr, scripted(func([]byte) (int, error) { return 0, unix.ENOSPC }), true, discard)
		for range 3 {
			l.Write(audit.Line{})
		}
		if err := l.Close(); !errors.Is(err, unix.ENOSPC) || !strings.HasPrefix(err.Error(), "3 lines") {
			t.Errorf("%v, want that 3 lines are lost, and why", err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "audit"), nil, true, discard)
	line := audit.Line{
		Time: time.Now(), Server: "dlm-0", Identity: "spiffe:spiffe://example.org/ns/prod/sa/jobs", Peer: "10.0.0.7:4711", Verb: "acquire",
		Method: "Acquire", Lock: "jobs/nightly", Request: "r1", Session: "0123456789abcdef", Token: 17, Revision: 4711, Outcome: "OK",
	}
	b.ReportAllocs()
	for b.Loop() {
		for l.Ready() != nil { // so what is measured is that lines are written, not that they are dropped
			runtime.Gosched()
		}
		l.Write(line)
	}
	closed(b, l)
}
