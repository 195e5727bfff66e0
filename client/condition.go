package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// VersionIs returns the condition that a file is of a version: that nothing was published to it
// since it was told to be. nil stands for a file that does not exist.
func VersionIs(file string, version *Version) *FileCondition {
	if version == nil {
		return &FileCondition{File: file, Is: &dlmv1.FileCondition_Absent{Absent: true}}
	}
	return &FileCondition{File: file, Is: &dlmv1.FileCondition_Version{Version: version}}
}

// SizeIs returns the condition that a file has a size in bytes, with what was cut off it. 0 is also
// that of a file that does not exist.
func SizeIs(file string, size int64) *FileCondition {
	return &FileCondition{File: file, Is: &dlmv1.FileCondition_Size{Size: size}}
}

// FileVersion returns the version of a file, for a [Condition]; nil: there is no such file. It sees
// what [Client.Read] sees, and has the errors of that but [ErrFileNotFound].
func (c *Client) FileVersion(ctx context.Context, lock, file string) (*Version, error) {
	_, version, err := c.copy(ctx, io.Discard, lock, file, math.MaxInt64, false) // there is nothing
	if errors.Is(err, ErrFileNotFound) {
		return nil, nil //nolint:nilnil // as VersionIs has it
	}
	return version, err
}

// PublishIf is [Client.Publish] on a condition: nothing is published unless it holds at that very
// moment. So who has read something can add to it, and to nothing else, without holding the lock in
// between:
//
//	data, version, err := c.ReadVersion(ctx, "orders", "log")
//	...
//	_, err = c.PublishIf(ctx, "orders", &client.Condition{
//		Files: []*client.FileCondition{client.VersionIs("log", version)},
//	}, client.Append("log", next(data)))
//
// Beside the errors of Publish there are
//
//   - [ErrConflict]: the condition does not hold; the [*ConflictError] says what is so instead.
//     Nothing was published, nor will it be.
//   - [ErrBusy] also if others publish to the lock all too fast.
//   - [ErrPermissionDenied] also without the right to read.
//
// A condition asks about 50 files at most.
func (c *Client) PublishIf(ctx context.Context, lock string, condition *Condition, operations ...*Operation) (*Version, error) {
	return c.publishIf(ctx, lock, condition, operations, c.askPublish)
}

// ConflictError says what is so instead of what a condition wants. errors.Is(err, ErrConflict)
// holds.
type ConflictError struct {
	Lock    string
	Version *Version // of the lock; nil: nothing was published, or the condition does not ask
	Files   []*File  // those of the condition that exist
}

// Error names the versions.
func (e *ConflictError) Error() string {
	s := "conflict:"
	if e.Version != nil {
		s += fmt.Sprintf(" the lock is of version %s,", FormatVersion(e.Version))
	}
	for _, f := range e.Files {
		s += fmt.Sprintf(" file %q of version %s has %d bytes,", f.GetName(), FormatVersion(f.GetVersion()), f.GetSize())
	}
	if len(e.Files) == 0 {
		s += " there is no such file,"
	}
	return s[:len(s)-1]
}

// Is makes a ConflictError an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// FormatVersion writes a version as its token or, if it shares that, as token.n.
func FormatVersion(v *Version) string {
	if v.GetN() == 0 {
		return strconv.FormatInt(v.GetToken(), 10)
	}
	return fmt.Sprintf("%d.%d", v.GetToken(), v.GetN())
}

// ParseVersion reads what [FormatVersion] writes.
func ParseVersion(s string) (*Version, error) {
	token, n, shared := strings.Cut(s, ".")
	v := &Version{}
	var err error
	if v.Token, err = strconv.ParseInt(token, 10, 64); err == nil && shared {
		var number uint64
		number, err = strconv.ParseUint(n, 10, 32)
		v.N = uint32(number)
	}
	if err != nil || v.GetToken() <= 0 || FormatVersion(v) != s {
		return nil, fmt.Errorf("%w: version %q: want a token, or token.n", ErrInvalidArgument, s)
	}
	return v, nil
}
