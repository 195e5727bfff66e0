package facade

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// dispatch admits and starts the call that a message of a multiplexed stream carries. An error is
// the call's result, and says that it was not started.
func (c *muxed) dispatch(req *dlmv1.StreamRequest) error {
	s := c.service
	switch r := req.GetRequest().(type) {
	case *dlmv1.StreamRequest_Init:
		return begin(c, dlmv1.LockService_Init_FullMethodName, r.Init, apart(c, byLink(c.mux.link, s.initOver)))
	case *dlmv1.StreamRequest_Heartbeat:
		return begin(c, dlmv1.LockService_Heartbeat_FullMethodName, r.Heartbeat, apart(c, byLink(c.mux.link, s.heartbeatOver)))
	case *dlmv1.StreamRequest_Close:
		return begin(c, dlmv1.LockService_Close_FullMethodName, r.Close, apart(c, s.Close))
	case *dlmv1.StreamRequest_Acquire:
		return begin(c, dlmv1.LockService_Acquire_FullMethodName, r.Acquire, s.startAcquire)
	case *dlmv1.StreamRequest_Cancel:
		return begin(c, dlmv1.LockService_Cancel_FullMethodName, r.Cancel, apart(c, s.Cancel))
	case *dlmv1.StreamRequest_Release:
		return begin(c, dlmv1.LockService_Release_FullMethodName, r.Release, s.startRelease)
	case *dlmv1.StreamRequest_Commit:
		return begin(c, dlmv1.LockService_Commit_FullMethodName, r.Commit, apart(c, s.Commit))
	case *dlmv1.StreamRequest_Discard:
		return begin(c, dlmv1.LockService_Discard_FullMethodName, r.Discard, apart(c, s.Discard))
	case *dlmv1.StreamRequest_Append:
		return begin(c, dlmv1.LockService_Append_FullMethodName, r.Append, s.startAppend)
	case *dlmv1.StreamRequest_Publish:
		return begin(c, dlmv1.LockService_Publish_FullMethodName, r.Publish, s.startPublish)
	case *dlmv1.StreamRequest_Withdraw:
		return begin(c, dlmv1.LockService_Withdraw_FullMethodName, r.Withdraw, apart(c, s.Withdraw))
	case *dlmv1.StreamRequest_Read:
		return begin(c, dlmv1.LockService_Read_FullMethodName, r.Read, apart(c, s.Read))
	case *dlmv1.StreamRequest_ListFiles:
		return begin(c, dlmv1.LockService_ListFiles_FullMethodName, r.ListFiles, apart(c, s.ListFiles))
	case *dlmv1.StreamRequest_Inspect:
		return begin(c, dlmv1.LockService_Inspect_FullMethodName, r.Inspect, apart(c, s.Inspect))
	case *dlmv1.StreamRequest_InspectCluster:
		return begin(c, dlmv1.LockService_InspectCluster_FullMethodName, r.InspectCluster, apart(c, s.InspectCluster))
	case *dlmv1.StreamRequest_List:
		return begin(c, dlmv1.LockService_List_FullMethodName, r.List, apart(c, s.List))
	case *dlmv1.StreamRequest_Evict:
		return begin(c, dlmv1.LockService_Evict_FullMethodName, r.Evict, apart(c, s.Evict))
	case *dlmv1.StreamRequest_ListProblems:
		return begin(c, dlmv1.LockService_ListProblems_FullMethodName, r.ListProblems, apart(c, s.ListProblems))
	case *dlmv1.StreamRequest_Repair:
		return begin(c, dlmv1.LockService_Repair_FullMethodName, r.Repair, apart(c, s.Repair))
	case *dlmv1.StreamRequest_SetRetention:
		return begin(c, dlmv1.LockService_SetRetention_FullMethodName, r.SetRetention, apart(c, s.SetRetention))
	case *dlmv1.StreamRequest_ListRetention:
		return begin(c, dlmv1.LockService_ListRetention_FullMethodName, r.ListRetention, apart(c, s.ListRetention))
	}
	return begin(c, dlmv1.LockService_Stream_FullMethodName, req, startNothing)
}

// byLink is a handler whose calls came by a link.
func byLink[Req, Resp any](
	link *etcdstore.Link, handle func(context.Context, *etcdstore.Link, *Req) (*Resp, error),
) func(context.Context, *Req) (*Resp, error) {
	return func(ctx context.Context, req *Req) (*Resp, error) { return handle(ctx, link, req) }
}

// startNothing refuses a message that carries no call, or one of a later version.
func startNothing(_ context.Context, _ *dlmv1.StreamRequest, done func(*dlmv1.StreamResponse, error)) {
	done(nil, errUnimplemented)
}

// begin admits a call and starts it.
func begin[Req, Resp any](c *muxed, method string, req *Req, start starter[Req, Resp]) error {
	c.method = method
	if err := c.admit(req); err != nil {
		return err
	}
	if c.refused != nil && !reserved(method) {
		return c.refused
	}
	start(c.ctx, req, func(resp *Resp, err error) { c.done(resp, err) })
	return nil
}

// encodeLoss makes the message of a loss, or of one that is near, which answers no call.
func encodeLoss(l etcdstore.Loss) *dlmv1.StreamResponse {
	if l.HoldLeft > 0 {
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Ending{Ending: &dlmv1.Ending{
			Session: l.Session, Lock: l.Lock, Request: l.Request, HoldLeft: durationpb.New(l.HoldLeft),
		}}}
	}
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Lost{Lost: &dlmv1.Lost{
		Session: l.Session, Lock: l.Lock, Request: l.Request, Revision: l.Revision, Reason: text.Escape(l.Reason),
	}}}
}

// encodeAnswer puts a call's result into the field that is for it.
func encodeAnswer(number uint64, resp any, err error) *dlmv1.StreamResponse {
	to := &dlmv1.StreamResponse{Call: number}
	if err != nil {
		st := refuse(err).status.Proto()
		to.Response = &dlmv1.StreamResponse_Error{
			Error: &dlmv1.Error{Code: st.GetCode(), Message: st.GetMessage(), Details: st.GetDetails()},
		}
		return to
	}
	switch r := resp.(type) {
	case *dlmv1.InitResponse:
		to.Response = &dlmv1.StreamResponse_Init{Init: r}
	case *dlmv1.HeartbeatResponse:
		to.Response = &dlmv1.StreamResponse_Heartbeat{Heartbeat: r}
	case *dlmv1.CloseResponse:
		to.Response = &dlmv1.StreamResponse_Close{Close: r}
	case *dlmv1.AcquireResponse:
		to.Response = &dlmv1.StreamResponse_Acquire{Acquire: r}
	case *dlmv1.CancelResponse:
		to.Response = &dlmv1.StreamResponse_Cancel{Cancel: r}
	case *dlmv1.ReleaseResponse:
		to.Response = &dlmv1.StreamResponse_Release{Release: r}
	case *dlmv1.CommitResponse:
		to.Response = &dlmv1.StreamResponse_Commit{Commit: r}
	case *dlmv1.DiscardResponse:
		to.Response = &dlmv1.StreamResponse_Discard{Discard: r}
	case *dlmv1.AppendResponse:
		to.Response = &dlmv1.StreamResponse_Append{Append: r}
	case *dlmv1.PublishResponse:
		to.Response = &dlmv1.StreamResponse_Publish{Publish: r}
	case *dlmv1.WithdrawResponse:
		to.Response = &dlmv1.StreamResponse_Withdraw{Withdraw: r}
	case *dlmv1.ReadResponse:
		to.Response = &dlmv1.StreamResponse_Read{Read: r}
	case *dlmv1.ListFilesResponse:
		to.Response = &dlmv1.StreamResponse_ListFiles{ListFiles: r}
	case *dlmv1.InspectResponse:
		to.Response = &dlmv1.StreamResponse_Inspect{Inspect: r}
	case *dlmv1.InspectClusterResponse:
		to.Response = &dlmv1.StreamResponse_InspectCluster{InspectCluster: r}
	case *dlmv1.ListResponse:
		to.Response = &dlmv1.StreamResponse_List{List: r}
	case *dlmv1.EvictResponse:
		to.Response = &dlmv1.StreamResponse_Evict{Evict: r}
	case *dlmv1.ListProblemsResponse:
		to.Response = &dlmv1.StreamResponse_ListProblems{ListProblems: r}
	case *dlmv1.RepairResponse:
		to.Response = &dlmv1.StreamResponse_Repair{Repair: r}
	case *dlmv1.SetRetentionResponse:
		to.Response = &dlmv1.StreamResponse_SetRetention{SetRetention: r}
	case *dlmv1.ListRetentionResponse:
		to.Response = &dlmv1.StreamResponse_ListRetention{ListRetention: r}
	}
	return to
}
