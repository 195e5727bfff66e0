package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// limitSnapshots is the limit by which a snapshot is refused while another one is taken: etcd keeps
// what it frees meanwhile for each of them, and cannot rewrite its file.
const (
	limitSnapshots = "snapshots"
	snapshotRetry  = time.Second
)

// Snapshot gives a copy of all that etcd has, as it is at one revision, to send: piece by piece,
// each of which is the callee's to keep. It is in etcd's own form, whose last 32 bytes are the
// SHA-256 of what is before; package snapshot checks it. begin is called before, with a revision
// that the copy has at least. An error of either ends the copy, and is returned.
//
// While send takes its time, etcd keeps what it frees, and its file cannot be defragmented.
//
//   - [ErrLimit]: another snapshot is being taken, or the file is being defragmented.
//   - [ErrEtcdDenies]: the server's user of etcd has not the role root.
//   - [ErrNoQuorum], also in the middle; [ErrWentBack], that of ctx.
func (s *Store) Snapshot(ctx context.Context, begin func(rev int64) error, send func([]byte) error) error {
	if !s.copying.TryLock() {
		return Exceeded(limitSnapshots, 1, "snapshot at a time, and none while etcd's file is defragmented", snapshotRetry)
	}
	defer s.copying.Unlock()
	etcd, rev, err := s.caughtUp(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // or etcd's client would go on reading
	from, err := etcd.Snapshot(ctx)
	if err != nil {
		return copyFailed(ctx, err)
	}
	defer from.Close()
	if err := begin(rev); err != nil {
		return err
	}
	for {
		piece := make([]byte, snapshotPiece)
		n, err := io.ReadFull(from, piece)
		if n > 0 {
			if err := send(piece[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return copyFailed(ctx, err)
		}
	}
}

// snapshotPiece is how many bytes of a snapshot are given at once. Etcd itself gives 32 KiB.
const snapshotPiece = 256 << 10

// caughtUp returns the client of a member that has all that was committed before, up to a revision:
// it has answered a linearizable read. A snapshot is of what the member that is asked has.
func (s *Store) caughtUp(ctx context.Context) (etcd *clientv3.Client, rev int64, err error) {
	err = s.engine.Call(ctx, func(ctx context.Context) error {
		before := s.seen.Highest()
		return s.members.Do(ctx, func(used *clientv3.Client) error {
			resp, err := used.Get(ctx, s.keys.meta())
			if err != nil {
				return err
			}
			etcd, rev = used, resp.Header.Revision
			return s.seen.Answered(before, rev)
		})
	})
	return etcd, rev, err
}

// copyFailed is why a copy has ended before its end.
func copyFailed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%w: a snapshot takes the role root", ErrEtcdDenies)
	}
	return fmt.Errorf("%w: the snapshot broke off: %w", ErrNoQuorum, err)
}
