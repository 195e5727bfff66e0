package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testAtomicPublication reads all the time while sections are published. A reader sees
//
//   - sections whole, and in the order of their tokens;
//   - in both files at once: b, which is read after a, is never behind it;
//   - every one whose release had returned before the read began;
//   - nothing of those that were discarded or evicted.
func testAtomicPublication(t *testing.T, s Subject) {
	const (
		lock     = "atomic"
		sections = 40
		records  = 3
	)
	line := func(token int64, i int) string { return fmt.Sprintf("%016x %d/%d\n", token, i, records) }
	// published checks a file and returns the last token in it.
	published := func(file, text string) (last int64) {
		for text != "" {
			var token int64
			if _, err := fmt.Sscanf(text, "%16x", &token); err != nil || token <= last {
				t.Errorf("%s goes on with %s after token %x; want the next section", file, brief(text), last)
				return last
			}
			for i := range records {
				rest, ok := strings.CutPrefix(text, line(token, i))
				if !ok {
					t.Errorf("%s goes on with %s; want record %d of token %x", file, brief(text), i, token)
					return last
				}
				text = rest
			}
			last = token
		}
		return last
	}

	var acknowledged atomic.Int64
	written := make(chan struct{})
	var readers sync.WaitGroup
	ctx := Bounded(t)
	read := func(file string) int64 {
		before := acknowledged.Load()
		text, err := ReadAll(ctx, s, lock, file)
		if err != nil && before > 0 && ctx.Err() == nil {
			t.Errorf("Read(%s): %v", file, err)
		}
		return published(file, text)
	}
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-written:
					return
				case <-ctx.Done():
					return
				default:
				}
				before := acknowledged.Load()
				a := read("a")
				b := read("b")
				if ctx.Err() == nil && (a < before || b < a) {
					t.Errorf("after token %x was acknowledged, a ends with %x and then b with %x", before, a, b)
				}
				files, _, err := s.ListFiles(ctx, lock, 0, "")
				if ctx.Err() == nil && (err != nil || len(files) != 0 && (len(files) != 2 || files[0].Size != files[1].Size)) {
					t.Errorf("ListFiles = %+v, %v; want two files of one size", files, err)
				}
			}
		})
	}
	writers := []*Client{Begin(t, s, "w0"), Begin(t, s, "w1")}
	func() {
		defer readers.Wait()
		defer close(written)
		for i := range sections {
			c := writers[i%2]
			h := c.Acquire(lock)
			for r := range records {
				c.Append(h, "a", line(h.Token, r))
				c.Append(h, "b", line(h.Token, r))
			}
			switch i % 5 {
			case 3:
				if _, err := s.Discard(Bounded(t), h.Section); err != nil {
					t.Fatalf("Discard: %v", err)
				}
			case 4:
				if _, err := s.Evict(Bounded(t), lock, h.Token, "every fifth"); err != nil {
					t.Fatalf("Evict: %v", err)
				}
			default:
				c.Release(h)
				acknowledged.Store(h.Token)
			}
		}
	}()
	a, b := Contents(t, s, lock, "a"), Contents(t, s, lock, "b")
	if a != b || strings.Count(a, "\n") != sections*3/5*records {
		t.Errorf("a has %d lines, b %d; want %d each", strings.Count(a, "\n"), strings.Count(b, "\n"), sections*3/5*records)
	}
	if info := Inspect(t, s, lock); info.Holder != nil {
		t.Errorf("the lock is held by %+v; want it free", *info.Holder)
	}
}
