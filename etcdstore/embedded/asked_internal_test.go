package embedded

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Status that meets the replacement of the database fails alone; what else panics does.
func TestStatusSurvivesTheReplacementOfTheDatabase(t *testing.T) {
	t.Parallel()
	replaced := func(context.Context, any) (any, error) {
		var closed *pb.StatusResponse
		return closed.Header.Revision, nil // as of a transaction of a closed database
	}
	ask := func(method string) (panicked bool, err error) {
		defer func() { panicked = recover() != nil }()
		_, err = surviveStatus(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method}, replaced)
		return false, err
	}
	if panicked, err := ask(pb.Maintenance_Status_FullMethodName); panicked || status.Code(err) != codes.Unavailable {
		t.Errorf("Status: %v, panicked: %v; want %v", err, panicked, codes.Unavailable)
	}
	if panicked, _ := ask(pb.KV_Range_FullMethodName); !panicked {
		t.Error("Range did not panic")
	}
	if ec, err := (Config{DataDir: t.TempDir()}).etcd(t.Context()); err != nil || len(ec.GRPCAdditionalServerOptions) == 0 {
		t.Errorf("etcd is not told of it: %v", err)
	}
}
