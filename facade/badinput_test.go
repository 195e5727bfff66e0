package facade_test

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

func hostileTexts() []string {
	return []string{
		"", ".", "..", "a//b", "/a", "a/", "a/../b", "a b", "a\x00b", "a\nb", "\u202e", "é", "-", "0.0", credential,
		strings.Repeat("x", 300), strings.Repeat("a/", 20) + "a", strings.Repeat("é", 1<<20),
	}
}

// hostile returns values of a field that a careless or malicious client might send.
func hostile(field protoreflect.FieldDescriptor) []protoreflect.Value {
	var values []protoreflect.Value
	switch {
	case field.IsList():
		message, err := protoregistry.GlobalTypes.FindMessageByName(field.ContainingMessage().FullName())
		if err != nil {
			panic(err)
		}
		many := message.New().NewField(field).List()
		for range etcdstore.MaxUnfinished + 1 {
			many.Append(many.NewElement())
		}
		values = append(values, protoreflect.ValueOfList(many))
		if field.Kind() == protoreflect.StringKind {
			for _, s := range hostileTexts() {
				one := message.New().NewField(field).List()
				one.Append(protoreflect.ValueOfString(s))
				values = append(values, protoreflect.ValueOfList(one))
			}
		}
	case field.Kind() == protoreflect.StringKind:
		for _, s := range hostileTexts() {
			values = append(values, protoreflect.ValueOfString(s))
		}
	case field.Kind() == protoreflect.BytesKind:
		for _, b := range [][]byte{nil, {0xff, 0xfe, 0}, make([]byte, 2<<20)} {
			values = append(values, protoreflect.ValueOfBytes(b))
		}
	case field.Kind() == protoreflect.Int64Kind:
		for _, n := range []int64{0, 1, -1, math.MinInt64, math.MaxInt64} {
			values = append(values, protoreflect.ValueOfInt64(n))
		}
	case field.Kind() == protoreflect.Int32Kind:
		for _, n := range []int32{0, 1, -1, math.MinInt32, math.MaxInt32} {
			values = append(values, protoreflect.ValueOfInt32(n))
		}
	case field.Kind() == protoreflect.Uint64Kind:
		values = append(values, protoreflect.ValueOfUint64(math.MaxUint64))
	case field.Kind() == protoreflect.BoolKind:
		values = append(values, protoreflect.ValueOfBool(true))
	case field.Message() != nil && field.Message().FullName() == (&dlmv1.Seen{}).ProtoReflect().Descriptor().FullName():
		for _, seen := range []*dlmv1.Seen{
			{},
			{Cluster: "a\x00b", Revision: -1},
			{Cluster: strings.Repeat("é", 1<<20)},
			{Revision: math.MinInt64},
			{Revision: math.MaxInt64},
		} {
			values = append(values, protoreflect.ValueOfMessage(seen.ProtoReflect()))
		}
	case field.Kind() == protoreflect.MessageKind && field.Message().FullName() == "google.protobuf.Duration":
		for _, d := range []*durationpb.Duration{
			{},
			{Seconds: -1},
			{Nanos: -1},
			{Nanos: 1},
			{Seconds: 1, Nanos: -1},
			{Nanos: math.MaxInt32},
			{Seconds: math.MaxInt64, Nanos: math.MaxInt32},
			{Seconds: math.MinInt64, Nanos: math.MinInt32},
			durationpb.New(1000 * time.Hour),
		} {
			values = append(values, protoreflect.ValueOfMessage(d.ProtoReflect()))
		}
	}
	return values
}

// plausible returns a request that is well formed, and not entitled to anything.
func plausible(message protoreflect.MessageType, credential string) protoreflect.Message {
	m := message.New()
	for name, value := range map[protoreflect.Name]any{
		"session": credential, "lock": "orders", "request": "1", "file": "log", "token": int64(1), "wait": &durationpb.Duration{},
		"client_id": int32(1), "request_id": "1-1", "filename": "file_0", "rc": int32(2),
	} {
		field := m.Descriptor().Fields().ByName(name)
		if field == nil {
			continue
		}
		if d, ok := value.(proto.Message); ok {
			m.Set(field, protoreflect.ValueOfMessage(d.ProtoReflect()))
		} else {
			m.Set(field, protoreflect.ValueOf(value))
		}
	}
	return m
}

func TestBadInput(t *testing.T) {
	node := facadetest.Start(t, facadetest.WithCoursework(time.Minute, time.Minute))
	conn := node.Dial(0)
	store := byUnary(conn)
	ctx := storetest.Bounded(t)
	start := func(label string) etcdstore.Session {
		session, err := store.Init(ctx, etcdstore.InitArgs{TTL: 10 * time.Minute, Label: label})
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	owner, stranger := start("owner"), start("stranger")
	grant, err := store.Acquire(ctx, etcdstore.AcquireArgs{
		Credential: owner.Credential, Acquisition: etcdstore.Acquisition{Lock: "orders", Request: "1"},
	})
	if err != nil {
		t.Fatal(err)
	}

	service := dlmv1.File_dlm_v1_dlm_proto.Services().ByName("LockService")
	for by, conn := range map[string]grpc.ClientConnInterface{"unary": conn, "mux": openMux(t, conn)} {
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			if method.IsStreamingServer() {
				continue // below
			}
			t.Run(fmt.Sprint(by, "/", method.Name()), func(t *testing.T) {
				testBadInput(t, conn, method, stranger.Credential)
			})
		}
	}
	methods := lockservice.File_lock_service_lock_service_proto.Services().ByName("LockService").Methods()
	for i := range methods.Len() {
		t.Run("coursework/"+string(methods.Get(i).Name()), func(t *testing.T) {
			testBadInput(t, conn, methods.Get(i), "")
		})
	}
	t.Run("Tail", func(t *testing.T) {
		for name, req := range map[string]*dlmv1.TailRequest{
			"INVALID_NAME":     {},
			"INVALID_ARGUMENT": {Lock: "orders", File: "log", Offset: -1},
		} {
			stream, err := dlmv1.NewLockServiceClient(conn).Tail(storetest.Bounded(t), req)
			if err == nil {
				_, err = stream.Recv()
			}
			if reasonOf(err) != name {
				t.Errorf("%v: %v, want %s", req, err, name)
			}
		}
	})
	t.Run("Watch", func(t *testing.T) {
		stream, err := dlmv1.NewLockServiceClient(conn).Watch(storetest.Bounded(t), &dlmv1.WatchRequest{Prefix: "a b"})
		if err == nil {
			_, err = stream.Recv()
		}
		if reasonOf(err) != "INVALID_ARGUMENT" {
			t.Errorf("got %v, want INVALID_ARGUMENT", err)
		}
	})

	info, err := store.Inspect(ctx, "orders")
	if err != nil || info.Holder == nil || info.Holder.Token != grant.Token || info.Staged != 0 || info.QueueLength != 0 {
		t.Errorf("after all that the lock is %+v, %v", info, err)
	}
}

func testBadInput(t *testing.T, conn grpc.ClientConnInterface, method protoreflect.MethodDescriptor, session string) {
	find := func(m protoreflect.MessageDescriptor) protoreflect.MessageType {
		found, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	in, out := find(method.Input()), find(method.Output())
	send := func(m protoreflect.Message) {
		t.Helper()
		name := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
		err := conn.Invoke(storetest.Bounded(t), name, m.Interface(), out.New().Interface())
		if err == nil {
			return // harmless: see what became of the lock
		}
		switch code := status.Code(err); {
		case reasonOf(err) == "":
			t.Errorf("%.200v: no reason in %v", m, err)
		case code == codes.Unknown, code == codes.Internal, code == codes.Unavailable, code == codes.DeadlineExceeded:
			t.Errorf("%.200v: %v", m, err)
		}
	}
	if method.Name() != "Acquire" { // an empty wait is one for ever, of nobody: refused all the same
		send(in.New())
	}
	for i := range in.Descriptor().Fields().Len() {
		field := in.Descriptor().Fields().Get(i)
		for _, value := range hostile(field) {
			m := plausible(in, session)
			m.Set(field, value)
			send(m)
		}
	}
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

func TestMalformedMessages(t *testing.T) {
	node := facadetest.Start(t)
	conn := node.Dial(0)
	tests := map[string][]byte{
		"not protobuf":   {0xff, 0xff, 0xff},
		"not UTF-8":      {0x0a, 2, 0xff, 0xfe},
		"cut short":      {0x0a, 100, 'x'},
		"nested forever": []byte(strings.Repeat("\x0b", 1<<16)),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			var answer []byte
			err := conn.Invoke(storetest.Bounded(t), dlmv1.LockService_Close_FullMethodName, &raw, &answer, grpc.ForceCodec(rawCodec{}))
			if code := status.Code(err); code != codes.InvalidArgument && code != codes.ResourceExhausted {
				t.Errorf("unary: %v", err)
			}
			stream, err := conn.NewStream(storetest.Bounded(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
				dlmv1.LockService_Stream_FullMethodName, grpc.ForceCodec(rawCodec{}))
			if err != nil {
				t.Fatal(err)
			}
			mux := append([]byte{0x22, byte(len(raw))}, raw...) // as the stream's call of Close
			if len(raw) > 127 {
				mux = raw
			}
			if err := stream.SendMsg(&mux); err != nil {
				t.Fatal(err)
			}
			refused := receiveRaw(t, stream).GetError()
			if code := codes.Code(refused.GetCode()); code != codes.InvalidArgument && code != codes.ResourceExhausted { //nolint:gosec // a code
				t.Errorf("mux: %v", refused)
			}
		})
	}
	if _, err := byUnary(conn).Init(storetest.Bounded(t), etcdstore.InitArgs{}); err != nil {
		t.Errorf("after malformed messages: %v", err)
	}
}

// oddCompression claims to compress, in a way that no server knows.
type oddCompression struct{}

func (oddCompression) Type() string { return "odd" }
func (oddCompression) Do(w io.Writer, p []byte) error {
	_, err := w.Write(p)
	return err
}

// What gRPC refuses by itself has the codes that the package comment names, and no reason.
func TestRefusedByGRPC(t *testing.T) {
	node := facadetest.Start(t)
	odd, err := grpc.NewClient("passthrough:///"+node.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithCompressor(oddCompression{})) //nolint:staticcheck // the other way registers it in the whole process
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = odd.Close() })
	conn, desc := node.Dial(0), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	unary := func(conn *grpc.ClientConn, method string) error {
		return conn.Invoke(storetest.Bounded(t), method, &dlmv1.InitRequest{}, &dlmv1.InitResponse{})
	}
	noRequest := func(method string) error {
		stream, err := conn.NewStream(storetest.Bounded(t), desc, method)
		if err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		return stream.RecvMsg(&dlmv1.WatchResponse{})
	}
	for name, test := range map[string]struct {
		err  error
		want codes.Code
	}{
		"unknown compression": {unary(odd, dlmv1.LockService_Init_FullMethodName), codes.Unimplemented},
		"malformed method":    {unary(conn, "/Init"), codes.Unimplemented},
		"no request":          {noRequest(dlmv1.LockService_Init_FullMethodName), codes.Internal},
		"no stream's request": {noRequest(dlmv1.LockService_Watch_FullMethodName), codes.Internal},
	} {
		if status.Code(test.err) != test.want || reasonOf(test.err) != "" {
			t.Errorf("%s: %v, want %v and no reason", name, test.err, test.want)
		}
	}
	mux := openMux(t, odd)
	_, _ = mux.send(acquire()) // the stream may have ended before
	wait(t, mux.ended, "the stream's end")
	if status.Code(mux.err) != codes.Unimplemented {
		t.Errorf("unknown compression on a stream: %v", mux.err)
	}
}
