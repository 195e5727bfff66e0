package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

func testSectionBytes(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("bounds/bytes")
	full := strings.Repeat("x", etcdstore.MaxRecord)
	var last etcdstore.Record
	for range etcdstore.MaxSection / etcdstore.MaxRecord {
		last = c.Append(h, "f", full)
	}
	staged := Inspect(t, s, h.Lock).Staged
	Want(t, "one byte more than a section's bound", AppendTo(Bounded(t), s, c.Record(h, "f", "x")), etcdstore.ErrQuota)
	if got := Inspect(t, s, h.Lock).Staged; got != staged {
		t.Errorf("%d records are staged; want %d", got, staged)
	}
	c.AppendRecord(h, last) // a repeat adds nothing
	c.Append(h, "f", "")
	published, err := s.Discard(Bounded(t), h.Section)
	if err != nil || published {
		t.Fatalf("Discard = %v, %v", published, err)
	}
	c.Publish(h.Lock, "f", "x") // the next section counts from nothing
}

func testSectionFiles(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("bounds/files")
	for i := range etcdstore.MaxSectionFiles {
		c.Append(h, fmt.Sprintf("f%d", i), "x")
	}
	more := c.Record(h, "more", "x")
	Want(t, "one file more than a section's bound", AppendTo(Bounded(t), s, more), etcdstore.ErrQuota)
	c.Append(h, "f0", "y")
	c.Release(h)
	WantContents(t, s, h.Lock, "f0", "xy")
	WantNoFile(t, s, h.Lock, "more")
	files, _, err := s.ListFiles(Bounded(t), h.Lock, 0, "")
	if err != nil || len(files) != etcdstore.MaxSectionFiles {
		t.Errorf("ListFiles = %d files, %v; want %d", len(files), err, etcdstore.MaxSectionFiles)
	}
	h = c.Acquire(h.Lock)
	more.Token = h.Token
	c.AppendRecord(h, more)
	c.Release(h)
	WantContents(t, s, h.Lock, "more", "x")
}
