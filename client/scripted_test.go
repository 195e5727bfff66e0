package client_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// scripted is a server whose answers a test decides, for what a real one does not do on demand. It
// knows one holder at most and judges nothing.
type scripted struct {
	dlmv1.UnimplementedLockServiceServer
	addr string
	// answer may give an answer in place of the usual one; nil: the usual one. silence: none at
	// all.
	answer func(*dlmv1.StreamRequest) *dlmv1.StreamResponse

	mu      sync.Mutex
	streams int
	send    func(*dlmv1.StreamResponse) // on the newest stream
	calls   []*dlmv1.StreamRequest      // as received
	held    map[string]int64            // token by request
	token   int64
	watch   func(send func(*dlmv1.WatchResponse) error) error // nil: it is not implemented
	refused error                                             // of every stream; nil: it is accepted
	shown   []string                                          // the credential that each stream was opened with
}

// setWatch has a Watch answered by f.
func (s *scripted) setWatch(f func(send func(*dlmv1.WatchResponse) error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// refuse has every stream refused.
func (s *scripted) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = err
}

func (s *scripted) Watch(req *dlmv1.WatchRequest, stream grpc.ServerStreamingServer[dlmv1.WatchResponse]) error {
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	if watch == nil {
		return s.UnimplementedLockServiceServer.Watch(req, stream)
	}
	return watch(stream.Send)
}

// silence is no answer.
var silence = &dlmv1.StreamResponse{}

func startScripted(t testing.TB, answer func(*dlmv1.StreamRequest) *dlmv1.StreamResponse) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &scripted{addr: l.Addr().String(), answer: answer, held: make(map[string]int64)}
	server := grpc.NewServer()
	dlmv1.RegisterLockServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		must(t, <-served)
	})
	return s
}

func (s *scripted) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	var running sync.WaitGroup
	defer running.Wait()
	var sending sync.Mutex
	send := func(resp *dlmv1.StreamResponse) {
		sending.Lock()
		defer sending.Unlock()
		_ = stream.Send(resp)
	}
	s.mu.Lock()
	s.streams++
	s.shown = append(s.shown, strings.Join(metadata.ValueFromIncomingContext(stream.Context(), "authorization"), " "))
	s.send = send
	refused := s.refused
	s.mu.Unlock()
	if refused != nil {
		return refused
	}
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.calls = append(s.calls, req)
		s.mu.Unlock()
		running.Go(func() {
			resp := s.answer(req)
			if resp == nil {
				resp = s.usual(req)
			}
			if resp == silence {
				return
			}
			send(&dlmv1.StreamResponse{Call: req.GetCall(), Response: resp.GetResponse()})
		})
	}
}

func (s *scripted) usual(req *dlmv1.StreamRequest) *dlmv1.StreamResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &dlmv1.StreamResponse{}
	switch r := req.GetRequest().(type) {
	case *dlmv1.StreamRequest_Init:
		out.Response = &dlmv1.StreamResponse_Init{Init: &dlmv1.InitResponse{Session: "id.secret", Id: "id", Ttl: r.Init.GetTtl()}}
	case *dlmv1.StreamRequest_Heartbeat:
		m := &dlmv1.HeartbeatResponse{Ttl: durationpb.New(3 * time.Second)}
		for _, a := range r.Heartbeat.GetUnfinished() {
			st := &dlmv1.AcquisitionState{Lock: a.GetLock(), Request: a.GetRequest(), State: dlmv1.AcquisitionState_STATE_NONE}
			if token := s.held[a.GetRequest()]; token != 0 {
				st.State, st.Token = dlmv1.AcquisitionState_STATE_HOLDING, token
			}
			m.States = append(m.States, st)
		}
		out.Response = &dlmv1.StreamResponse_Heartbeat{Heartbeat: m}
	case *dlmv1.StreamRequest_Acquire:
		s.token++
		s.held[r.Acquire.GetRequest()] = s.token
		out.Response = &dlmv1.StreamResponse_Acquire{Acquire: &dlmv1.AcquireResponse{
			Outcome: dlmv1.AcquireResponse_OUTCOME_GRANTED, Token: s.token,
		}}
	case *dlmv1.StreamRequest_Cancel:
		out.Response = &dlmv1.StreamResponse_Cancel{Cancel: &dlmv1.CancelResponse{}}
	case *dlmv1.StreamRequest_Append:
		out.Response = &dlmv1.StreamResponse_Append{Append: &dlmv1.AppendResponse{}}
	case *dlmv1.StreamRequest_Release:
		out.Response = &dlmv1.StreamResponse_Release{Release: &dlmv1.ReleaseResponse{}}
	case *dlmv1.StreamRequest_Discard:
		out.Response = &dlmv1.StreamResponse_Discard{Discard: &dlmv1.DiscardResponse{}}
	case *dlmv1.StreamRequest_Close:
		out.Response = &dlmv1.StreamResponse_Close{Close: &dlmv1.CloseResponse{}}
	case *dlmv1.StreamRequest_Read:
		out.Response = &dlmv1.StreamResponse_Read{Read: &dlmv1.ReadResponse{}}
	}
	return out
}

// tell tells a client what nobody asked for.
func (s *scripted) tell(lost *dlmv1.Lost) {
	s.mu.Lock()
	send := s.send
	s.mu.Unlock()
	send(&dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Lost{Lost: lost}})
}

// opened returns how many streams were made.
func (s *scripted) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// tokens returns what each stream was opened with.
func (s *scripted) tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.shown)
}

// received returns the calls of one kind.
func (s *scripted) received(kind func(*dlmv1.StreamRequest) bool) []*dlmv1.StreamRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*dlmv1.StreamRequest
	for _, c := range s.calls {
		if kind(c) {
			out = append(out, c)
		}
	}
	return out
}

func isHeartbeat(r *dlmv1.StreamRequest) bool { return r.GetHeartbeat() != nil }
func isAcquire(r *dlmv1.StreamRequest) bool   { return r.GetAcquire() != nil }
func isCancel(r *dlmv1.StreamRequest) bool    { return r.GetCancel() != nil }
func isAppend(r *dlmv1.StreamRequest) bool    { return r.GetAppend() != nil }
func isRelease(r *dlmv1.StreamRequest) bool   { return r.GetRelease() != nil }
func isCommit(r *dlmv1.StreamRequest) bool    { return r.GetCommit() != nil }
func isDiscard(r *dlmv1.StreamRequest) bool   { return r.GetDiscard() != nil }
func isRead(r *dlmv1.StreamRequest) bool      { return r.GetRead() != nil }
func isClose(r *dlmv1.StreamRequest) bool     { return r.GetClose() != nil }

// refusal is an error as a server sends it.
func refusal(code codes.Code, reason string) *dlmv1.StreamResponse {
	e := &dlmv1.Error{Code: int32(code), Message: "refused"} //nolint:gosec // a code
	if reason != "" {
		detail, err := anypb.New(&errdetails.ErrorInfo{Domain: "dlm", Reason: reason})
		if err != nil {
			panic(err)
		}
		e.Details = append(e.Details, detail)
	}
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Error{Error: e}}
}

// asStatus is the same error as a gRPC call of its own ends with.
func asStatus(resp *dlmv1.StreamResponse) error {
	e := resp.GetError()
	return status.FromProto(&spb.Status{Code: e.GetCode(), Message: e.GetMessage(), Details: e.GetDetails()}).Err()
}

// usually gives every call its usual answer.
func usually(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return nil }

// when answers one kind of call in its own way, and the others as usual.
func when(kind func(*dlmv1.StreamRequest) bool, f func(*dlmv1.StreamRequest) *dlmv1.StreamResponse) func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
	return func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if kind(r) {
			return f(r)
		}
		return nil
	}
}
