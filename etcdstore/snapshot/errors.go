package snapshot

import "errors"

// What [Read] may refuse a file with. Errors are wrapped.
var (
	// ErrNoSnapshot: the file is no snapshot, as one that is empty, or cut off.
	ErrNoSnapshot = errors.New("no snapshot")
	// ErrDamaged: the file was a snapshot, and something in it was changed.
	ErrDamaged = errors.New("the snapshot is damaged")
)
