package main_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// atLimit is a server that refuses each call because of a limit, until it is freed.
type atLimit struct {
	dlmv1.UnimplementedLockServiceServer
	free atomic.Bool
}

func startAtLimit(t *testing.T) (*atLimit, string) {
	t.Helper()
	s := &atLimit{}
	return s, startFake(t, s)
}

func (s *atLimit) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	info, err := anypb.New(&errdetails.ErrorInfo{Domain: "dlm", Reason: "LIMIT", Metadata: map[string]string{"limit": "sessions"}})
	if err != nil {
		return err
	}
	refusal := &dlmv1.StreamResponse_Error{Error: &dlmv1.Error{
		Code: int32(codes.ResourceExhausted), Message: "limit reached (sessions): 100 a second", Details: []*anypb.Any{info},
	}}
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		resp := &dlmv1.StreamResponse{Call: req.GetCall(), Response: refusal}
		if s.free.Load() {
			switch req.GetRequest().(type) {
			case *dlmv1.StreamRequest_Init:
				resp.Response = &dlmv1.StreamResponse_Init{Init: &dlmv1.InitResponse{
					Session: "0123456789abcdef.s", Id: "0123456789abcdef", Ttl: durationpb.New(time.Minute),
				}}
			case *dlmv1.StreamRequest_Heartbeat:
				resp.Response = &dlmv1.StreamResponse_Heartbeat{Heartbeat: &dlmv1.HeartbeatResponse{Ttl: durationpb.New(time.Minute)}}
			case *dlmv1.StreamRequest_Acquire:
				resp.Response = &dlmv1.StreamResponse_Acquire{Acquire: &dlmv1.AcquireResponse{
					Outcome: dlmv1.AcquireResponse_OUTCOME_GRANTED, Token: 7,
				}}
			case *dlmv1.StreamRequest_Release:
				resp.Response = &dlmv1.StreamResponse_Release{Release: &dlmv1.ReleaseResponse{}}
			case *dlmv1.StreamRequest_ListFiles:
				resp.Response = &dlmv1.StreamResponse_ListFiles{ListFiles: &dlmv1.ListFilesResponse{}}
			case *dlmv1.StreamRequest_Close:
				resp.Response = &dlmv1.StreamResponse_Close{Close: &dlmv1.CloseResponse{}}
			}
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// A server's limit is waited for, and said once; who does not wait is told at once that it was no
// question of who holds the lock.
func TestCommandsWaitForALimit(t *testing.T) {
	t.Parallel()
	const says = "dlm: waiting for lock \"a\": the server is at a limit: limit reached (sessions): 100 a second\n"
	t.Run("no wait", func(t *testing.T) {
		t.Parallel()
		_, addr := startAtLimit(t)
		r := run(t, command(t, addr, dlmPath, "lock", "-n", "a", "true"))
		if r.code != 69 || !strings.Contains(r.err, "limit reached (sessions)") {
			t.Errorf("exit code %d: %s", r.code, r.err)
		}
	})
	t.Run("a bounded wait", func(t *testing.T) {
		t.Parallel()
		_, addr := startAtLimit(t)
		r := run(t, command(t, addr, dlmPath, "lock", "-w", "3s", "a", "true"))
		if r.code != 69 || strings.Count(r.err, says) != 1 || strings.Count(r.err, "\n") != 2 {
			t.Errorf("exit code %d: %s", r.code, r.err)
		}
	})
	t.Run("until it is free", func(t *testing.T) {
		t.Parallel()
		s, addr := startAtLimit(t)
		cmd := command(t, addr, dlmPath, "lock", "a", "true")
		time.AfterFunc(3*time.Second, func() { s.free.Store(true) })
		if r := run(t, cmd); r.code != 0 || r.err != says {
			t.Errorf("exit code %d: %s", r.code, r.err)
		}
	})
	t.Run("another command", func(t *testing.T) {
		t.Parallel()
		s, addr := startAtLimit(t)
		time.AfterFunc(2*time.Second, func() { s.free.Store(true) })
		r := run(t, command(t, addr, dlmPath, "ls"))
		if r.code != 0 || strings.Count(r.err, "the server is at a limit") != 1 {
			t.Errorf("exit code %d: %s", r.code, r.err)
		}
	})
}
