package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// wire is a store at the other end of a connection: it speaks to a facade, so that what holds for a
// store can be shown to hold through client, wire and facade.
type wire struct {
	conn grpc.ClientConnInterface // for the unary calls
	api  dlmv1.LockServiceClient  // for the streams
}

var _ storetest.Subject = wire{}

// byUnary speaks in unary calls.
func byUnary(conn *grpc.ClientConn) wire {
	return wire{conn: conn, api: dlmv1.NewLockServiceClient(conn)}
}

// byMux speaks in calls on one multiplexed stream.
func byMux(m *muxConn) wire {
	return wire{conn: m, api: dlmv1.NewLockServiceClient(m.conn)}
}

func TestConformance(t *testing.T) {
	for by, dial := range map[string]func(*testing.T, *grpc.ClientConn) wire{
		"Unary": func(_ *testing.T, conn *grpc.ClientConn) wire { return byUnary(conn) },
		"Mux":   func(t *testing.T, conn *grpc.ClientConn) wire { return byMux(openMux(t, conn)) },
	} {
		open := func(t *testing.T) storetest.Subject { return dial(t, facadetest.Start(t).Dial(0)) }
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, open)
		})
		t.Run(by+"Bounds", func(t *testing.T) {
			t.Parallel()
			storetest.RunBounds(t, open)
		})
	}
}

// TestEvidenceTable asks what became of sections through client, wire and facade.
func TestEvidenceTable(t *testing.T) {
	for by, dial := range map[string]func(*testing.T, *grpc.ClientConn) wire{
		"Unary": func(_ *testing.T, conn *grpc.ClientConn) wire { return byUnary(conn) },
		"Mux":   func(t *testing.T, conn *grpc.ClientConn) wire { return byMux(openMux(t, conn)) },
	} {
		t.Run(by, func(t *testing.T) {
			storetest.RunEvidence(t, true, func(t *testing.T) storetest.Judged {
				n := facadetest.Start(t)
				return storetest.Judged{Subject: dial(t, n.Dial(0)), Etcd: n.Etcd()}
			})
		})
	}
}

func (w wire) calls() dlmv1.LockServiceClient { return dlmv1.NewLockServiceClient(w.conn) }

func (w wire) Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error) {
	req := &dlmv1.InitRequest{Label: args.Label, Seen: encodeSeen(args.Seen)}
	if args.TTL != 0 {
		req.Ttl = durationpb.New(args.TTL)
	}
	resp, err := w.calls().Init(ctx, req)
	return etcdstore.Session{
		ID: resp.GetId(), Credential: resp.GetSession(), TTL: resp.GetTtl().AsDuration(), Revision: resp.GetRevision(),
		Cluster: resp.GetCluster(),
	}, storeError(err)
}

func (w wire) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	req := &dlmv1.HeartbeatRequest{Session: args.Credential, HighestRequest: args.Highest, Seen: encodeSeen(args.Seen)}
	for _, a := range args.Unfinished {
		req.Unfinished = append(req.Unfinished, &dlmv1.Acquisition{Lock: a.Lock, Request: a.Request})
	}
	resp, err := w.calls().Heartbeat(ctx, req)
	states := map[dlmv1.AcquisitionState_State]etcdstore.State{
		dlmv1.AcquisitionState_STATE_NONE:    etcdstore.None,
		dlmv1.AcquisitionState_STATE_WAITING: etcdstore.Waiting,
		dlmv1.AcquisitionState_STATE_HOLDING: etcdstore.Holding,
	}
	list := decodeAll(resp.GetStates(), func(s *dlmv1.AcquisitionState) etcdstore.AcquisitionState {
		return etcdstore.AcquisitionState{
			Acquisition: etcdstore.Acquisition{Lock: s.GetLock(), Request: s.GetRequest()},
			State:       states[s.GetState()],
			Token:       s.GetToken(),
		}
	})
	return etcdstore.Renewal{
		TTL: resp.GetTtl().AsDuration(), States: list, Revision: resp.GetRevision(), Cluster: resp.GetCluster(),
	}, storeError(err)
}

func (w wire) CloseSession(ctx context.Context, credential string) error {
	_, err := w.calls().Close(ctx, &dlmv1.CloseRequest{Session: credential})
	return storeError(err)
}

func (w wire) Acquire(ctx context.Context, args etcdstore.AcquireArgs) (etcdstore.Grant, error) {
	req := &dlmv1.AcquireRequest{Session: args.Credential, Lock: args.Lock, Request: args.Request, Label: args.Label}
	if args.Wait != etcdstore.WaitForever {
		req.Wait = durationpb.New(args.Wait)
	}
	resp, err := w.calls().Acquire(ctx, req)
	outcomes := map[dlmv1.AcquireResponse_Outcome]etcdstore.Outcome{
		dlmv1.AcquireResponse_OUTCOME_GRANTED:   etcdstore.Granted,
		dlmv1.AcquireResponse_OUTCOME_BUSY:      etcdstore.Busy,
		dlmv1.AcquireResponse_OUTCOME_CANCELLED: etcdstore.Cancelled,
	}
	return etcdstore.Grant{
		Outcome:     outcomes[resp.GetOutcome()],
		Token:       resp.GetToken(),
		Holder:      decodeHolder(resp.GetHolder()),
		Position:    int(resp.GetPosition()),
		QueueLength: int(resp.GetQueueLength()),
	}, storeError(err)
}

func (w wire) Cancel(ctx context.Context, credential string, a etcdstore.Acquisition) (int64, error) {
	resp, err := w.calls().Cancel(ctx, &dlmv1.CancelRequest{Session: credential, Lock: a.Lock, Request: a.Request})
	return resp.GetToken(), storeError(err)
}

func (w wire) Release(ctx context.Context, s etcdstore.Section) error {
	_, err := w.calls().Release(ctx, &dlmv1.ReleaseRequest{
		Session: s.Credential, Lock: s.Lock, Token: s.Token, Appended: s.Appended, Last: s.Last,
	})
	return storeError(err)
}

func (w wire) Commit(ctx context.Context, s etcdstore.Section) (int64, error) {
	resp, err := w.calls().Commit(ctx, &dlmv1.CommitRequest{
		Session: s.Credential, Lock: s.Lock, Token: s.Token, Appended: s.Appended, Last: s.Last,
	})
	return resp.GetToken(), storeError(err)
}

func (w wire) Discard(ctx context.Context, s etcdstore.Section) (bool, error) {
	resp, err := w.calls().Discard(ctx, &dlmv1.DiscardRequest{
		Session: s.Credential, Lock: s.Lock, Token: s.Token, Appended: s.Appended,
	})
	return resp.GetPublished(), storeError(err)
}

func (w wire) Append(ctx context.Context, r etcdstore.Record) (rev int64, err error) {
	req := &dlmv1.AppendRequest{Session: r.Credential, Lock: r.Lock, Token: r.Token, Request: r.Request, Number: r.Number}
	if r.Kind == etcdstore.Append {
		req.File, req.Data = r.File, r.Data
	} else {
		req.Operation = &dlmv1.Operation{File: r.File}
		switch r.Kind {
		case etcdstore.Replace:
			req.Operation.Do = &dlmv1.Operation_Replace{Replace: r.Data}
		case etcdstore.Remove:
			req.Operation.Do = &dlmv1.Operation_Remove{Remove: true}
		default:
			req.Operation.Do = &dlmv1.Operation_Cut{Cut: r.Offset}
		}
	}
	resp, err := w.calls().Append(ctx, req)
	return resp.GetRevision(), storeError(err)
}

func wireVersion(v etcdstore.Version) *dlmv1.Version {
	return &dlmv1.Version{Token: v.Token, N: v.N}
}

func storeVersion(v *dlmv1.Version) etcdstore.Version {
	return etcdstore.Version{Token: v.GetToken(), N: v.GetN()}
}

func (w wire) Read(ctx context.Context, args etcdstore.ReadArgs) (etcdstore.Piece, error) {
	resp, err := w.calls().Read(ctx, &dlmv1.ReadRequest{
		Lock: args.Lock, File: args.File, Offset: args.Offset, Limit: int32(min(args.Limit, math.MaxInt32)), Life: wireVersion(args.Life),
	})
	if err != nil {
		return etcdstore.Piece{}, storeError(err)
	}
	return etcdstore.Piece{
		Data: resp.GetData(), Offset: args.Offset, Size: resp.GetSize(), Token: resp.GetToken(), Start: resp.GetStart(), Life: storeVersion(resp.GetLife()),
	}, nil
}

// Tail does not report the size, start and token of its pieces: they are not on the wire.
func (w wire) Tail(ctx context.Context, args etcdstore.TailArgs, send func(etcdstore.Piece) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.api.Tail(ctx, &dlmv1.TailRequest{Lock: args.Lock, File: args.File, Offset: args.Offset, Life: wireVersion(args.Life)})
	for err == nil {
		var m *dlmv1.TailResponse
		if m, err = stream.Recv(); err == nil {
			if err := send(etcdstore.Piece{
				Data: m.GetData(), Offset: m.GetOffset(), Life: storeVersion(m.GetLife()), Cut: m.GetCut(), Replaced: m.GetReplaced(), Removed: m.GetRemoved(),
			}); err != nil {
				return err
			}
		}
	}
	return storeError(err)
}

func (w wire) ListFiles(ctx context.Context, lock string, limit int, after string) ([]etcdstore.File, string, error) {
	resp, err := w.calls().ListFiles(ctx, &dlmv1.ListFilesRequest{Lock: lock, PageSize: int32(min(limit, math.MaxInt32)), PageToken: after})
	return decodeAll(resp.GetFiles(), func(f *dlmv1.File) etcdstore.File {
		return etcdstore.File{
			Lock: f.GetLock(), Name: f.GetName(), Size: f.GetSize(), Token: f.GetToken(), Start: f.GetStart(), Life: storeVersion(f.GetLife()),
		}
	}), resp.GetNextPageToken(), storeError(err)
}

func (w wire) Inspect(ctx context.Context, lock string) (etcdstore.LockInfo, error) {
	resp, err := w.calls().Inspect(ctx, &dlmv1.InspectRequest{Lock: lock})
	return decodeLock(resp.GetLock()), storeError(err)
}

func (w wire) List(ctx context.Context, prefix string, limit int, after string) ([]etcdstore.LockInfo, string, error) {
	resp, err := w.calls().List(ctx, &dlmv1.ListRequest{Prefix: prefix, PageSize: int32(min(limit, math.MaxInt32)), PageToken: after})
	return decodeAll(resp.GetLocks(), decodeLock), resp.GetNextPageToken(), storeError(err)
}

func (w wire) Watch(ctx context.Context, prefix string, send func(*etcdstore.News) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.api.Watch(ctx, &dlmv1.WatchRequest{Prefix: prefix})
	for err == nil {
		var resp *dlmv1.WatchResponse
		if resp, err = stream.Recv(); err == nil {
			if err := send(&etcdstore.News{Events: decodeAll(resp.GetEvents(), decodeEvent), Revision: resp.GetRevision()}); err != nil {
				return err
			}
		}
	}
	return storeError(err)
}

func (w wire) Evict(ctx context.Context, lock string, token int64, reason string) (*etcdstore.Holder, error) {
	resp, err := w.calls().Evict(ctx, &dlmv1.EvictRequest{Lock: lock, Token: token, Reason: reason})
	return decodeHolder(resp.GetEvicted()), storeError(err)
}

func encodeSeen(seen etcdstore.Seen) *dlmv1.Seen {
	return &dlmv1.Seen{Cluster: seen.Cluster, Revision: seen.Revision}
}

func decodeAll[From, To any](all []From, decode func(From) To) []To {
	var decoded []To
	for _, one := range all {
		decoded = append(decoded, decode(one))
	}
	return decoded
}

func decodeTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func decodeHolder(h *dlmv1.Holder) *etcdstore.Holder {
	if h == nil {
		return nil
	}
	return &etcdstore.Holder{
		Session: h.GetSession(), Request: h.GetRequest(), Label: h.GetLabel(), Owner: h.GetIdentity(), Token: h.GetToken(),
		Since: decodeTime(h.GetSince()),
	}
}

func decodeLock(l *dlmv1.Lock) etcdstore.LockInfo {
	return etcdstore.LockInfo{
		Name:   l.GetName(),
		Holder: decodeHolder(l.GetHolder()),
		Waiters: decodeAll(l.GetWaiters(), func(w *dlmv1.Waiter) etcdstore.Waiter {
			return etcdstore.Waiter{
				Session: w.GetSession(), Request: w.GetRequest(), Label: w.GetLabel(), Owner: w.GetIdentity(), Since: decodeTime(w.GetSince()),
			}
		}),
		QueueLength: int(l.GetQueueLength()),
		Staged:      l.GetStagedRecords(),
		LastUndone:  l.GetLastUndone(),
	}
}

func decodeEvent(e *dlmv1.Event) etcdstore.Event {
	types := map[dlmv1.Event_Type]etcdstore.EventType{
		dlmv1.Event_TYPE_WAITING:   etcdstore.EventWaiting,
		dlmv1.Event_TYPE_GRANTED:   etcdstore.EventGranted,
		dlmv1.Event_TYPE_COMMITTED: etcdstore.EventCommitted,
		dlmv1.Event_TYPE_RELEASED:  etcdstore.EventReleased,
		dlmv1.Event_TYPE_LOST:      etcdstore.EventLost,
		dlmv1.Event_TYPE_LEFT:      etcdstore.EventLeft,
	}
	return etcdstore.Event{
		Type: types[e.GetType()], Lock: e.GetLock(), Session: e.GetSession(), Request: e.GetRequest(), Label: e.GetLabel(),
		Token: e.GetToken(), Revision: e.GetRevision(), Reason: e.GetReason(), Initial: e.GetInitial(),
	}
}

// reasonOf returns the reason that an error carries, "" if it carries none as the API promises it:
// first.
func reasonOf(err error) string {
	details := status.Convert(err).Details()
	if len(details) == 0 {
		return ""
	}
	info, ok := details[0].(*errdetails.ErrorInfo)
	if !ok || info.GetDomain() != facade.Domain {
		return ""
	}
	return info.GetReason()
}

// storeError turns a call's error into the store's.
func storeError(err error) error {
	if reasonOf(err) == "OFFSET_GONE" {
		for _, detail := range status.Convert(err).Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				start, bad := strconv.ParseInt(info.GetMetadata()["start"], 10, 64)
				return errors.Join(&etcdstore.OffsetGoneError{Start: start}, bad)
			}
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	for _, s := range sentinels {
		if reasonOf(err) == s.reason {
			return fmt.Errorf("%w: %w", s.err, err)
		}
	}
	switch status.Code(err) { // also if the call ended at the client
	case codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case codes.Canceled:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	return err
}

// What became of a section is not known any more. The error says whether it can have been the very
// call that it answers which ended it.
func TestNotByThisCall(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	conn := n.Dial(0)
	for by, w := range map[string]wire{"unary": byUnary(conn), "mux": byMux(openMux(t, conn))} {
		c := storetest.Begin(t, w, "c")
		h := c.Acquire(by)
		c.Release(h)
		c.Acquire(by + "/since")
		now, err := n.Etcd().Get(storetest.Bounded(t), "/")
		if err == nil {
			_, err = n.Etcd().Compact(storetest.Bounded(t), now.Header.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.calls().Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{Session: h.Credential, Lock: h.Lock, Token: h.Token})
		details := status.Convert(err).Details()
		if len(details) == 0 {
			t.Fatalf("%s: %v; want an error with details", by, err)
		}
		info, _ := details[0].(*errdetails.ErrorInfo)
		if info.GetReason() != "OUTCOME_UNKNOWN" || info.GetMetadata()["not_by_this_call"] != "true" {
			t.Errorf("%s: %v; want that the outcome is unknown, and not by this call", by, info)
		}
	}
}
