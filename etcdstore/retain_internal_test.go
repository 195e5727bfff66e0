package etcdstore

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// headAt is a head that a fold has brought to a size, at a time after the beginning of all.
func headAt(h headValue, r Retention, size int64, after time.Duration) headValue {
	h.Size = size
	h.Marks = r.marked(h, size, time.UnixMilli(0).Add(after))
	return h
}

// TestMarks: a file has a mark where it ends, and others a sixteenth of its bounds apart.
func TestMarks(t *testing.T) {
	t.Parallel()
	var h headValue
	r := Retention{MaxAge: 16 * time.Minute}
	for i := range int64(13) { // every ten seconds
		h = headAt(h, r, 10*(i+1), time.Duration(i)*10*time.Second)
	}
	if want := []fileMark{{0, 10}, {60_000, 70}, {120_000, 130}}; !slices.Equal(h.Marks, want) {
		t.Errorf("after two minutes there are the marks %v; want %v", h.Marks, want)
	}
	before := slices.Clone(h.Marks)
	other := headAt(h, r, 140, 130*time.Second)
	if !slices.Equal(h.Marks, before) || len(other.Marks) != 4 {
		t.Errorf("%v is changed, for %v", h.Marks, other.Marks)
	}
	if still := headAt(h, r, h.Size, time.Hour); !slices.Equal(still.Marks, h.Marks) {
		t.Errorf("without growth the marks are %v; want %v", still.Marks, h.Marks)
	}
	if back := headAt(h, r, 150, 0); back.Marks[3] != (fileMark{120_000, 150}) {
		t.Errorf("a clock that is behind marks %v", back.Marks)
	}
	cut := h
	cut.Start = 70
	if cut = headAt(cut, r, 140, time.Hour); cut.Marks[0].end() != 130 {
		t.Errorf("of what was cut off there are marks: %v", cut.Marks)
	}
	if bySize := headAt(h, Retention{MaxBytes: 960}, 140, 130*time.Second); !slices.Equal(bySize.Marks[2:], []fileMark{{120_000, 130}, {130_000, 140}}) {
		t.Errorf("by size the marks are %v", bySize.Marks)
	}
	if bySize := headAt(h, Retention{MaxBytes: 976}, 140, 130*time.Second); !slices.Equal(bySize.Marks[2:], []fileMark{{130_000, 140}}) {
		t.Errorf("by a larger size the marks are %v", bySize.Marks)
	}
}

// TestRetentionGoesOn: whatever is appended, a file that is cut once a minute has, soon, no more
// than its bounds, hardly less, and few marks.
func TestRetentionGoesOn(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Retention{
		"by size": {MaxBytes: 16_000}, "by age": {MaxAge: time.Hour}, "by both": {MaxBytes: 100_000, MaxAge: time.Hour}, "a minute": {MaxAge: time.Minute},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		var h headValue
		at := time.UnixMilli(0)
		ends := []fileMark{}
		for i := range 50_000 {
			h.Size += 1 + rng.Int64N(500)
			at = at.Add(time.Duration(rng.Int64N(30_000)) * time.Millisecond)
			h.Marks = r.marked(h, h.Size, at)
			ends = append(ends, fileMark{at.UnixMilli(), h.Size})
			if i%7 > 0 { // about once a minute and a half
				continue
			}
			h.Start = r.retained(h, at)
			if len(h.Marks) > maxMarks {
				t.Fatalf("%s: %d marks", name, len(h.Marks))
			}
			if i < 10_000 {
				continue
			}
			// What is left is within the bounds, and what was cut off was not, but for a sixteenth
			// and one section.
			if r.MaxBytes > 0 && h.Size-h.Start > r.MaxBytes {
				t.Fatalf("%s: %d bytes are left", name, h.Size-h.Start)
			}
			first, _ := slices.BinarySearchFunc(ends, h.Start+1, func(m fileMark, size int64) int { return cmp.Compare(m.end(), size) })
			age := at.UnixMilli() - ends[first].at()
			if r.MaxAge > 0 && age > (r.MaxAge+r.MaxAge/markParts).Milliseconds()+30_000 {
				t.Fatalf("%s: what is %d ms old is left", name, age)
			}
			tooMany := r.MaxBytes > 0 && h.Size-h.Start >= r.MaxBytes-r.MaxBytes/markParts-1000
			if !tooMany && (r.MaxAge == 0 || first > 0 && at.UnixMilli()-ends[first-1].at() < r.MaxAge.Milliseconds()) {
				t.Fatalf("%s: only %d bytes are left, of at most %d ms", name, h.Size-h.Start, age)
			}
		}
	}
}

// TestRetained: what is too old, or too much, as far as marks tell.
func TestRetained(t *testing.T) {
	t.Parallel()
	h := headValue{Size: 100, Base: 5, Start: 10, Marks: []fileMark{{0, 20}, {60_000, 50}, {120_000, 90}, {180_000, 100}}}
	for name, test := range map[string]struct {
		r    Retention
		now  time.Duration
		want int64
	}{
		"all is young":               {Retention{MaxAge: time.Minute}, 59 * time.Second, 10},
		"one minute":                 {Retention{MaxAge: time.Minute}, 121 * time.Second, 50},
		"all is old":                 {Retention{MaxAge: time.Minute}, time.Hour, 100},
		"no more than there is":      {Retention{MaxBytes: 90}, time.Hour, 10},
		"a little less":              {Retention{MaxBytes: 89}, time.Hour, 20},
		"just that":                  {Retention{MaxBytes: 50}, time.Hour, 50},
		"the last section is larger": {Retention{MaxBytes: 5}, time.Hour, 90},
		"both, and age is stricter":  {Retention{MaxBytes: 80, MaxAge: time.Minute}, 121 * time.Second, 50},
		"both, and size is stricter": {Retention{MaxBytes: 10, MaxAge: time.Minute}, 121 * time.Second, 90},
		"a clock that is behind":     {Retention{MaxAge: time.Minute}, -time.Hour, 10},
	} {
		if got := test.r.retained(h, time.UnixMilli(0).Add(test.now)); got != test.want {
			t.Errorf("%s: from %d on; want %d", name, got, test.want)
		}
	}
}
