package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// muxConn makes unary calls on a multiplexed stream.
type muxConn struct {
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[dlmv1.StreamRequest, dlmv1.StreamResponse]

	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan *dlmv1.StreamResponse

	ended chan struct{}
	err   error // the stream's end, once ended is closed
}

// openMux opens a multiplexed stream that ends with the test.
func openMux(t *testing.T, conn *grpc.ClientConn) *muxConn {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m := &muxConn{conn: conn, stream: stream, pending: map[uint64]chan *dlmv1.StreamResponse{}, ended: make(chan struct{})}
	go m.receive()
	t.Cleanup(func() {
		cancel()
		<-m.ended
	})
	return m
}

func (m *muxConn) receive() {
	defer close(m.ended)
	for {
		resp, err := m.stream.Recv()
		if err != nil {
			m.err = err
			return
		}
		m.mu.Lock()
		answer := m.pending[resp.GetCall()]
		delete(m.pending, resp.GetCall())
		m.mu.Unlock()
		if answer == nil {
			m.err = fmt.Errorf("answer to call %d, which is not pending", resp.GetCall())
			return
		}
		answer <- resp
	}
}

// send sends a call and returns where its answer will come.
func (m *muxConn) send(req *dlmv1.StreamRequest) (<-chan *dlmv1.StreamResponse, error) {
	if _, err := proto.Marshal(req); err != nil { // gRPC would end the stream, and with it the other calls
		return nil, status.Error(codes.Internal, err.Error())
	}
	answer := make(chan *dlmv1.StreamResponse, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	req.Call = m.last
	m.pending[req.Call] = answer
	if err := m.stream.Send(req); errors.Is(err, io.EOF) {
		<-m.ended
		return nil, m.err
	} else if err != nil {
		return nil, err
	}
	return answer, nil
}

// Invoke makes the unary call that a generated client asks for, finding the oneof's fields by their
// messages' types.
func (m *muxConn) Invoke(ctx context.Context, _ string, in, out any, _ ...grpc.CallOption) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	req := &dlmv1.StreamRequest{}
	message := in.(proto.Message).ProtoReflect()
	req.ProtoReflect().Set(fieldOf(req, message.Descriptor()), protoreflect.ValueOfMessage(message))
	answer, err := m.send(req)
	if err != nil {
		return err
	}
	select {
	case resp := <-answer:
		if err := errorOf(resp.GetError()); err != nil {
			return err
		}
		message := out.(proto.Message).ProtoReflect()
		field := fieldOf(resp, message.Descriptor())
		if !resp.ProtoReflect().Has(field) {
			return fmt.Errorf("call %d was answered with %T", resp.GetCall(), resp.GetResponse())
		}
		proto.Merge(out.(proto.Message), resp.ProtoReflect().Get(field).Message().Interface())
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-m.ended:
		return m.err
	}
}

// errorOf returns the error of a multiplexed answer as that of a unary call; nil if there is none.
func errorOf(e *dlmv1.Error) error {
	return status.ErrorProto(&spb.Status{Code: e.GetCode(), Message: e.GetMessage(), Details: e.GetDetails()})
}

func (m *muxConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	panic("no streams in a stream")
}

func fieldOf(in proto.Message, want protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	fields := in.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fields.Get(i).Message() == want {
			return fields.Get(i)
		}
	}
	panic("no field for " + want.FullName())
}
