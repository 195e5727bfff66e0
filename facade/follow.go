package facade

import (
	"context"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/budget"
	"github.com/distributed-lock-manager/dlm/facade/wire"
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
	account := budget.Of(ctx)
	args := etcdstore.TailArgs{Lock: req.GetLock(), File: req.GetFile(), Offset: req.GetOffset(), Life: decodeVersion(req.GetLife())}
	err = s.store.Tail(ctx, args, func(piece etcdstore.Piece) error {
		kept := 2 * len(piece.Data) // as it is, and encoded
		if err := account.Hold(kept); err != nil {
			return err
		}
		defer account.Free(kept)
		return stream.Send(&dlmv1.TailResponse{
			Data: piece.Data, Offset: piece.Offset, Life: encodeVersion(piece.Life), Cut: piece.Cut, Replaced: piece.Replaced, Removed: piece.Removed,
		})
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
	watch := s.store.Watch
	if since := req.GetSince(); since != 0 {
		watch = func(ctx context.Context, prefix string, send func(*etcdstore.News) error) error {
			return s.store.WatchSince(ctx, prefix, since, send)
		}
	}
	err = watch(ctx, req.GetPrefix(), func(n *etcdstore.News) error {
		if n = s.gate.visible(ctx, n); n == nil {
			return nil
		}
		for _, m := range n.Form(encodeNews).([]*wire.Shared) {
			if err := stream.SendMsg(m); err != nil {
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

// encodeNews returns the messages that tell news, a []*wire.Shared: they are encoded once for all
// watchers, of whom a thousand would otherwise have a thousand copies. Each but the last is
// followed by events of its own last revision or a later one, and so tells all that was before the
// next event.
func encodeNews(n *etcdstore.News) any {
	var messages []*wire.Shared
	for events := n.Events; ; {
		some := events[:min(maxEvents, len(events))]
		events = events[len(some):]
		m := &dlmv1.WatchResponse{Events: encodeAll(some, encodeEvent), Revision: n.Revision}
		messages = append(messages, &wire.Shared{Message: m})
		if len(events) == 0 {
			return messages
		}
		if n.Revision != 0 {
			m.Revision = events[0].Revision - 1
		}
	}
}
