package commit

import (
	"context"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// Remote makes an [Env.Apply] of etcd's key-value service, without clientv3's own messages in
// between. It makes a call as clientv3 would: it waits for a connection, and takes an answer of any
// size.
func Remote(kv pb.KVClient) func(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) {
	return func(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
		resp, err := kv.Txn(ctx, req, grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(math.MaxInt32))
		if err != nil {
			return nil, clientv3.ContextError(ctx, err)
		}
		return resp, nil
	}
}
