package main

import (
	"bytes"
	"errors"
	"io"
	"iter"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// record is one append's bytes, or why there are no more.
type record struct {
	data []byte
	err  error
}

// splitRecords cuts a stream into as few records as fit it, each after a newline if it has one. An
// empty stream is one empty record: it makes the file exist.
func splitRecords(from io.Reader) iter.Seq[record] {
	return func(yield func(record) bool) {
		buffer := make([]byte, etcdstore.MaxRecord)
		kept := 0
		for first := true; ; first = false {
			n, err := io.ReadFull(from, buffer[kept:])
			filled := kept + n
			atEnd := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
			if err != nil && !atEnd {
				yield(record{err: err})
				return
			}
			if atEnd {
				if filled > 0 || first {
					yield(record{data: bytes.Clone(buffer[:filled])})
				}
				return
			}
			cut := bytes.LastIndexByte(buffer[:filled], '\n') + 1
			if cut == 0 {
				cut = filled
			}
			if !yield(record{data: bytes.Clone(buffer[:cut])}) {
				return
			}
			kept = copy(buffer, buffer[cut:filled])
		}
	}
}
