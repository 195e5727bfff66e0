package facade

import (
	"cmp"
	"context"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Acquires, releases and appends come by the thousand, and acquires may wait for hours. They are
// started: none of them is a goroutine while it is under way.

// starter starts a call and returns. It calls done with the result once, from any goroutine; done
// must not block. See [Store].
type starter[Req, Resp any] func(ctx context.Context, req *Req, done func(*Resp, error))

func (s *service) startAcquire(ctx context.Context, req *dlmv1.AcquireRequest, done func(*dlmv1.AcquireResponse, error)) {
	wait, err := decodeWait(req.GetWait())
	hold, holdErr := decodeHold(req.GetMaxHold())
	if err = cmp.Or(err, holdErr); err != nil {
		done(nil, err)
		return
	}
	s.store.StartAcquire(ctx, etcdstore.AcquireArgs{
		Credential:  req.GetSession(),
		Acquisition: etcdstore.Acquisition{Lock: req.GetLock(), Request: req.GetRequest()},
		Wait:        wait,
		Label:       req.GetLabel(),
		Hold:        hold,
	}, func(grant etcdstore.Grant, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(&dlmv1.AcquireResponse{
			Outcome:     encodeOutcome(grant.Outcome),
			Token:       grant.Token,
			HoldLeft:    encodeLeft(grant.HoldLeft),
			Holder:      encodeHolder(grant.Holder),
			Position:    count(grant.Position),
			QueueLength: count(grant.QueueLength),
		}, nil)
	})
}

func (s *service) startRelease(ctx context.Context, req *dlmv1.ReleaseRequest, done func(*dlmv1.ReleaseResponse, error)) {
	section := decodeSection(req)
	section.Withheld = section.Appended && s.gate.withholds(ctx, section.Lock)
	s.store.StartRelease(ctx, section, func(err error) { done(&dlmv1.ReleaseResponse{}, err) })
}

func (s *service) startAppend(ctx context.Context, req *dlmv1.AppendRequest, done func(*dlmv1.AppendResponse, error)) {
	staged, err := decodeRecord(req)
	if err != nil {
		done(nil, err)
		return
	}
	s.store.StartAppend(ctx, staged, func(rev int64, err error) { done(&dlmv1.AppendResponse{Revision: rev}, err) })
}

func (s *service) startPublish(ctx context.Context, req *dlmv1.PublishRequest, done func(*dlmv1.PublishResponse, error)) {
	args := etcdstore.PublishArgs{PublishID: decodePublishID(req), Lock: req.GetLock()}
	var err error
	if args.Operations, err = decodeOperations(req.GetOperations()); err == nil {
		args.If, err = decodeCondition(req.GetCondition())
	}
	args.Credential, args.Request = req.GetSession(), req.GetRequest()
	if err == nil && (args.Credential != "" || req.GetWait() != nil) {
		args.Wait, err = decodeWait(req.GetWait())
	}
	if err != nil {
		done(nil, err)
		return
	}
	s.store.StartPublish(ctx, args, func(p etcdstore.Publication, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(encodePublication(p), nil)
	})
}

// await starts a call and returns its result, or why ctx ended first.
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

// atWork is how many of a stream's calls are at work at once, of those that return and do not give
// back.
const atWork = 64

// goes starts a goroutine, and reports so.
func goes(f func()) bool {
	go f()
	return true
}

// apart returns a starter of a call that returns: it makes the call in a goroutine, if the call may
// be made still when its turn has come. The call is over when it has called done, which is what a
// stream waits for before it ends.
func apart[Req, Resp any](c *muxed, handle func(context.Context, *Req) (*Resp, error)) starter[Req, Resp] {
	return func(ctx context.Context, req *Req, done func(*Resp, error)) {
		c.work(func() {
			var resp *Resp
			err := recovered(func() (err error) {
				if err = context.Cause(ctx); err == nil {
					err = c.service.gate.check(&c.call, req, time.Now())
				}
				if err == nil {
					resp, err = handle(ctx, req)
				}
				return err
			})
			done(resp, err)
		})
	}
}

// work does what the call takes a goroutine for, when its turn has come. What gives back, or goes
// on with a section, does not wait for lists and the like.
func (c *muxed) work(f func()) {
	if reserved(c.method) || c.method == dlmv1.LockService_Commit_FullMethodName {
		go f()
	} else {
		c.mux.workers.Do("", f)
	}
}
