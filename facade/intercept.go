package facade

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// unary is around every call that has one answer, multiplexed ones included. Health checks pass a drain: they are how
// the drain is seen.
func (s *service) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	start := time.Now()
	ours := isOurs(info.FullMethod)
	if ours {
		if !s.drain.begin() {
			err := refuse(etcdstore.ErrClosed)
			s.logCall(ctx, info.FullMethod, req, nil, err, start)
			return nil, err
		}
		defer s.drain.calls.Done()
	}
	within, cancel := s.bound(ctx, info.FullMethod, req, ours)
	defer cancel()
	resp, err := s.recoverUnary(within, req, info, handle)
	if err != nil {
		resp, err = nil, s.outgoing(within, err, ours)
	}
	s.logCall(ctx, info.FullMethod, req, resp, err, start)
	return resp, err
}

// bound gives a call its end: a wait ends with the drain, everything else after callTimeout.
func (s *service) bound(ctx context.Context, method string, req any, ours bool) (context.Context, context.CancelFunc) {
	acquire, ok := req.(*dlmv1.AcquireRequest)
	switch {
	case !ours:
		return ctx, func() {}
	case ok && waits(acquire), method == lockservice.LockService_LockAcquire_FullMethodName:
		return bind(ctx, s.drain.ending)
	}
	return context.WithTimeout(ctx, callTimeout)
}

// isOurs tells the calls of this project's services from those that come with gRPC.
func isOurs(method string) bool {
	return strings.HasPrefix(method, prefix) || strings.HasPrefix(method, "/"+lockservice.LockService_ServiceDesc.ServiceName+"/")
}

// waits tells whether an acquisition may stand in the queue.
func waits(req *dlmv1.AcquireRequest) bool {
	return req.GetWait() == nil || req.GetWait().AsDuration() > 0
}

// stream is around every stream.
func (s *service) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	start := time.Now()
	ctx := ss.Context()
	ours := isOurs(info.FullMethod)
	end := s.drain.leaving
	if ours {
		if !s.drain.begin() {
			err := refuse(etcdstore.ErrClosed)
			s.logCall(ctx, info.FullMethod, nil, nil, err, start)
			return err
		}
		defer s.drain.calls.Done()
		end = s.drain.ending
	}
	within, cancel := ctx, func() {}
	if info.FullMethod != dlmv1.LockService_Stream_FullMethodName { // the multiplexed stream answers its calls first
		within, cancel = bind(ctx, end)
	}
	defer cancel()
	watched := &boundStream{ServerStream: ss, ctx: within}
	err := s.recoverStream(srv, watched, info, handle)
	if err != nil {
		err = s.outgoing(within, err, ours)
	}
	s.logCall(ctx, info.FullMethod, watched.first, nil, err, start)
	return err
}

// boundStream is a stream with a context of its own, and with errors in the table's words.
type boundStream struct {
	grpc.ServerStream
	ctx   context.Context
	first any // what a call with one request asked for
}

func (b *boundStream) Context() context.Context { return b.ctx }

func (b *boundStream) RecvMsg(m any) error {
	if _, multiplexed := m.(*dlmv1.StreamRequest); !multiplexed {
		b.first = m
	}
	err := b.ServerStream.RecvMsg(m)
	if status.Code(err) == codes.Internal { // not to be decoded: gRPC has told the client so
		return fmt.Errorf("%w: %w", etcdstore.ErrInvalidArgument, err)
	}
	return transportError(err)
}

func (b *boundStream) SendMsg(m any) error {
	return transportError(b.ServerStream.SendMsg(m))
}

// outgoing makes an error of this API presentable. Other services choose their own, panics apart.
func (s *service) outgoing(ctx context.Context, err error, ours bool) error {
	if _, panicked := errors.AsType[*recovery.PanicError](err); !ours && !panicked {
		return err
	}
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), etcdstore.ErrClosed) {
		err = fmt.Errorf("%w: %w", etcdstore.ErrClosed, err)
	}
	return refuse(err)
}

// unknown answers the calls that this server does not have.
func unknown(_ any, ss grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(ss)
	return refuse(fmt.Errorf("%w: %s", errUnimplemented, quote(method)))
}
