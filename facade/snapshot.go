package facade

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/budget"
)

// How slowly a snapshot may be taken away: while it goes on, etcd keeps what it frees, and its file
// cannot be defragmented. One that is not read at all is ended by what is kept for its connection.
const (
	snapshotGrace = 30 * time.Second
	snapshotRate  = 1 << 20 // bytes a second, from then on
)

func (s *service) Snapshot(_ *dlmv1.SnapshotRequest, stream grpc.ServerStreamingServer[dlmv1.SnapshotResponse]) error {
	ctx, began, sent := stream.Context(), time.Now(), 0
	account := budget.Of(ctx)
	return s.store.Snapshot(ctx, func(rev int64) error {
		return stream.Send(&dlmv1.SnapshotResponse{Cluster: s.store.Cluster(), Revision: rev})
	}, func(piece []byte) error {
		if took := time.Since(began); took > leisure(sent) {
			return fmt.Errorf("%w: %d bytes of the snapshot were taken away in %v, which is too slow", context.DeadlineExceeded, sent, took)
		}
		kept := 2 * len(piece) // as it is, and encoded
		if err := account.Hold(kept); err != nil {
			return err
		}
		defer account.Free(kept)
		sent += len(piece)
		return stream.Send(&dlmv1.SnapshotResponse{Data: piece})
	})
}

// leisure is how long so many bytes of a snapshot may take.
func leisure(bytes int) time.Duration {
	return snapshotGrace + time.Duration(bytes/snapshotRate)*time.Second
}
