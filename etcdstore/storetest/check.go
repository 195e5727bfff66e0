package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience is the longest that anything here may take before it counts as missing.
const patience = time.Minute

// Bounded is a context for a call that must return in time. It ends with the test at the latest.
func Bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Eventually polls until ask returns true, and fails the test if that takes too long.
func Eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	await.Eventually(t, patience, what, ask)
}

// Await waits for a channel to be closed.
func Await(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	await.Receive(t, patience, what, done)
}

// Want checks an error against a sentinel; nil: that there is none.
func Want(t testing.TB, what string, got, sentinel error) {
	t.Helper()
	if !errors.Is(got, sentinel) {
		t.Errorf("%s: %v; want %v", what, got, sentinel)
	}
}

// Inspect returns the state of a lock; a lock that is not there has the zero state.
func Inspect(t *testing.T, s Subject, lock string) etcdstore.LockInfo {
	t.Helper()
	info, err := s.Inspect(Bounded(t), lock)
	if err != nil && !errors.Is(err, etcdstore.ErrLockNotFound) {
		t.Fatalf("Inspect(%s): %v", lock, err)
	}
	return info
}

// HolderOf is the token that a lock is held under; 0: it is free.
func HolderOf(t *testing.T, s Subject, lock string) int64 {
	t.Helper()
	if info := Inspect(t, s, lock); info.Holder != nil {
		return info.Holder.Token
	}
	return 0
}

// Contents reads a whole file; a file that is not there has no contents.
func Contents(t *testing.T, s Subject, lock, file string) string {
	t.Helper()
	got, err := ReadAll(Bounded(t), s, lock, file)
	if err != nil && !errors.Is(err, etcdstore.ErrFileNotFound) {
		t.Fatalf("Read(%s, %s): %v", lock, file, err)
	}
	return got
}

// ReadAll reads all that there is of a file, in one of its lives, from any goroutine.
func ReadAll(ctx context.Context, s Subject, lock, file string) (string, error) {
	args := etcdstore.ReadArgs{Lock: lock, File: file}
	var all strings.Builder
	for {
		p, err := s.Read(ctx, args)
		switch gone, is := errors.AsType[*etcdstore.OffsetGoneError](err); {
		case is: // at its beginning, or cut while it is read
			args.Offset, args.Life = gone.Start, gone.Life
			all.Reset()
			continue
		case errors.Is(err, etcdstore.ErrFileChanged):
			args.Offset, args.Life = 0, etcdstore.Version{}
			all.Reset()
			continue
		case err != nil:
			return "", err
		}
		all.Write(p.Data)
		args.Offset, args.Life = args.Offset+int64(len(p.Data)), p.Life
		if args.Offset >= p.Size || len(p.Data) == 0 {
			return all.String(), nil
		}
	}
}

// WantContents checks a whole file.
func WantContents(t *testing.T, s Subject, lock, file, want string) {
	t.Helper()
	if got := Contents(t, s, lock, file); got != want {
		t.Errorf("file %s of %s = %s, want %s", file, lock, brief(got), brief(want))
	}
}

// brief cuts what would drown the test's output.
func brief(s string) string {
	if len(s) > 200 {
		return strconv.Quote(s[:200]) + "… of " + strconv.Itoa(len(s)) + " bytes"
	}
	return strconv.Quote(s)
}

// WantNoFile checks that there is no such file.
func WantNoFile(t *testing.T, s Subject, lock, file string) {
	t.Helper()
	p, err := s.Read(Bounded(t), etcdstore.ReadArgs{Lock: lock, File: file})
	if !errors.Is(err, etcdstore.ErrFileNotFound) {
		t.Errorf("Read(%s, %s) = %s, %v; want %v", lock, file, brief(string(p.Data)), err, etcdstore.ErrFileNotFound)
	}
}
