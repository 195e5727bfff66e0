package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/internal/sealed"
)

// Info is what a snapshot's file is.
type Info struct {
	SHA256   string `json:"sha256"`   // of the database; hexadecimal
	Verified bool   `json:"verified"` // the file has that hash; otherwise it was not asked for
	Size     int64  `json:"size"`     // of the file, in bytes
	Revision int64  `json:"revision"` // the last one
	Keys     int    `json:"keys"`     // at that revision
	Version  string `json:"version"`  // of etcd's form, as 3.7; empty: before 3.6
	// Latest is the last revision at which there was a change that the database still has. It is
	// below Revision if all since was compacted.
	Latest int64 `json:"-"`
}

// openFor is how long a file that another process has open is waited for: a member's database.
const openFor = 2 * time.Second

// Read reads the file of a snapshot, and calls visit with every key as it is at the last revision,
// in no order; nil: for the Info alone. unsealed: the hash may be missing, which is that of a
// member's database. Then what is damaged may not be noticed.
//
//   - [ErrNoSnapshot], [ErrDamaged].
//   - any other: the file cannot be read, or ctx has ended.
func Read(ctx context.Context, path string, unsealed bool, visit func(*mvccpb.KeyValue)) (Info, error) {
	info, err := sum(ctx, path, unsealed)
	if err != nil {
		return Info{}, err
	}
	if err := guarded(func() error { return info.read(ctx, path, visit) }); err != nil {
		return Info{}, fmt.Errorf("%s: %w", path, err)
	}
	return info, nil
}

// sum reads the whole file, which is what its hash is for: only then may its pages be trusted.
func sum(ctx context.Context, path string, unsealed bool) (Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	if is, err := f.Stat(); err != nil {
		return Info{}, err
	} else if !is.Mode().IsRegular() {
		return Info{}, fmt.Errorf("%s: %w: it is no regular file", path, ErrNoSnapshot)
	}
	var check sealed.Check
	whole := sha256.New()
	if _, err := io.Copy(io.MultiWriter(&check, whole), reader{ctx, f}); err != nil {
		return Info{}, err
	}
	found, err := check.Sum()
	switch {
	case err == nil:
		return Info{SHA256: found, Verified: true, Size: check.Size()}, nil
	case errors.Is(err, sealed.ErrBroken):
		return Info{}, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	case !unsealed || check.Size() == 0:
		return Info{}, fmt.Errorf("%s: %w: %w", path, ErrNoSnapshot, err)
	}
	return Info{SHA256: hex.EncodeToString(whole.Sum(nil)), Size: check.Size()}, nil
}

// reader is a reader until ctx ends.
type reader struct {
	ctx  context.Context
	from io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.from.Read(p)
}

// guarded calls f, and has what it panics with as an error: pages that are not what they should be,
// or not there, which is a fault of memory since the file is mapped.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// read looks into the database.
func (i *Info) read(ctx context.Context, path string, visit func(*mvccpb.KeyValue)) error {
	db, err := bbolt.Open(path, 0o400, &bbolt.Options{ReadOnly: true, Timeout: openFor})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("another process has it open: %w", err)
	case errors.Is(err, os.ErrPermission):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoSnapshot, err)
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{schema.Key.Name(), schema.Meta.Name()} {
			if tx.Bucket(bucket) == nil {
				return fmt.Errorf("%w: a database without etcd's %q", ErrNoSnapshot, bucket)
			}
		}
		if v := schema.ReadStorageVersionFromSnapshot(tx); v != nil {
			i.Version = fmt.Sprintf("%d.%d", v.Major, v.Minor)
		}
		if err := i.revisions(tx); err != nil || visit == nil {
			return err
		}
		if err := i.each(ctx, tx, visit); err != nil || i.Verified {
			return err
		}
		return walk(ctx, tx)
	})
}

// revisions finds the last revision as etcd does when it starts: that of the last change, or, if
// all since has been compacted, of the compaction.
func (i *Info) revisions(tx *bbolt.Tx) error {
	if last, _ := tx.Bucket(schema.Key.Name()).Cursor().Last(); last != nil {
		if len(last) < revisionBytes {
			return fmt.Errorf("%w: a revision of %d bytes", ErrDamaged, len(last))
		}
		i.Latest = mvcc.BytesToRev(last).Main
	}
	i.Revision = max(i.Latest, 1)
	for _, name := range [][]byte{schema.ScheduledCompactKeyName, schema.FinishedCompactKeyName} {
		if v := tx.Bucket(schema.Meta.Name()).Get(name); len(v) >= revisionBytes {
			i.Revision = max(i.Revision, mvcc.BytesToRev(v).Main)
		}
	}
	return nil
}

// revisionBytes is the length of a revision as it is written: two numbers and what is between them.
const revisionBytes = 17

// each visits every key as it was put last. Changes are in order, so from the last one backwards
// each key is met first as it is.
func (i *Info) each(ctx context.Context, tx *bbolt.Tx, visit func(*mvccpb.KeyValue)) error {
	seen := map[string]struct{}{}
	c := tx.Bucket(schema.Key.Name()).Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		kv := &mvccpb.KeyValue{}
		if err := proto.Unmarshal(v, kv); err != nil {
			return fmt.Errorf("%w: at revision %x: %w", ErrDamaged, k, err)
		}
		if _, later := seen[string(kv.Key)]; later || len(kv.Key) == 0 { // without a key: a raised revision
			continue
		}
		seen[string(kv.Key)] = struct{}{}
		if !mvcc.IsTombstone(k) {
			i.Keys++
			visit(kv)
		}
	}
	return nil
}

// walk goes through everything else, to meet pages that are not as they should be.
func walk(ctx context.Context, tx *bbolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return ctx.Err() })
	})
}
