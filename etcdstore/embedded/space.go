package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/server/v3/storage/wal"
)

// What etcd needs of the disk to be of use: the segment of its log that it writes to and the next
// one, which it allocates beforehand, each of 64 MB; and its database grows by this at a time. A
// new one has to have room for a step more than it takes, or it could not be started again.
const databaseStep = 16 << 20

// checkSpace refuses a disk on which etcd would start and end at its first write.
func checkSpace(dataDir, etcdDir string, logs bool) error {
	free, known := freeSpace(dataDir)
	if !known {
		return nil
	}
	need := wal.SegmentSizeBytes + databaseStep
	if !logs {
		need += wal.SegmentSizeBytes + 2*databaseStep
	}
	// The next segment may have been allocated by an earlier run.
	spare := int64(0)
	_ = filepath.WalkDir(filepath.Join(etcdDir, "member", "wal"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".tmp" {
			if info, err := d.Info(); err == nil {
				spare += info.Size()
			}
		}
		return nil
	})
	if have := free + min(spare, wal.SegmentSizeBytes); have < need {
		return fmt.Errorf("%w: it is full, or nearly: %d MB are free under %s, and etcd needs %d MB to start: make room and start again",
			ErrDisk, have/1e6, dataDir, need/1e6)
	}
	return nil
}

// roomForCopy refuses to write the database a second time where that would leave too little for the
// log: etcd would end at its next write.
func roomForCopy(dir string, bytes int64) error {
	need := bytes + wal.SegmentSizeBytes + 2*databaseStep
	if free, known := freeSpace(dir); known && free < need {
		return fmt.Errorf("%w: %d MB are free under %s, and to defragment etcd's file takes %d MB", ErrDisk, free/1e6, dir, need/1e6)
	}
	return nil
}

// removeCopies removes what a member leaves that was killed while it wrote the database a second
// time. Etcd itself would only do so when it reads a snapshot.
func removeCopies(etcdDir string) error {
	dir := filepath.Join(etcdDir, "member", "snap")
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // there is nothing yet, or etcd will say what is wrong with it
	}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), "db.tmp") {
			err = errors.Join(err, os.Remove(filepath.Join(dir, file.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("remove an unfinished copy of the database: %w", err)
	}
	return nil
}
