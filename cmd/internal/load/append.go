package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The files of the workload Append: what is appended before the clock runs is not to be read back.
const (
	warmupFile = "warmup"
	file       = "log"
)

// sections is the loop of one client that appends, and its reading back.
func (r *run) sections(ctx context.Context, i int, c Client) error {
	a, ok := c.(Appender)
	if !ok {
		return errors.New("the system keeps no records")
	}
	lock := r.own(i)
	counted := 0 // sections
	for {
		began := time.Now()
		if !began.Before(r.close) {
			break
		}
		s := &Section{Lock: lock, File: warmupFile, overlap: max(r.Overlap, 1), done: func(time.Time) {}}
		first := 0
		if !began.Before(r.open) {
			s.File, s.done = file, func(began time.Time) { r.meter.Add(time.Since(began)) }
			first = counted * SectionRecords
			counted++
		}
		for n := range SectionRecords {
			s.records = append(s.records, record(first+n))
		}
		if err := a.Append(ctx, s); err != nil {
			return err
		}
	}
	reader, ok := c.(Reader)
	if !ok || counted == 0 {
		return nil
	}
	data, err := reader.Read(ctx, lock, file)
	if err != nil {
		return err
	}
	if err := verify(data, counted); err != nil {
		return fmt.Errorf("%s of %s: %w", file, lock, err)
	}
	return nil
}

// record begins with its number.
func record(n int) []byte {
	b := make([]byte, RecordSize)
	for i := copy(b, fmt.Sprintf("%016d ", n)); i < len(b); i++ {
		b[i] = byte('a' + (n+i)%26)
	}
	return b
}

// verify checks that a file consists of so many sections in order, each with every one of its
// records once. Records of a section that were appended at once may be in any order.
func verify(data []byte, sections int) error {
	if want := sections * SectionRecords * RecordSize; len(data) != want {
		return fmt.Errorf("%d bytes, want %d", len(data), want)
	}
	for s := range sections {
		var seen [SectionRecords]bool
		for i := range SectionRecords {
			at := (s*SectionRecords + i) * RecordSize
			n, err := strconv.Atoi(string(data[at : at+16]))
			place := n - s*SectionRecords
			if err != nil || place < 0 || place >= SectionRecords || seen[place] || string(data[at:at+RecordSize]) != string(record(n)) {
				return fmt.Errorf("at byte %d: not a record of section %d, or for the second time", at, s)
			}
			seen[place] = true
		}
	}
	return nil
}
