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
	reserve := func(r Record) {
		t.Helper()
		if err := u.reserve(r); err != nil {
			t.Errorf("reserve %s: %v", r.Request, err)
		}
	}
	a, b := record("a", 10), record("b", MaxSection-10)
	reserve(a)
	reserve(a) // a repeat while it is on its way
	want("asked for twice", 10, 1)
	u.staged(a)
	u.giveBack(a) // the repeat finds it staged
	want("staged, and repeated at the same time", 10, 1)
	reserve(a)    // a repeat of what was answered
	u.giveBack(a) // it finds it staged
	want("staged, and repeated", 10, 1)

	reserve(b)
	if err := u.reserve(record("c", 1)); !errors.Is(err, ErrQuota) {
		t.Errorf("one byte too many: %v; want %v", err, ErrQuota)
	}
	reserve(b) // the answer of the first was lost
	u.giveBack(b)
	want("the repeat was not sent, the first may have been", MaxSection, 2)
	reserve(b)
	reserve(b)
	u.giveBack(b) // one was not sent, while
	u.staged(b)   // another stages it
	want("staged beside one that was not sent", MaxSection, 2)

	u.begin("l", newSectionUsage(7))
	b.Token = 7
	reserve(b)
	u.giveBack(b)
	want("not sent at all", 0, 0)
	reserve(Record{Lock: "l", Token: 6, Request: "x"}) // not this section
	want("another section's", 0, 0)
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
