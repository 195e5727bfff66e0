package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"

	file "github.com/distributed-lock-manager/dlm/etcdstore/snapshot"
)

// DefaultRaise is by how much a restored revision is raised if nothing else is said: more than a
// cluster goes through in the age of any backup. One that commits ten thousand times a second,
// which is more than etcd does, takes more than three years for it; and 9,000 restores fit into the
// numbers that JSON's readers have without loss.
const DefaultRaise = 1_000_000_000_000

// maxRevision is what a revision is not raised above: what most readers of JSON can have.
const maxRevision = 1 << 53

// RestoreArgs says what is restored, and how.
type RestoreArgs struct {
	Path     string    // of the snapshot
	Info     file.Info // as it was read
	Raise    int64     // the revision, by so many; 0: DefaultRaise
	Remember string    // see [Server.Remember]: what the snapshot is of; a directory that says otherwise is refused
}

// Restored is what came of a restore.
type Restored struct {
	Before int64 // the snapshot's last revision
	After  int64 // the one that this member begins with
	Took   time.Duration
}

// Restore makes the etcd of one member of a snapshot: the member that the configuration says, of a
// cluster of all those that it names. Each member of a cluster restores the same snapshot, raised
// by the same; members that differ in that, or of another restore, do not take each other for ones
// of their cluster.
//
// The revision is raised, so that no token is granted a second time, and everything before is
// marked as compacted. The etcd is there, whole, when Restore returns without an error, and else
// not at all; what a killed one leaves is removed by the next. It needs no quorum, and no network.
//
//   - [ErrInUse]: a server runs on the directory.
//   - [ErrNotEmpty]: the directory has an etcd.
//   - [ErrRevisionBack]: the member has seen more than the raised revision.
//   - [ErrOtherCluster]: the directory was another cluster's.
//   - [ErrDisk]: the disk is full, or cannot be written to.
//   - any other: a fault of the configuration.
func Restore(ctx context.Context, cfg Config, args RestoreArgs) (_ Restored, err error) {
	began := time.Now()
	raise := args.Raise
	if raise == 0 {
		raise = DefaultRaise
	}
	after := args.Info.Revision + raise
	if raise < 0 || after > maxRevision {
		return Restored{}, fmt.Errorf("the revision cannot be raised by %d from %d", raise, args.Info.Revision)
	}
	ec, err := cfg.etcd(ctx)
	if err != nil {
		return Restored{}, fmt.Errorf("configure etcd: %w", err)
	}
	lock, err := lockDir(cfg.DataDir)
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := cfg.restorable(ec.Dir, after, args); err != nil {
		return Restored{}, err
	}
	aside := ec.Dir + ".restoring"
	if err := os.RemoveAll(aside); err != nil {
		return Restored{}, fmt.Errorf("remove what an earlier restore has left: %w", err)
	}
	defer os.RemoveAll(aside)
	if err := cfg.restore(ec, aside, args, after); err != nil {
		if full(err) {
			err = fmt.Errorf("%w: it is full: %w; make room under %s and restore once more", ErrDisk, err, cfg.DataDir)
		}
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	is, err := file.Read(ctx, filepath.Join(aside, "member", "snap", "db"), true, nil)
	if err == nil && is.Revision != after {
		err = fmt.Errorf("the restored database is at revision %d, and should be at %d", is.Revision, after)
	}
	if err == nil {
		err = settle(aside, ec.Dir)
	}
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	return Restored{Before: args.Info.Revision, After: after, Took: time.Since(began)}, nil
}

// restorable refuses a data directory that has data, or remembers what does not fit.
func (c Config) restorable(etcdDir string, after int64, args RestoreArgs) error {
	if !fileutil.DirEmpty(etcdDir) && fileutil.Exist(etcdDir) {
		return fmt.Errorf("%w: %s has an etcd already. Move it away, with the server stopped, and restore once more", ErrNotEmpty, etcdDir)
	}
	high, err := readHighwater(c.DataDir, etcdDir)
	if err != nil {
		return err
	}
	if bound := high.now.Bound; after <= bound {
		return fmt.Errorf("%w: the snapshot ends at revision %d, raised it would be at %d, and this member may have handed out revisions "+
			"up to %d (%s). Restore it on all members with `--raise %d`", ErrRevisionBack, args.Info.Revision, after, bound, high.path,
			bound-args.Info.Revision+slack)
	}
	prefix, cluster, _ := strings.Cut(args.Remember, " ")
	if of, was, ok := strings.Cut(high.now.Remember, " "); ok && of == prefix && was != cluster {
		return fmt.Errorf("%w: %s was of cluster %s, and the snapshot is of %s. Restore it into another directory, or empty this one",
			ErrOtherCluster, c.DataDir, was, cluster)
	}
	need := args.Info.Size + 2*wal.SegmentSizeBytes + 2*databaseStep
	if free, known := freeSpace(c.DataDir); known && free < need {
		return fmt.Errorf("%w: %d MB are free under %s, and to restore takes %d MB", ErrDisk, free/1e6, c.DataDir, need/1e6)
	}
	return nil
}

// restore makes an etcd in a directory.
func (c Config) restore(ec *embed.Config, dir string, args RestoreArgs, after int64) error {
	rc := snapshot.RestoreConfig{
		SnapshotPath:        args.Path,
		Name:                ec.Name,
		OutputDataDir:       dir,
		PeerURLs:            []string{ec.AdvertisePeerUrls[0].String()},
		InitialCluster:      ec.InitialCluster,
		InitialClusterToken: restoredToken(args.Info.SHA256, after),
		SkipHashCheck:       !args.Info.Verified,
		// Etcd's own counts from the last change that is there.
		RevisionBump:  uint64(after - args.Info.Latest), //nolint:gosec // it is above
		MarkCompacted: true,
	}
	return snapshot.NewV3(c.logger()).Restore(rc)
}

// restoredToken is etcd's token of a restored cluster. That of another snapshot, or of another
// revision, would have another one.
func restoredToken(sum string, after int64) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", sum, after))
	return clusterToken + "-" + hex.EncodeToString(h[:16])
}

// settle has everything of a directory on the disk, and then puts it where it belongs.
func settle(from, to string) error {
	err := filepath.WalkDir(from, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) { // it is empty
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}
