package embedded

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// asked is how calls of others are taken.
func asked() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(surviveStatus)}
}

// surviveStatus has the server outlive etcd's own fault in one call. A member that was away gets a
// snapshot from the leader, and puts it in the place of its database; Status goes on with the one
// that was there when it was asked, and panics if that was closed meanwhile. It only reads, and
// holds nothing but what it gives back by itself, so the call alone has failed: whoever asked asks
// again. Any other panic is left as it is.
func surviveStatus(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if info.FullMethod != pb.Maintenance_Status_FullMethodName {
		return handler(ctx, req)
	}
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, status.Error(codes.Unavailable, fmt.Sprint("this member's database was replaced: ", p))
		}
	}()
	return handler(ctx, req)
}
