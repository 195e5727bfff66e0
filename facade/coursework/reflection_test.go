package coursework_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// TestByReflection is a newcomer with a gRPC tool and the contract: no generated code, only what
// the server tells.
func TestByReflection(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	node := facadetest.Start(t, facadetest.WithCoursework(time.Minute, 2*time.Minute))
	conn := node.Dial(0)
	service := described(ctx, t, conn, "lock_service.LockService")

	for _, step := range []struct{ method, ask, want string }{
		{"Ping", `{}`, `{"status":"OK"}`},
		{"client_init", `{}`, `{"rc":1}`},
		{"lock_acquire", `{"client_id":1,"request_id":"1-1"}`, `{"status":"SUCCESS"}`},
		{"getCurrent_lock_holder", `{"client_id":1}`, `{"status":"SUCCESS","current_lock_holder":{"client_id":1}}`},
		{"file_append", `{"filename":"file_0","content":"aGVsbG8K","client_id":1,"request_id":"1-2"}`, `{"status":"SUCCESS"}`},
		{"file_append", `{"filename":"file_100","content":"eA==","client_id":1,"request_id":"1-3"}`, `{"status":"FILE_ERROR"}`},
		{"heartbeat", `{"client_id":1}`, `{"status":"SUCCESS"}`},
		{"lock_release", `{"client_id":1,"request_id":"1-4"}`, `{"status":"SUCCESS"}`},
		{"lock_release", `{"client_id":1,"request_id":"1-5"}`, `{"status":"FILE_ERROR"}`},
		{"client_close", `{"rc":1}`, `{}`},
	} {
		method := service.Methods().ByName(protoreflect.Name(step.method))
		if method == nil {
			t.Fatalf("%s is not described", step.method)
		}
		ask, got := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
		want := got.New().Interface()
		for text, into := range map[string]proto.Message{step.ask: ask, step.want: want} {
			if err := protojson.Unmarshal([]byte(text), into); err != nil {
				t.Fatalf("%s %s: %v", step.method, text, err)
			}
		}
		if err := conn.Invoke(ctx, "/lock_service.LockService/"+step.method, ask, got); err != nil {
			t.Fatalf("%s %s: %v", step.method, step.ask, err)
		}
		if version := method.Output().Fields().ByName("version"); version != nil {
			if step.method == "lock_acquire" && got.Get(version).Int() <= 0 {
				t.Errorf("%s brought no token: %v", step.method, got)
			}
			got.Clear(version) // any number
		}
		if !proto.Equal(got, want) {
			t.Fatalf("%s %s: got %v, want %v", step.method, step.ask, got, want)
		}
	}
	file, err := dlmv1.NewLockServiceClient(conn).Read(ctx, &dlmv1.ReadRequest{Lock: "default", File: "file_0"})
	if err != nil || string(file.GetData()) != "hello\n" {
		t.Errorf("file_0 has %q, %v", file.GetData(), err)
	}
}

// described asks the server what a service is.
func described(ctx context.Context, t *testing.T, conn *grpc.ClientConn, name string) protoreflect.ServiceDescriptor {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
	}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, encoded := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(encoded, file); err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, file)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatalf("%v: %v", answer, err)
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		t.Fatalf("%s is no service but %v", name, found)
	}
	return service
}
