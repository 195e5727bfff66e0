package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxLine bounds in bytes what is taken for a line: a log's own are far shorter.
const maxLine = 64 << 10

// Missing is what is missing in a log that was read.
type Missing struct {
	Skipped int   // lines that are no log's: what a write that was cut short has left, or another file's
	Dropped int64 // lines that the log says that it dropped
	Cut     bool  // it ends within a compressed part, or in a line without its end, which counts if it is whole
}

// Read reads a log, compressed by gzip or not, and calls each with every line and what it was read
// from, which is good until each returns. It goes on behind what is no line, and returns what is
// missing so. An error is that of reading.
func Read(r io.Reader, each func(l Line, raw []byte)) (Missing, error) {
	var missing Missing
	in := bufio.NewReaderSize(r, maxLine)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return missing, fmt.Errorf("read what is compressed: %w", err)
		}
		in = bufio.NewReaderSize(unpacked, maxLine)
	}
	for long := false; ; {
		raw, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if !long {
				missing.Skipped++
			}
			long = true
			continue
		case errors.Is(err, io.ErrUnexpectedEOF):
			missing.Cut, err = true, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return missing, err
		}
		cut := len(raw) > 0 && raw[len(raw)-1] != '\n'
		missing.Cut = missing.Cut || cut
		if raw = bytes.TrimSpace(raw); len(raw) > 0 && !long && !missing.take(raw, each) && !cut {
			missing.Skipped++
		}
		long = false
		if errors.Is(err, io.EOF) {
			return missing, nil
		}
	}
}

// take takes in one line, and reports whether it is one.
func (m *Missing) take(raw []byte, each func(l Line, raw []byte)) bool {
	var read struct {
		Time string `json:"time"`
		Line
		Took    int64 `json:"took_us"`
		Dropped int64 `json:"dropped"`
	}
	err := json.Unmarshal(raw, &read)
	at, wrong := time.Parse(time.RFC3339Nano, read.Time)
	switch {
	case err != nil || wrong != nil || read.Method == "" && read.Dropped <= 0:
		return false
	case read.Method == "":
		m.Dropped += read.Dropped
	default:
		l := read.Line
		l.Time, l.Took = at, time.Duration(read.Took)*time.Microsecond
		each(l, raw)
	}
	return true
}
