package facade

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Acquires, releases and appends come by the thousand, and acquires may wait for hours. They are started: none of them is
// a goroutine while it is under way.

// starter begins a call. done is told the result once, from whichever goroutine, and does not block.
type starter[Req, Resp any] func(ctx context.Context, req *Req, done func(*Resp, error))

func (s *service) startAcquire(ctx context.Context, req *dlmv1.AcquireRequest, done func(*dlmv1.AcquireResponse, error)) {
	wait, err := decodeWait(req.GetWait())
	if err != nil {
		done(nil, err)
		return
	}
	s.store.StartAcquire(ctx, etcdstore.AcquireArgs{
		Credential:  req.GetSession(),
		Acquisition: etcdstore.Acquisition{Lock: req.GetLock(), Request: req.GetRequest()},
		Wait:        wait,
		Label:       req.GetLabel(),
	}, func(grant etcdstore.Grant, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(&dlmv1.AcquireResponse{
			Outcome:     encodeOutcome(grant.Outcome),
			Token:       grant.Token,
			Holder:      encodeHolder(grant.Holder),
			Position:    count(grant.Position),
			QueueLength: count(grant.QueueLength),
		}, nil)
	})
}

func (s *service) startRelease(ctx context.Context, req *dlmv1.ReleaseRequest, done func(*dlmv1.ReleaseResponse, error)) {
	s.store.StartRelease(ctx, decodeSection(req), func(err error) { done(&dlmv1.ReleaseResponse{}, err) })
}

func (s *service) startAppend(ctx context.Context, req *dlmv1.AppendRequest, done func(*dlmv1.AppendResponse, error)) {
	s.store.StartAppend(ctx, etcdstore.Record{
		Credential: req.GetSession(),
		Lock:       req.GetLock(),
		Token:      req.GetToken(),
		Request:    req.GetRequest(),
		File:       req.GetFile(),
		Data:       req.GetData(),
		Number:     req.GetNumber(),
	}, func(err error) { done(&dlmv1.AppendResponse{}, err) })
}

// await makes a call that is started one that returns.
func await[Req, Resp any](ctx context.Context, start starter[Req, Resp], req *Req) (*Resp, error) {
	type result struct {
		resp *Resp
		err  error
	}
	over := make(chan result, 1)
	start(ctx, req, func(resp *Resp, err error) { over <- result{resp, err} })
	select {
	case r := <-over:
		return r.resp, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// started is a call of a multiplexed stream that was started.
type started struct {
	service *service
	call    uint64
	done    func(*dlmv1.StreamResponse)
}

// start begins a call that needs no goroutine; false: it is none of these. ctx ends with the stream, waiting with the
// server's drain as well.
func (s *service) start(ctx, waiting context.Context, req *dlmv1.StreamRequest, done func(*dlmv1.StreamResponse)) bool {
	c := started{s, req.GetCall(), done}
	switch r := req.GetRequest().(type) {
	case *dlmv1.StreamRequest_Acquire:
		if waits(r.Acquire) {
			ctx = waiting
		}
		begin(ctx, c, dlmv1.LockService_Acquire_FullMethodName, s.startAcquire, r.Acquire, func(to *dlmv1.StreamResponse, resp *dlmv1.AcquireResponse) {
			to.Response = &dlmv1.StreamResponse_Acquire{Acquire: resp}
		})
	case *dlmv1.StreamRequest_Release:
		begin(ctx, c, dlmv1.LockService_Release_FullMethodName, s.startRelease, r.Release, func(to *dlmv1.StreamResponse, resp *dlmv1.ReleaseResponse) {
			to.Response = &dlmv1.StreamResponse_Release{Release: resp}
		})
	case *dlmv1.StreamRequest_Append:
		begin(ctx, c, dlmv1.LockService_Append_FullMethodName, s.startAppend, r.Append, func(to *dlmv1.StreamResponse, resp *dlmv1.AppendResponse) {
			to.Response = &dlmv1.StreamResponse_Append{Append: resp}
		})
	default:
		return false
	}
	return true
}

// begin starts a call with all that is around every call.
func begin[Req, Resp any](
	ctx context.Context, c started, method string, start starter[Req, Resp], req *Req, put func(*dlmv1.StreamResponse, *Resp),
) {
	began := time.Now()
	s := c.service
	taken := s.drain.begin()
	var over atomic.Bool
	done := func(resp *Resp, err error) {
		if over.Swap(true) {
			return // it has panicked
		}
		out := &dlmv1.StreamResponse{Call: c.call}
		if err == nil {
			put(out, resp)
		} else {
			resp, err = nil, s.outgoing(ctx, err, true)
			out.Response = failure(err)
		}
		s.logCall(ctx, method, req, resp, err, began)
		if taken {
			s.drain.calls.Done()
		}
		c.done(out)
	}
	if !taken {
		done(nil, etcdstore.ErrClosed)
		return
	}
	if err := recovered(func() error {
		start(ctx, req, done)
		return nil
	}); err != nil {
		done(nil, err)
	}
}
