package etcdstore

import (
	"encoding/binary"
	"fmt"
)

// Operation is one thing that a section does to a file.
type Operation struct {
	File   string
	Kind   OperationKind
	Data   []byte // of Append and Replace
	Offset int64  // of Cut, in bytes
}

// OperationKind is what an operation does.
type OperationKind uint8

// The kinds of operations. What is no file, and is not made, is left so.
const (
	Append  OperationKind = iota // Data goes behind the file's end; the file is made if there is none
	Replace                      // the file is Data from now on, and begins a new life
	Remove                       // there is no such file any more
	Cut                          // what is before Offset is not in the file any more; what is behind keeps its offsets
)

// frees reports whether an operation is to make room, and so goes on for longer when there is
// little.
func (o Operation) frees() bool { return o.Kind == Remove || o.Kind == Cut }

// check is [ErrInvalidName] or [ErrInvalidArgument] of what is no operation.
func (o Operation) check() error {
	if err := checkFile(o.File); err != nil {
		return err
	}
	switch {
	case o.Kind > Cut:
		return fmt.Errorf("%w: operation %d: want an append, a replacement, a removal or a cut", ErrInvalidArgument, o.Kind)
	case o.frees() && len(o.Data) > 0:
		return fmt.Errorf("%w: %d bytes of a removal or a cut: want none", ErrInvalidArgument, len(o.Data))
	case o.Kind != Cut && o.Offset != 0:
		return fmt.Errorf("%w: offset %d of what is no cut: want 0", ErrInvalidArgument, o.Offset)
	case o.Offset < 0 || o.Offset > mostFile:
		return fmt.Errorf("%w: a cut before %d: want 0 to %d", ErrInvalidArgument, o.Offset, int64(mostFile))
	}
	return nil
}

// mayOperate is [ErrFeatureOff] of an operation that an older server would take for malformed,
// while there may be one.
func (s *Store) mayOperate(o Operation) error {
	if o.Kind != Append && !s.features.on(featureLife) {
		return fmt.Errorf("%w: files are not replaced, removed or cut before the feature %q is", ErrFeatureOff, featureLife)
	}
	return nil
}

// Both records and bundles have their operations in one form: what is done to which file, and then
// what is done it with. The first is of an append the length of the file's name, and that. Of
// anything else it is a zero, which no name has for its length, so that a server which knows
// appends only takes it for malformed, then the kind, and then the same.

// appendTarget writes what an operation does, and to which file.
func appendTarget(b []byte, o Operation) []byte {
	if o.Kind != Append {
		b = append(b, 0, byte(o.Kind))
	}
	b = binary.AppendUvarint(b, uint64(len(o.File)))
	return append(b, o.File...)
}

// cutTarget reads what appendTarget writes.
func cutTarget(b []byte) (o Operation, rest []byte, ok bool) {
	if len(b) > 1 && b[0] == 0 {
		o.Kind, b = OperationKind(b[1]), b[2:]
		if o.Kind == Append || o.Kind > Cut {
			return Operation{}, nil, false
		}
	}
	size, b, ok := uvarint(b)
	if !ok || size > MaxFileName || size > uint64(len(b)) || !isFile(string(b[:size])) {
		return Operation{}, nil, false
	}
	o.File = string(b[:size])
	return o, b[size:], true
}

// with is what an operation is done with.
func (o Operation) with() []byte {
	if o.Kind == Cut {
		return binary.AppendUvarint(nil, uint64(o.Offset)) //nolint:gosec // it is not negative
	}
	return o.Data
}

// take takes in what with returns; Data aliases it. It reports whether it is that.
func (o *Operation) take(with []byte) bool {
	switch o.Kind {
	case Append, Replace:
		o.Data = with
		return true
	case Cut:
		offset, rest, ok := uvarint(with)
		o.Offset = int64(min(offset, mostFile)) //nolint:gosec // it is bounded
		return ok && len(rest) == 0 && offset <= mostFile
	}
	return len(with) == 0
}
