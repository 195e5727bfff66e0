package embedded

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestLastWords(t *testing.T) {
	cfg := Config{DataDir: "/data", Name: "m1", Members: map[string]string{"m1": "h:1"}}
	for name, tc := range map[string]struct {
		message string
		cause   error
		want    error
		says    string
	}{
		"full":      {"failed to commit tx", &fs.PathError{Op: "write", Path: "db", Err: syscall.ENOSPC}, ErrDisk, "make room under /data"},
		"quota":     {"failed to save", syscall.EDQUOT, ErrDisk, "make room under /data"},
		"broken":    {"failed to save", &fs.PathError{Op: "write", Path: "wal", Err: syscall.EIO}, ErrDisk, "input/output error"},
		"read-only": {"failed to save", syscall.EROFS, ErrDisk, "read-only"},
		"old copy": {"tocommit(12) is out of range [lastIndex(7)]. Was the raft log corrupted, truncated, or lost?", nil, ErrStale,
			"`dlm member add m1 h:1`"},
		"other": {"unexpected", errors.New("bad page"), ErrStopped, "unexpected: bad page"},
	} {
		t.Run(name, func(t *testing.T) {
			err := lastWords{cfg: cfg}.explain(tc.message, tc.cause)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v; want %v, saying %q", err, tc.want, tc.says)
			}
		})
	}
}
