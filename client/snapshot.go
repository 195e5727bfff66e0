package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/sealed"
)

// Snapshot is what is known of a snapshot that was written whole.
type Snapshot struct {
	Cluster  string // the id of the servers' cluster
	Revision int64  // what was committed up to it is in the snapshot, at least
	Size     int64  // bytes
	SHA256   string // of all but the last 32 bytes, which are this; hexadecimal
}

// Snapshot writes a copy of all that the servers keep to w, in the form of etcd's snapshots, and
// checks it. It holds secrets, and what was published. Only when it returns without an error is
// what was written a snapshot. Until the first byte it looks for a server that can give one; then
// it does not begin anew.
//
// Errors: [ErrBroken], [ErrPermissionDenied], [ErrUnauthenticated], [ErrUnavailable], [ErrClosed],
// w's own, that of ctx.
func (c *Client) Snapshot(ctx context.Context, w io.Writer) (Snapshot, error) {
	taken := &taking{to: w}
	err := follow(ctx, c.wire, func(ctx context.Context, api dlmv1.LockServiceClient) (receiver[dlmv1.SnapshotResponse], error) {
		stream, err := api.Snapshot(ctx, &dlmv1.SnapshotRequest{})
		taken.from = stream
		return taken, err
	}, taken.take)
	if err == nil {
		err = taken.err
	}
	if err == nil {
		taken.got.Size = taken.check.Size()
		if taken.got.SHA256, err = taken.check.Sum(); err != nil {
			err = fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot: %w", err)
	}
	return taken.got, nil
}

// taking is a snapshot on its way from a stream to a writer.
type taking struct {
	from  grpc.ServerStreamingClient[dlmv1.SnapshotResponse]
	to    io.Writer
	check sealed.Check
	got   Snapshot
	begun bool  // something was written, so that it cannot begin anew
	over  bool  // the stream has ended
	err   error // why it cannot go on
}

// Recv is the next message, or, when it cannot go on, one that ends it.
func (t *taking) Recv() (*dlmv1.SnapshotResponse, error) {
	m, err := t.from.Recv()
	switch {
	case errors.Is(err, io.EOF):
		t.over = true
		return nil, nil //nolint:nilnil // of which take makes the end
	case err != nil && t.begun:
		t.over, t.err = true, fmt.Errorf("%w: %w", ErrBroken, rpcError(err))
		return nil, nil //nolint:nilnil // the same
	}
	return m, err
}

// take writes what came, and reports whether more is wanted.
func (t *taking) take(m *dlmv1.SnapshotResponse) bool {
	if t.over {
		return false
	}
	if m.GetCluster() != "" || m.GetRevision() != 0 {
		t.got.Cluster, t.got.Revision = m.GetCluster(), m.GetRevision()
	}
	data := m.GetData()
	if len(data) == 0 {
		return true
	}
	t.begun = true
	_, _ = t.check.Write(data) // a hash takes all
	if _, t.err = t.to.Write(data); t.err != nil {
		return false
	}
	return true
}
