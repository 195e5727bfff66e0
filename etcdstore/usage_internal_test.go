package etcdstore

import (
	"errors"
	"testing"
)

// What is certainly not staged is given back, what is not known is kept for the repeat, and what is
// staged stays.
func TestUsageCountsOnce(t *testing.T) {
	u := newUsage()
	record := func(request string, size int) Record {
		return Record{Lock: "l", Token: 5, Request: request, File: "f" + request, Data: make([]byte, size)}
	}
	u.begin("l", newSectionUsage(5))
	want := func(step string, bytes int64, files int) {
		t.Helper()
		if l := u.locks["l"]; l.bytes != bytes || len(l.files) != files {
			t.Errorf("%s: %d bytes in %d files; want %d in %d", step, l.bytes, len(l.files), bytes, files)
		}
	}
	reserve := func(r Record, counted bool) {
		t.Helper()
		if got, err := u.reserve(r); got != counted || err != nil {
			t.Errorf("reserve %s = %t, %v; want %t", r.Request, got, err, counted)
		}
	}
	a, b := record("a", 10), record("b", MaxSection-10)
	reserve(a, true)
	reserve(a, false) // a repeat while it is on its way
	want("asked for twice", 10, 1)
	u.staged(a)
	reserve(a, true) // a repeat of what was answered
	u.giveBack(a)    // it finds it staged
	want("staged, and repeated", 10, 1)
	u.giveBack(a)
	want("given back twice", 10, 1)

	reserve(b, true)
	if _, err := u.reserve(record("c", 1)); !errors.Is(err, ErrQuota) {
		t.Errorf("one byte too many: %v; want %v", err, ErrQuota)
	}
	reserve(b, false) // its answer was lost
	u.giveBack(b)
	want("not sent after all", 10, 1)
	reserve(Record{Lock: "l", Token: 6, Request: "x"}, false) // not this section
	want("another section's", 10, 1)
}

// The answer of a release may come after the watch has told of it, and after the next holder has
// begun to append.
func TestUsageOfTheNextSectionStays(t *testing.T) {
	u := newUsage()
	u.begin("l", newSectionUsage(9))
	u.drop("l", 5)
	if !u.knows(Record{Lock: "l", Token: 9}) {
		t.Error("the end of section 5 has dropped the count of section 9")
	}
	u.drop("l", 9)
	if u.knows(Record{Lock: "l", Token: 9}) {
		t.Error("the end of section 9 has not dropped its count")
	}
}
