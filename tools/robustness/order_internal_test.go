package main

import (
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// moment is one of the histories below.
func moment(s int64) time.Time { return time.Unix(s, 0) }

// told is the history of a client of lock "a".
type told []answer

func (h told) call(asked, answered int64, a answer) told {
	a.Lock, a.Asked, a.Answered = "a", moment(asked), moment(answered)
	if a.Sends == 0 {
		a.Sends = 1
	}
	return append(h[:len(h):len(h)], a)
}

// section is granted within a second, has records, and is released with some answer after that.
func (h told) section(asked, answered, token int64, records int, reason string) told {
	h = h.call(asked, asked+1, answer{Call: callAcquire, Got: token})
	for n := range records {
		h = h.call(asked+1, asked+2, answer{Call: callAppend, Token: token, Data: record("a", token, n)})
	}
	return h.call(asked+2, answered, answer{Call: callRelease, Token: token, Appended: records > 0, Reason: reason})
}

// read reads a file.
func (h told) read(asked, answered int64, file, text string) told {
	return h.call(asked, answered, answer{Call: callRead, File: file, Got: int64(len(text)), Sum: crc32.ChecksumIEEE([]byte(text))})
}

// afterRestore is what tokens are above that are granted after a restore.
const afterRestore = 50

// orderOf judges a history, with restores at some moments.
func orderOf(t *testing.T, h told, restores ...int64) (v *verdicts, drawn string) {
	t.Helper()
	epochs := []*epoch{{from: moment(0)}}
	for _, at := range restores {
		epochs = append(epochs, &epoch{from: moment(at), since: afterRestore})
	}
	v, drawn = &verdicts{}, filepath.Join(t.TempDir(), "order.html")
	if err := v.order(h, epochs, time.Minute, drawn); err != nil {
		t.Fatal(err)
	}
	if len(v.void) > 0 {
		t.Fatalf("undecided: %v", v.void)
	}
	return v, drawn
}

func TestOrder(t *testing.T) {
	t.Parallel()
	one, two := record("a", 10, 0)+record("a", 10, 1), record("a", 20, 0)
	both := told{}.section(1, 5, 10, 2, ok).section(11, 15, 20, 1, ok)
	const expired = "LOCK_EXPIRED"
	for name, test := range map[string]struct {
		history  told
		restores []int64
		untrue   bool
	}{
		"nothing":                    {nil, nil, false},
		"true":                       {both.read(2, 3, "log", "").read(3, 4, "log", one).read(20, 21, "log", one+two), nil, false},
		"lost":                       {both.read(20, 21, "log", two), nil, true},
		"lost, the last":             {both.read(20, 21, "log", one), nil, true},
		"stale":                      {both.read(6, 7, "log", one).read(8, 9, "log", ""), nil, true},
		"stale, while it publishes":  {both.read(3, 4, "log", one).read(4, 5, "log", ""), nil, false}, // 4 is both
		"stale, and it had answered": {both.read(12, 13, "log", one+two).read(14, 14, "log", one), nil, true},
		"doubled":                    {both.read(20, 21, "log", one+one+two), nil, true},
		"a record doubled":           {both.read(20, 21, "log", one+two+two), nil, true},
		"torn":                       {both.read(20, 21, "log", record("a", 10, 0)+two), nil, true},
		"early":                      {both.read(6, 7, "log", one+two), nil, true},
		"swapped":                    {both.read(20, 21, "log", two+one), nil, true},
		"tokens fall":                {told{}.section(1, 5, 20, 1, ok).section(11, 15, 10, 2, ok).read(20, 21, "log", two+one), nil, true},
		"tokens fall, and nobody reads": {
			told{}.section(1, 5, 20, 1, ok).section(11, 15, 10, 2, ok), nil, true,
		},
		"refused, and read":       {told{}.section(1, 5, 10, 2, expired).read(6, 7, "log", one), nil, true},
		"refused, and not read":   {told{}.section(1, 5, 10, 2, expired).read(6, 7, "log", ""), nil, false},
		"unknown, and not read":   {told{}.section(1, 5, 10, 2, indeterminate).read(6, 7, "log", ""), nil, false},
		"unknown, and read":       {told{}.section(1, 5, 10, 2, indeterminate).read(6, 7, "log", one), nil, false},
		"unknown, and read later": {told{}.section(1, 5, 10, 2, indeterminate).read(6, 7, "log", "").read(8, 9, "log", one), nil, false},
		"unknown, and taken back": {told{}.section(1, 5, 10, 2, indeterminate).read(6, 7, "log", one).read(8, 9, "log", ""), nil, true},
		"unknown, after a later section": {
			told{}.section(1, 5, 10, 2, indeterminate).section(11, 15, 20, 1, ok).read(16, 17, "log", two).read(18, 19, "log", two+one), nil, true,
		},
		"not asked for yet": {told{}.section(11, 15, 10, 2, indeterminate).read(6, 7, "log", one), nil, true},
		"ended by no call that was written down": {
			told{}.section(1, 5, 10, 2, ok)[:3].read(6, 7, "log", one), nil, false,
		},
		"a record without an answer": {
			told{}.call(1, 2, answer{Call: callAcquire, Got: 20}).
				call(2, 3, answer{Call: callAppend, Token: 20, Data: two, Reason: indeterminate}).
				call(3, 4, answer{Call: callRelease, Token: 20}).read(5, 6, "log", two), nil, false,
		},
		"a record that was refused": {
			told{}.call(1, 2, answer{Call: callAcquire, Got: 20}).
				call(2, 3, answer{Call: callAppend, Token: 20, Data: two, Reason: expired}).
				call(3, 4, answer{Call: callRelease, Token: 20}).read(5, 6, "log", two), nil, true,
		},
		"a stranger's call counts for nothing": {
			told{}.section(1, 5, 10, 2, expired).call(5, 6, answer{Call: callRelease, Token: 10, Other: true}).read(7, 8, "log", one), nil, true,
		},
		"both files": {
			told{}.section(1, 5, 10, 3, ok).read(6, 7, "log", one).read(6, 7, "notes", record("a", 10, 2)), nil, false,
		},
		"one file before the other": {
			told{}.section(1, 9, 10, 3, ok).read(4, 5, "log", one).read(6, 7, "notes", ""), nil, true,
		},
		"restored, and undone":   {both.read(40, 41, "log", one), []int64{30}, false},
		"restored, and read":     {both.read(40, 41, "log", one).read(42, 43, "log", one+two).read(44, 45, "log", one), []int64{30}, true},
		"restored, and it rises": {both.read(40, 41, "log", one).section(42, 45, 99, 0, ok).read(46, 47, "log", one+two), []int64{30}, false},
		"restored, and lost": {
			both.read(40, 41, "log", one).section(42, 46, 99, 1, ok).read(47, 48, "log", one), []int64{30}, true,
		},
		"restored, and all of it comes after": {
			both.read(40, 41, "log", one).section(42, 46, 99, 1, ok).read(47, 48, "log", one+two+record("a", 99, 0)), []int64{30}, false,
		},
		"restored, and doubled": {
			both.read(40, 41, "log", one).section(42, 46, 99, 1, ok).read(47, 48, "log", one+two+record("a", 99, 0)+record("a", 99, 0)), []int64{30}, true,
		},
		"restored, and granted after it to who has waited since before": {
			both.read(30, 30, "log", one).section(29, 43, 98, 1, ok).section(29, 45, 99, 1, ok).
				read(46, 47, "log", one+record("a", 98, 0)+record("a", 99, 0)), []int64{30}, false,
		},
		"restored, and lost of who has waited since before": {
			both.read(30, 30, "log", one).section(29, 43, 98, 1, ok).section(29, 45, 99, 1, ok).
				read(46, 47, "log", one+record("a", 99, 0)), []int64{30}, true,
		},
		"lost before it was restored": {both.read(20, 21, "log", one).read(40, 41, "log", one+two), []int64{30}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, drawn := orderOf(t, test.history, test.restores...)
			if got := len(v.untrue) > 0; got != test.untrue {
				t.Errorf("got %v; want any: %t", v.untrue, test.untrue)
			}
			for _, a := range v.untrue {
				if a.checker != byOrder || a.lock != "a" {
					t.Errorf("got an accusation by %s of %q; want one by %s of a", a.checker, a.lock, byOrder)
				}
			}
			b, err := os.ReadFile(drawn)
			if is := err == nil && strings.Contains(string(b), "<html"); is != test.untrue {
				t.Errorf("drawn: %t (%v); want %t", is, err, test.untrue)
			}
		})
	}
}

// Many calls at once, some without an answer, are put in order all the same.
func TestOrderOfMany(t *testing.T) {
	t.Parallel()
	var h told
	var text strings.Builder
	many := int64(1000)
	if testing.Short() {
		many = 150
	}
	for i := range many {
		at, token := 10*i, 100+i
		reason := ok
		if i%7 == 3 {
			reason = indeterminate
		}
		h = h.section(at, at+4, token, 1, reason)
		before := text.String()
		if i%14 != 3 { // half of those without an answer have happened
			text.WriteString(record("a", token, 0))
		}
		for range 3 {
			h = h.read(at+2, at+5, "log", text.String())
		}
		if reason == ok {
			h = h.read(at+1, at+3, "log", before)
		}
	}
	if v, _ := orderOf(t, h); len(v.untrue) > 0 {
		t.Errorf("got %v; want nothing", v.untrue)
	}
	h = h.read(10_000, 10_001, "log", text.String()[1:])
	if v, _ := orderOf(t, h); len(v.untrue) == 0 {
		t.Error("a file without its first byte is not found")
	}
}
