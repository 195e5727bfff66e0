package facade

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/facade/budget"
	"github.com/distributed-lock-manager/dlm/facade/oversize"
	"github.com/distributed-lock-manager/dlm/facade/wire"
)

// call is one call on its way through the facade, whichever way it came: a unary call, a stream, or
// a message of a multiplexed stream. It is admitted before its handler sees it, and ended once,
// admitted or not, by the goroutine that waits for it: never by the store's, since a log may be
// slow.
type call struct {
	service  *service
	method   string
	began    time.Time
	ctx      context.Context    // of the way it came by; once it is admitted, its own
	req      any                // once it is admitted; nil: the call is a stream of requests
	cancel   context.CancelFunc // of ctx; nil: it ends with what it was made from
	counted  bool               // the drain waits for it
	account  *budget.Call       // of what it came by; nil: there is none
	held     int                // bytes that the account has for it
	caller   *caller
	admitted bool                    // it has begun
	reviewed bool                    // it lasts, and may have to end before
	stop     context.CancelCauseFunc // of ctx, then; nil: of a multiplexed one
	muxed    *muxed                  // that it is; nil: it is none
	audited  bool                    // what it changes is written down
	receipt  etcdstore.Receipt       // of that
	trace    *callTrace              // nil: it is not traced
}

// admit decides whether the call may begin: nil, or why it may not. No call reaches its handler by
// another way, so what is asked of every call is asked here.
func (c *call) admit(req any) error {
	c.req = req
	if !exempt(c.method) {
		if c.counted = c.service.drain.begin(); !c.counted {
			return etcdstore.ErrClosed
		}
	}
	if m, is := req.(proto.Message); is {
		if err := flawed(m); err != nil {
			return err
		}
	}
	if err := c.service.gate.check(c, req, c.began); err != nil {
		return err
	}
	if req != nil {
		var err error
		if c.held, err = c.service.limiter.admit(c, req); err != nil {
			return err
		}
	}
	c.bound()
	c.traced()
	c.admitted = true
	return nil
}

// flawed is why a message cannot be served that was not decoded; nil: it was.
func flawed(m proto.Message) error {
	text, large, is := wire.Flaw(m)
	switch {
	case !is:
		return nil
	case large:
		return fmt.Errorf("%w: %s", etcdstore.ErrTooLarge, text)
	}
	return fmt.Errorf("%w: %s", etcdstore.ErrInvalidArgument, text)
}

// bound gives an admitted call a context that ends when the call has to.
func (c *call) bound() {
	drain, multiplexed := c.service.drain, c.muxed != nil
	stream, last := c.method == dlmv1.LockService_Stream_FullMethodName, lasts(c.method, c.req)
	switch {
	case exempt(c.method):
		c.ctx, c.cancel = bind(c.ctx, drain.leaving)
	case stream: // it ends once its calls have
	case last && multiplexed:
		c.ctx = c.muxed.mux.waiting
	case last:
		c.ctx, c.cancel = bind(c.ctx, drain.ending)
	case multiplexed && starts(c.method): // a timer each would cost as much as all the rest of the facade
	default:
		c.ctx, c.cancel = context.WithTimeout(c.ctx, callTimeout)
	}
	gate := c.service.gate
	if c.audited = gate.access.Audit != nil && mutates(c.method); c.audited {
		c.ctx = etcdstore.WithReceipt(c.ctx, &c.receipt)
	}
	if c.reviewed = gate.access.changes() && (stream || last); !c.reviewed {
		return
	}
	if !multiplexed { // one of a stream is ended by its answer: a context for each would cost as much as the gate
		c.ctx, c.stop = context.WithCancelCause(c.ctx)
	}
	gate.enter(c)
}

// exempt reports whether a method needs nobody's leave. Those that come with gRPC are: health
// checks pass a drain, since they are how it is seen. Whatever is not named here is not exempt.
func exempt(method string) bool {
	need, _ := auth.NeedOf(method)
	return need.Scope == auth.Exempt || reflects(method)
}

// reflects reports whether a method tells what methods there are.
func reflects(method string) bool {
	return method == reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName ||
		method == reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName
}

// lasts reports whether a call may last until the drain ends it.
func lasts(method string, req any) bool {
	switch method {
	case dlmv1.LockService_Acquire_FullMethodName:
		wait := req.(*dlmv1.AcquireRequest).GetWait()
		return wait == nil || wait.AsDuration() > 0
	case dlmv1.LockService_Publish_FullMethodName:
		p := req.(*dlmv1.PublishRequest)
		return p.GetSession() != "" && (p.GetWait() == nil || p.GetWait().AsDuration() > 0)
	case dlmv1.LockService_Tail_FullMethodName, dlmv1.LockService_Watch_FullMethodName,
		dlmv1.LockService_Snapshot_FullMethodName,
		lockservice.LockService_LockAcquire_FullMethodName:
		return true
	}
	return false
}

// starts reports whether a method's calls are started in the store, which itself ends those that do
// not wait.
func starts(method string) bool {
	switch method {
	case dlmv1.LockService_Acquire_FullMethodName, dlmv1.LockService_Release_FullMethodName,
		dlmv1.LockService_Append_FullMethodName, dlmv1.LockService_Publish_FullMethodName:
		return true
	}
	return false
}

// end ends the call: it writes the call's line into the log, and then lets the drain go on. It
// returns err as the client is to see it, nil if it is nil.
func (c *call) end(resp any, err error, took time.Duration) error {
	if c.counted {
		defer c.service.drain.calls.Done()
	}
	if c.held > 0 {
		c.account.Free(c.held)
	}
	gate := c.service.gate
	if c.reviewed {
		err = c.left(err)
		gate.exit(c)
		c.leave(nil)
	}
	if err != nil {
		resp, err = nil, c.outgoing(gate.discreet(c, err))
		if why := refusedBy(err); why != "" {
			c.service.limiter.refused(why)
		}
		c.account.Refused(nuisance(err))
	}
	if c.cancel != nil {
		c.cancel()
	}
	gate.answered(c, resp, err, took)
	c.trace.end(c.req, resp, err)
	c.log(resp, err, took)
	if tell := c.service.called; tell != nil {
		tell(c.over(err, took))
	}
	return err
}

// Called is a call that has ended.
type Called struct {
	Method string     // in full, as gRPC has it: of a method that is not there, what the client chose
	Code   codes.Code // as the client is told
	// Stale is why the call was refused if that was for a hold or a session that has ended:
	// LOCK_EXPIRED, SESSION_EXPIRED or OUTCOME_UNKNOWN; else empty.
	Stale string
	Took  time.Duration
	Lasts bool // it was to go on until its client, or something that happens, would end it
}

// over is what is told of the call once it has ended.
func (c *call) over(err error, took time.Duration) Called {
	o := Called{Method: c.method, Took: took, Lasts: endless(c.method) || exempt(c.method) || c.req != nil && lasts(c.method, c.req)}
	if r, ok := err.(*refusal); ok { //nolint:errorlint // as outgoing makes it; a look for it costs more than the rest
		o.Code = r.status.Code()
		switch r.reason {
		case reasonLockExpired, reasonSessionExpired, reasonOutcomeUnknown:
			o.Stale = r.reason
		}
	} else if err != nil {
		o.Code = status.Code(err)
	}
	return o
}

// leave ends a call that is reviewed, with why it may not go on; nil: it has ended.
func (c *call) leave(err error) {
	if c.muxed != nil {
		c.muxed.done(nil, err)
	} else {
		c.stop(err)
	}
}

// left returns why a call was ended that could not go on, if it was.
func (c *call) left(err error) error {
	if cause := context.Cause(c.ctx); err != nil && (errors.Is(cause, auth.ErrUnauthenticated) || errors.Is(cause, auth.ErrPermissionDenied)) {
		return cause
	}
	return err
}

// outgoing returns an error as the client is to see it: by the table of errors. Exempt services
// choose their own, as a status.
func (c *call) outgoing(err error) error {
	if _, chosen := status.FromError(err); exempt(c.method) && chosen {
		return err
	}
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(c.ctx), etcdstore.ErrClosed) {
		err = fmt.Errorf("%w: %w", etcdstore.ErrClosed, err)
	}
	return refuse(err)
}

// recovered returns a panic of f as an error.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &recovery.PanicError{Panic: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// unary is around every call of gRPC's that has one request and one answer.
func (s *service) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	ctx, who, done := s.gate.identify(ctx)
	defer done()
	c := &call{service: s, method: info.FullMethod, began: time.Now(), ctx: ctx, account: budget.Of(ctx), caller: who}
	var resp any
	err := recovered(func() (err error) {
		if err = c.admit(req); err == nil {
			resp, err = handle(c.ctx, req)
		}
		return err
	})
	err = c.end(resp, err, time.Since(c.began))
	if answer, is := resp.(proto.Message); is && err == nil {
		c.account.Answer(proto.Size(answer))
	}
	return resp, err
}

// stream is around every stream. One with a single request is admitted when that has come.
func (s *service) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx, who, done := s.gate.identify(ss.Context())
	defer done()
	c := &call{service: s, method: info.FullMethod, began: time.Now(), ctx: ctx, account: budget.Of(ctx), caller: who}
	multiplexed := info.IsClientStream && info.IsServerStream
	watched := &callStream{ServerStream: ss, call: c, admitted: multiplexed}
	err := recovered(func() error {
		if multiplexed {
			if err := c.admit(nil); err != nil {
				return err
			}
		}
		return handle(srv, watched)
	})
	return c.end(watched.answer, err, time.Since(c.began))
}

// callStream is the stream of a call: with the call's context, and with errors in the table's
// words.
type callStream struct {
	grpc.ServerStream
	call     *call
	admitted bool
	in, out  wire.Sized // the message that is received, and the one that is sent: one at a time
	answer   any        // that was sent, to a call that is audited: it has no other
}

func (s *callStream) Context() context.Context { return s.call.ctx }

func (s *callStream) RecvMsg(m any) error {
	s.in.Message = m
	err := s.ServerStream.RecvMsg(&s.in)
	if err == nil {
		s.call.account.Read(s.in.Bytes)
	}
	s.in.Message = nil
	if p, is := m.(proto.Message); err == nil && is && oversize.Marked(p) {
		err = fmt.Errorf("%w: a message of %d bytes or more", etcdstore.ErrTooLarge, oversize.Limit)
	}
	switch {
	case err == nil && !s.admitted:
		err = s.call.admit(m)
		s.admitted = err == nil
		return err
	case err == nil && reflects(s.call.method): // it was admitted when it had asked for nothing yet
		return s.call.service.gate.check(s.call, m, time.Now())
	case status.Code(err) == codes.Internal: // not to be decoded: gRPC has sent that to the client already
		return fmt.Errorf("%w: %w", etcdstore.ErrInvalidArgument, err)
	}
	return transportError(err)
}

func (s *callStream) SendMsg(m any) error {
	s.out.Message = m
	err := s.ServerStream.SendMsg(&s.out)
	if err == nil {
		s.call.account.Answer(s.out.Bytes)
		if s.call.audited {
			s.answer = m
		}
	}
	s.out.Message = nil
	return transportError(err)
}

// unknown refuses the calls that this server does not have.
func unknown(_ any, ss grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(ss)
	return refuse(fmt.Errorf("%w: %s", errUnimplemented, quote(method)))
}
