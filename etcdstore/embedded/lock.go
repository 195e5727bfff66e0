package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// A process that is being started has its parent's descriptors for a moment, until it is executed:
// a lock that was given up meanwhile still looks taken. So it is tried again, for a quarter of a
// second in all.
const (
	lockTries = 10
	lockPace  = 25 * time.Millisecond
)

// lockDir takes the data directory for this process. The kernel lets go of it when the process
// ends, however it ends; the file stays, because removing it would let two processes lock two files
// of one name.
func lockDir(dir string) (*fileutil.LockedFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	path := filepath.Join(dir, "LOCK")
	lock, err := fileutil.TryLockFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	for range lockTries {
		if !errors.Is(err, fileutil.ErrLocked) {
			break
		}
		time.Sleep(lockPace) //nolint:forbidigo // there is nothing that tells
		lock, err = fileutil.TryLockFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if errors.Is(err, fileutil.ErrLocked) {
		by := "another server"
		if text, err := os.ReadFile(path); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				by = fmt.Sprintf("another server (process %d)", pid)
			}
		}
		return nil, fmt.Errorf("%w: %s runs on %s", ErrInUse, by, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := lock.Truncate(0); err == nil {
		_, err = lock.WriteString(strconv.Itoa(os.Getpid()) + "\n")
		if err == nil {
			return lock, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), lock.Close())
}
