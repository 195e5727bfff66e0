package coursework

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// Register has a gRPC server serve the service.
//
// A message that is too large for gRPC is refused with an error before any handler sees it, and
// clients of this API take each error for a server that is away: they would send it again for
// ever. Calls that can be answered FILE_ERROR are therefore served as streams that the client sends
// one message on, which is the same on the wire, and leaves it to the handler to receive that. See
// package oversize for how it comes to know of a message that is not received.
func (s *Service) Register(server grpc.ServiceRegistrar) {
	desc := pb.LockService_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	desc.Streams = slices.Clone(desc.Streams)
	for name, handle := range map[string]grpc.StreamHandler{
		"lock_acquire": received("lock_acquire", (*Service).LockAcquire),
		"lock_release": received("lock_release", (*Service).LockRelease),
		"file_append":  received("file_append", (*Service).FileAppend),
	} {
		desc.Methods = slices.DeleteFunc(desc.Methods, func(m grpc.MethodDesc) bool { return m.MethodName == name })
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: handle, ClientStreams: true})
	}
	server.RegisterService(&desc, s)
}

// received returns the handler of a stream with one request and one response.
func received[Req any](method string, handle func(*Service, context.Context, *Req) (*pb.Response, error)) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) error {
		s := srv.(*Service)
		req := new(Req)
		err := stream.RecvMsg(req)
		var resp *pb.Response
		switch {
		case errors.Is(err, etcdstore.ErrTooLarge):
			resp, err = s.answer(stream.Context(), asked{method: method}, 0, err)
		case err == nil:
			resp, err = handle(s, stream.Context(), req)
		}
		if err != nil {
			return err
		}
		return stream.SendMsg(resp)
	}
}
