package facade

import (
	"slices"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// maxEvents bounds the events of one message, so that any client's receive limit has room for it.
const maxEvents = 1000

// Tail and Watch last until their context ends, which is therefore never a success.

func (s *service) Tail(req *dlmv1.TailRequest, stream grpc.ServerStreamingServer[dlmv1.TailResponse]) error {
	ctx := stream.Context()
	done, err := s.limiter.watch(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = s.store.Tail(ctx, req.GetLock(), req.GetFile(), req.GetOffset(), func(piece etcdstore.Piece) error {
		return stream.Send(&dlmv1.TailResponse{Data: piece.Data, Offset: piece.Offset})
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (s *service) Watch(req *dlmv1.WatchRequest, stream grpc.ServerStreamingServer[dlmv1.WatchResponse]) error {
	ctx := stream.Context()
	done, err := s.limiter.watch(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = s.store.Watch(ctx, req.GetPrefix(), func(events []etcdstore.Event) error {
		for some := range slices.Chunk(events, maxEvents) {
			if err := stream.Send(&dlmv1.WatchResponse{Events: encodeAll(some, encodeEvent)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}
