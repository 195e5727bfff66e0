package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The files of the workloads Append and Publish: what is appended before the clock runs is not to
// be read back.
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
	return readBack(ctx, c, lock, file, counted, SectionRecords)
}

// publishes is the loop of one client that publishes, and its reading back.
func (r *run) publishes(ctx context.Context, i int, c Client) error {
	p, ok := c.(Publisher)
	if !ok {
		return errors.New("the system keeps no records")
	}
	lock, own := r.prefix+"/one", fmt.Sprint(file, i)
	counted := 0
	for {
		began := time.Now()
		if !began.Before(r.close) {
			return readBack(ctx, c, lock, own, counted, 1)
		}
		if began.Before(r.open) {
			if err := p.Publish(ctx, lock, warmupFile, record(0)); err != nil {
				return err
			}
			continue
		}
		if err := p.Publish(ctx, lock, own, record(counted)); err != nil {
			return err
		}
		counted++
		r.meter.Add(time.Since(began))
	}
}

// readBack checks that a client's file has so many sections, of so many records each.
func readBack(ctx context.Context, c Client, lock, file string, sections, records int) error {
	reader, ok := c.(Reader)
	if !ok || sections == 0 {
		return nil
	}
	data, err := reader.Read(ctx, lock, file)
	if err != nil {
		return err
	}
	if err := verify(data, sections, records); err != nil {
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

// verify checks that a file consists of so many sections in order, each with every one of so many
// records once. Records of a section that were appended at once may be in any order.
func verify(data []byte, sections, records int) error {
	if want := sections * records * RecordSize; len(data) != want {
		return fmt.Errorf("%d bytes, want %d", len(data), want)
	}
	for s := range sections {
		seen := make([]bool, records)
		for i := range records {
			at := (s*records + i) * RecordSize
			n, err := strconv.Atoi(string(data[at : at+16]))
			place := n - s*records
			if err != nil || place < 0 || place >= records || seen[place] || string(data[at:at+RecordSize]) != string(record(n)) {
				return fmt.Errorf("at byte %d: not a record of section %d, or for the second time", at, s)
			}
			seen[place] = true
		}
	}
	return nil
}
