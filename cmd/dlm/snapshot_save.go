package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/etcdstore/snapshot"
)

// saveCommand is `dlm snapshot save`.
type saveCommand struct {
	*streams
	connection
	force, json bool
}

// saved is what `dlm snapshot save --json` prints.
type saved struct {
	File     string  `json:"file,omitempty"` // empty: standard output
	Cluster  string  `json:"cluster"`
	Revision int64   `json:"revision"` // on standard output: that it has at least
	Size     int64   `json:"size"`
	SHA256   string  `json:"sha256"`
	Took     float64 `json:"took_seconds"`
}

func newSnapshotSave(s *streams) *cobra.Command {
	c := &saveCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "save [flags] FILE|-",
		Short: "Save a snapshot from a server that runs",
		Long: `Save a snapshot from a server that runs, with embedded or external etcd, in etcd's own form. Where servers have a policy
it takes the verb admin for all locks; with an external etcd that has users, the servers' user needs the role root there.

It is written to FILE.partial, checked by its hash, and has the name FILE only when all of it is on the disk. FILE is
not replaced without --force. With - it goes to standard output, and what there is to tell to standard error; it is a
snapshot only if the exit code is 0.

A server gives one snapshot at a time; others wait. Exit code: 69 no server can give one, or it broke off; 74 the disk is
full; 77 the servers do not allow it.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			signals := process.Catch(syscall.SIGINT, syscall.SIGTERM)
			defer signals.Release()
			ctx, stop := signals.Context(cmd.Context())
			defer stop()
			return orSignal(ctx, c.save(ctx, args[0]))
		},
	}
	c.connection.flags(cmd)
	cmd.Flags().BoolVar(&c.force, "force", false, "replace FILE if it is there")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

func (c *saveCommand) save(ctx context.Context, path string) (err error) {
	began := time.Now()
	if path == "-" {
		got, err := c.take(ctx, c.out)
		if err != nil {
			return err
		}
		return c.tell(c.err, saved{Cluster: got.Cluster, Revision: got.Revision, Size: got.Size, SHA256: got.SHA256}, began)
	}
	if err := c.replaceable(path); err != nil {
		return err
	}
	f, err := openPartial(path)
	if err != nil {
		return onDisk(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
		_ = f.Close() // and the lock is given up
	}()
	got, err := c.take(ctx, f)
	if err == nil {
		err = onDisk(f.Sync())
	}
	if err != nil {
		return err
	}
	// As it lies there now, which is what counts.
	is, err := snapshot.Read(ctx, f.Name(), false, nil)
	if err == nil && is.SHA256 != got.SHA256 {
		err = fmt.Errorf("%w: somebody else has written to %s", client.ErrBroken, f.Name())
	}
	if err == nil {
		err = c.replaceable(path)
	}
	if err == nil && runtime.GOOS == "windows" {
		err = f.Close() // or it could not be renamed
	}
	if err == nil {
		err = onDisk(os.Rename(f.Name(), path))
	}
	if err != nil {
		return err
	}
	if err := syncDirOf(path); err != nil {
		return onDisk(err)
	}
	return c.tell(c.out, saved{File: path, Cluster: got.Cluster, Revision: is.Revision, Size: got.Size, SHA256: got.SHA256}, began)
}

// take writes a server's snapshot to a file.
func (c *saveCommand) take(ctx context.Context, to io.Writer) (client.Snapshot, error) {
	from, done, err := c.opened(ctx, c.streams)
	if err != nil {
		return client.Snapshot{}, err
	}
	defer done()
	got, err := from.Snapshot(ctx, to)
	return got, onDisk(err)
}

func (c *saveCommand) tell(to io.Writer, what saved, began time.Time) error {
	took := time.Since(began)
	what.Took = took.Seconds()
	if c.json {
		return writeJSONValue(to, what)
	}
	where := what.File
	if where == "" {
		where = "a snapshot"
	}
	_, err := fmt.Fprintf(to, "saved %s: %d bytes, revision %d, cluster %s, sha256 %s, in %v\n",
		where, what.Size, what.Revision, what.Cluster, what.SHA256, took.Round(time.Millisecond))
	return err
}

// replaceable refuses a name that is taken.
func (c *saveCommand) replaceable(path string) error {
	is, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !is.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file, and is not replaced; - writes to standard output", path)
	case !c.force:
		return fmt.Errorf("%s: %w; --force replaces it", path, fs.ErrExist)
	}
	return nil
}

// openPartial opens what will be the file, empty, for this process alone.
func openPartial(path string) (*fileutil.LockedFile, error) {
	name := path + ".partial"
	f, err := fileutil.TryLockFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("another process is writing %s", name)
	}
	if file := (*fs.PathError)(nil); errors.As(err, &file) { // without the words of what locks it
		err = file
	}
	if err != nil {
		return nil, err
	}
	mine, err := f.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Lstat(name); err == nil && !os.SameFile(mine, there) { // or it would be a finished one
			err = fmt.Errorf("another process has just written %s", name)
		}
	}
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDirOf has the name of a file on the disk. Windows has no such call.
func syncDirOf(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// onDisk gives the exit code of disks to what a disk has refused.
func onDisk(err error) error {
	for _, refused := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, refused) {
			return exitError{exitDisk, err}
		}
	}
	return err
}
