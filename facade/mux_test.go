package facade_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	codec "github.com/distributed-lock-manager/dlm/facade/wire"
)

// blocking returns a store whose named method waits until it is let go or its context ends, and the
// channels that say so: one word for each call that began and for each that its context ended.
func blocking(method string) (store scripted, begun, ended chan struct{}, letGo chan struct{}) {
	begun, ended = make(chan struct{}, 1<<20), make(chan struct{}, 1<<20)
	letGo = make(chan struct{})
	return scripted{do: func(ctx context.Context, called string) error {
		if called != method {
			return nil
		}
		begun <- struct{}{}
		select {
		case <-letGo:
			return nil
		case <-ctx.Done():
			ended <- struct{}{}
			return ctx.Err()
		}
	}}, begun, ended, letGo
}

func TestBlockedCallBlocksNoOther(t *testing.T) {
	store, begun, _, letGo := blocking("Acquire")
	_, conn := serve(t, store, nil)
	mux := openMux(t, conn)
	blocked, err := mux.send(acquire())
	if err != nil {
		t.Fatal(err)
	}
	wait(t, begun, "the call that blocks")
	for range 100 {
		if _, err := dlmv1.NewLockServiceClient(mux).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case resp := <-blocked:
		t.Fatalf("answered before it was let go: %v", resp)
	default:
	}
	close(letGo)
	if got := wait(t, blocked, "the call that blocked").GetAcquire().GetToken(); got != 7 {
		t.Errorf("token %d, want 7", got)
	}
}

func acquire() *dlmv1.StreamRequest {
	return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Acquire{Acquire: &dlmv1.AcquireRequest{}}}
}

func TestStreamsEndEndsItsCalls(t *testing.T) {
	store, begun, ended, _ := blocking("Acquire")
	_, conn := serve(t, store, nil)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(acquire()); err != nil {
		t.Fatal(err)
	}
	wait(t, begun, "the call that blocks")
	cancel()
	wait(t, ended, "its end")
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestUnreadableMessageFailsItsCall(t *testing.T) {
	store, begun, _, letGo := blocking("Acquire")
	_, conn := serve(t, store, nil)
	stream, err := conn.NewStream(storetest.Bounded(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		dlmv1.LockService_Stream_FullMethodName, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(acquire())
	if err != nil {
		t.Fatal(err)
	}
	large, err := proto.Marshal(&dlmv1.StreamRequest{Call: 8, Request: &dlmv1.StreamRequest_Release{
		Release: &dlmv1.ReleaseRequest{Lock: strings.Repeat("l", codec.MaxControl)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	// Heartbeats in few bytes that would take many, and the number of the call behind them.
	bomb := binary.AppendUvarint([]byte{0x1a}, 2*300_000)
	for range 300_000 {
		bomb = append(bomb, 0x1a, 0)
	}
	bomb = append(bomb, 0x08, 9)
	if err := stream.SendMsg(&raw); err != nil {
		t.Fatal(err)
	}
	wait(t, begun, "the call that blocks")
	for _, test := range []struct {
		sent   []byte
		call   uint64
		reason string
	}{
		{[]byte{0xff}, 0, "INVALID_ARGUMENT"},
		{[]byte{0x08, 7, 0xff}, 7, "INVALID_ARGUMENT"},
		{large, 8, "TOO_LARGE"},
		{bomb, 9, "TOO_LARGE"},
	} {
		if err := stream.SendMsg(&test.sent); err != nil {
			t.Fatal(err)
		}
		answer := receiveRaw(t, stream)
		if answer.GetCall() != test.call || reasonOf(errorOf(answer.GetError())) != test.reason {
			t.Errorf("%.20q was answered with %v, want call %d to fail with %s", test.sent, answer, test.call, test.reason)
		}
	}
	close(letGo)
	if answer := receiveRaw(t, stream); answer.GetAcquire() == nil {
		t.Errorf("the call in front of them was answered with %v", answer)
	}
}

func receiveRaw(t *testing.T, stream grpc.ClientStream) *dlmv1.StreamResponse {
	t.Helper()
	var raw []byte
	if err := stream.RecvMsg(&raw); err != nil {
		t.Fatal(err)
	}
	answer := &dlmv1.StreamResponse{}
	if err := proto.Unmarshal(raw, answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestHalfClosedStreamIsAnswered(t *testing.T) {
	store, begun, _, letGo := blocking("Acquire")
	_, conn := serve(t, store, nil)
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(acquire()); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wait(t, begun, "the call that blocks")
	close(letGo)
	if resp, err := stream.Recv(); err != nil || resp.GetAcquire() == nil {
		t.Errorf("got %v, %v", resp, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want EOF", err)
	}
}

func TestTooManyCallsAreRefused(t *testing.T) {
	store, begun, _, letGo := blocking("Acquire")
	_, conn := serve(t, store, nil)
	most := facade.DefaultLimits().Calls
	mux := openMux(t, conn)
	var first <-chan *dlmv1.StreamResponse
	for i := range most {
		answer, err := mux.send(acquire())
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = answer
		}
	}
	for range most {
		wait(t, begun, "a call")
	}
	_, err := dlmv1.NewLockServiceClient(mux).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
	if limit, retry := limitOf(err); limit != "calls" || retry <= 0 {
		t.Errorf("a call too many: limit %q, to be repeated after %v (%v), want calls", limit, retry, err)
	}
	if _, err := dlmv1.NewLockServiceClient(mux).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{}); err != nil {
		t.Errorf("a release too many: %v", err)
	}
	close(letGo)
	wait(t, first, "the first answer")
	// A place is free again as soon as an answer has left, which may be a little after it was made.
	storetest.Eventually(t, "a free place", func() bool {
		_, err := dlmv1.NewLockServiceClient(mux).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
		if err != nil && reasonOf(err) != "LIMIT" {
			t.Fatalf("a call after the others were answered: %v", err)
		}
		return err == nil
	})
}

func TestRecordsInFlightAreBounded(t *testing.T) {
	store, _, _, letGo := blocking("Append")
	var now, over atomic.Int64
	const bound = facade.MaxCallBytes / etcdstore.MaxRecord
	block := store.do
	store.do = func(ctx context.Context, method string) error {
		if now.Add(1) > bound {
			over.Add(1)
		}
		defer now.Add(-1)
		return block(ctx, method)
	}
	_, conn := serve(t, store, nil)
	mux := openMux(t, conn)
	const records = 3 * facade.MaxCallBytes / etcdstore.MaxRecord
	answers := make(chan (<-chan *dlmv1.StreamResponse), records)
	go func() {
		defer close(answers)
		for range records {
			answer, err := mux.send(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{
				Append: &dlmv1.AppendRequest{Data: make([]byte, etcdstore.MaxRecord)},
			}})
			if err != nil {
				t.Errorf("send: %v", err)
				return
			}
			answers <- answer
		}
	}()
	storetest.Eventually(t, "records in flight", func() bool { return now.Load() >= bound })
	// That no more come can only be watched for a while; a busy machine may hide a fault, and
	// cannot feign one.
	last := time.After(200 * time.Millisecond)
	storetest.Eventually(t, "the end of a while", func() bool {
		select {
		case <-last:
			return true
		default:
			return over.Load() > 0
		}
	})
	close(letGo)
	n := 0
	for answer := range answers {
		if failed := wait(t, answer, "an answer").GetError(); failed != nil {
			t.Fatalf("answer %d: %v", n, failed)
		}
		n++
	}
	if n != records || over.Load() > 0 {
		t.Errorf("%d of %d records answered; %d times there were more than %d at once", n, records, over.Load(), bound)
	}
}
