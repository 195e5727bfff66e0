package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

// exempt are the methods that a server serves whoever asks, and while it shuts down.
var exempt = []string{
	healthpb.Health_Check_FullMethodName,
	healthpb.Health_List_FullMethodName,
	healthpb.Health_Watch_FullMethodName,
	reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

// registered returns the methods that a server says it has.
func registered(t *testing.T, conn *grpc.ClientConn) []protoreflect.MethodDescriptor {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF { //nolint:errorlint // gRPC returns it as it is
		t.Fatal(err)
	}
	var methods []protoreflect.MethodDescriptor
	for _, service := range resp.GetListServicesResponse().GetService() {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		if err != nil {
			t.Fatal(err)
		}
		described := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range described.Len() {
			methods = append(methods, described.Get(i))
		}
	}
	return methods
}

func pathOf(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

// call makes a call with an empty request and returns its first answer's error.
func call(t *testing.T, conn *grpc.ClientConn, method protoreflect.MethodDescriptor) error {
	t.Helper()
	message := func(of protoreflect.MessageDescriptor) any {
		found, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName())
		if err != nil {
			t.Fatal(err)
		}
		return complete(found.New().Interface())
	}
	ctx, cancel := context.WithCancel(storetest.Bounded(t))
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, pathOf(method))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(message(method.Input())); err != nil && err != io.EOF { //nolint:errorlint // as it is
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return stream.RecvMsg(message(method.Output()))
}

// complete fills in what the store is not asked without.
func complete(m proto.Message) proto.Message {
	if r, is := m.(*dlmv1.SetRetentionRequest); is {
		r.Retention = &dlmv1.Retention{}
	}
	return m
}

// messages returns one message for each call that a multiplexed stream can carry, by the name of
// its field; "": none.
func messages() map[protoreflect.Name]*dlmv1.StreamRequest {
	all := map[protoreflect.Name]*dlmv1.StreamRequest{"": {}}
	fields := (&dlmv1.StreamRequest{}).ProtoReflect().Descriptor().Oneofs().ByName("request").Fields()
	for i := range fields.Len() {
		req := &dlmv1.StreamRequest{}
		req.ProtoReflect().Set(fields.Get(i), req.ProtoReflect().NewField(fields.Get(i)))
		complete(req.ProtoReflect().Get(fields.Get(i)).Message().Interface())
		all[fields.Get(i).Name()] = req
	}
	return all
}

// noted is a store that counts its calls by their names.
func noted() (store scripted, calls func() map[string]int) {
	var mu sync.Mutex
	counted := map[string]int{}
	return scripted{do: func(_ context.Context, method string) error {
			mu.Lock()
			defer mu.Unlock()
			counted[method]++
			return nil
		}}, func() map[string]int {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(counted)
		}
}

// Every call passes the one place where calls are admitted, and leaves one line in the log: each
// method of each service, and each call of a multiplexed stream. A new one that does not fails
// here.
func TestEveryCallIsAdmitted(t *testing.T) {
	for _, refusing := range []bool{false, true} {
		t.Run(map[bool]string{false: "taken", true: "refused"}[refusing], func(t *testing.T) {
			var log bytes.Buffer
			store, called := noted()
			server, conn := serveConfig(t, facade.Config{
				Store:  store,
				Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				// Its store is none, so that whatever reaches it ends with INTERNAL.
				Coursework: coursework.New(coursework.Config{Store: struct{ coursework.Store }{}}),
			})
			methods, mux := registered(t, conn), openMux(t, conn)
			lines := map[string]int{reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName: 1}
			wants := func(err error, free bool) bool { return (reasonOf(err) == "SHUTTING_DOWN") == (refusing && !free) }
			answer, err := mux.send(&dlmv1.StreamRequest{}) // so that the stream is under way
			if err != nil {
				t.Fatal(err)
			}
			wait(t, answer, "an answer")
			lines["Stream"] += 2 // this stream and its message without a call
			if refusing {
				server.RefuseCalls()
			} else {
				lines["Stream"]++ // the one that is opened below carries such a message too
			}
			for _, method := range methods {
				path := pathOf(method)
				lines[strings.TrimPrefix(path, "/dlm.v1.LockService/")]++
				if err := call(t, conn, method); !wants(err, slices.Contains(exempt, path)) {
					t.Errorf("%s: %v", path, err)
				}
			}
			for name, req := range messages() {
				answer, err := mux.send(req)
				if err != nil {
					t.Fatal(err)
				}
				resp := wait(t, answer, "an answer")
				if err := errorOf(resp.GetError()); !wants(err, false) {
					t.Errorf("multiplexed %q: %v", name, err)
				}
				lines[methodOf(name)]++
			}
			if err := mux.stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			wait(t, mux.ended, "the stream's end")
			if err := server.Shutdown(storetest.Bounded(t)); err != nil { // the log is complete
				t.Fatal(err)
			}

			written := map[string]int{}
			for line := range strings.Lines(log.String()) {
				var l struct{ Msg, Method string }
				if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg != "call" {
					t.Fatalf("line %q: %v", line, err)
				}
				written[l.Method]++
			}
			if !maps.Equal(written, lines) {
				t.Errorf("lines %v, want %v", written, lines)
			}
			got := called()
			if refusing && len(got) > 0 {
				t.Errorf("the store was called: %v", got)
			}
			for _, field := range slices.Collect(maps.Keys(messages())) {
				if name := methodOf(field); !refusing && field != "" && got[name] != 2 {
					t.Errorf("%s of the store was called %d times, want 2", name, got[name])
				}
			}
		})
	}
}

// methodOf returns the method that a field of a multiplexed stream's requests stands for.
func methodOf(field protoreflect.Name) string {
	if field == "" {
		return "Stream"
	}
	var method strings.Builder
	for word := range strings.SplitSeq(string(field), "_") {
		method.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return method.String()
}

// A client that opens a watch and never says of what is not waited for.
func TestShutdownDoesNotWaitForARequest(t *testing.T) {
	server, conn := serve(t, scripted{}, nil)
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		dlmv1.LockService_Watch_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&dlmv1.WatchRequest{}); err != nil { // which is whole once the client has no more to send
		t.Fatal(err)
	}
	setServing(t, server, conn) // the server has seen it
	if err := server.Shutdown(storetest.Bounded(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}
