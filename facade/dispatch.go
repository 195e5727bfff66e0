package facade

import (
	"context"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// multiplexed is one call of a multiplexed stream.
type multiplexed struct {
	ctx     context.Context
	service *service
	err     error
}

// call makes a unary call, interceptor and all.
func call[Req, Resp any](
	c *multiplexed, method string, handle func(context.Context, *Req) (*Resp, error), req *Req,
) *Resp {
	info := &grpc.UnaryServerInfo{Server: c.service, FullMethod: method}
	resp, err := c.service.unary(c.ctx, req, info, func(ctx context.Context, req any) (any, error) {
		return handle(ctx, req.(*Req))
	})
	if err != nil {
		c.err = err
		return nil
	}
	return resp.(*Resp)
}

// answer makes the call that a request of a multiplexed stream carries.
func (s *service) answer(ctx context.Context, req *dlmv1.StreamRequest) *dlmv1.StreamResponse {
	resp := &dlmv1.StreamResponse{Call: req.GetCall()}
	if err := recovered(func() error { return s.dispatch(ctx, req, resp) }); err != nil {
		resp.Response = failure(err)
	}
	return resp
}

func (s *service) dispatch(ctx context.Context, req *dlmv1.StreamRequest, resp *dlmv1.StreamResponse) error {
	c := &multiplexed{ctx: ctx, service: s}
	switch r := req.GetRequest().(type) {
	case *dlmv1.StreamRequest_Init:
		resp.Response = &dlmv1.StreamResponse_Init{Init: call(c, dlmv1.LockService_Init_FullMethodName, s.Init, r.Init)}
	case *dlmv1.StreamRequest_Heartbeat:
		resp.Response = &dlmv1.StreamResponse_Heartbeat{Heartbeat: call(c, dlmv1.LockService_Heartbeat_FullMethodName, s.Heartbeat, r.Heartbeat)}
	case *dlmv1.StreamRequest_Close:
		resp.Response = &dlmv1.StreamResponse_Close{Close: call(c, dlmv1.LockService_Close_FullMethodName, s.Close, r.Close)}
	case *dlmv1.StreamRequest_Acquire:
		resp.Response = &dlmv1.StreamResponse_Acquire{Acquire: call(c, dlmv1.LockService_Acquire_FullMethodName, s.Acquire, r.Acquire)}
	case *dlmv1.StreamRequest_Cancel:
		resp.Response = &dlmv1.StreamResponse_Cancel{Cancel: call(c, dlmv1.LockService_Cancel_FullMethodName, s.Cancel, r.Cancel)}
	case *dlmv1.StreamRequest_Release:
		resp.Response = &dlmv1.StreamResponse_Release{Release: call(c, dlmv1.LockService_Release_FullMethodName, s.Release, r.Release)}
	case *dlmv1.StreamRequest_Commit:
		resp.Response = &dlmv1.StreamResponse_Commit{Commit: call(c, dlmv1.LockService_Commit_FullMethodName, s.Commit, r.Commit)}
	case *dlmv1.StreamRequest_Discard:
		resp.Response = &dlmv1.StreamResponse_Discard{Discard: call(c, dlmv1.LockService_Discard_FullMethodName, s.Discard, r.Discard)}
	case *dlmv1.StreamRequest_Append:
		resp.Response = &dlmv1.StreamResponse_Append{Append: call(c, dlmv1.LockService_Append_FullMethodName, s.Append, r.Append)}
	case *dlmv1.StreamRequest_Read:
		resp.Response = &dlmv1.StreamResponse_Read{Read: call(c, dlmv1.LockService_Read_FullMethodName, s.Read, r.Read)}
	case *dlmv1.StreamRequest_ListFiles:
		resp.Response = &dlmv1.StreamResponse_ListFiles{ListFiles: call(c, dlmv1.LockService_ListFiles_FullMethodName, s.ListFiles, r.ListFiles)}
	case *dlmv1.StreamRequest_Inspect:
		resp.Response = &dlmv1.StreamResponse_Inspect{Inspect: call(c, dlmv1.LockService_Inspect_FullMethodName, s.Inspect, r.Inspect)}
	case *dlmv1.StreamRequest_List:
		resp.Response = &dlmv1.StreamResponse_List{List: call(c, dlmv1.LockService_List_FullMethodName, s.List, r.List)}
	case *dlmv1.StreamRequest_Evict:
		resp.Response = &dlmv1.StreamResponse_Evict{Evict: call(c, dlmv1.LockService_Evict_FullMethodName, s.Evict, r.Evict)}
	default: // a call of a later version, or none
		call(c, dlmv1.LockService_Stream_FullMethodName, s.nothing, req)
	}
	return c.err
}

// nothing refuses a request that carries no call that is known here.
func (s *service) nothing(context.Context, *dlmv1.StreamRequest) (*dlmv1.StreamResponse, error) {
	return nil, errUnimplemented
}

// failure encodes an error as a multiplexed answer.
func failure(err error) *dlmv1.StreamResponse_Error {
	st := refuse(err).status.Proto()
	return &dlmv1.StreamResponse_Error{
		Error: &dlmv1.Error{Code: st.GetCode(), Message: st.GetMessage(), Details: st.GetDetails()},
	}
}
