package etcdstore

import (
	"context"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// remote is where transactions go: etcd's key-value service, without clientv3's own messages in between.
type remote struct{ pb.KVClient }

// remoteOf finds it behind a client. One without a connection, to an etcd in this process, brings it along.
func remoteOf(client *clientv3.Client) remote {
	if kv, ok := client.KV.(interface{ Remote() pb.KVClient }); ok {
		return remote{kv.Remote()}
	}
	return remote{clientv3.RetryKVClient(client)}
}

// txn makes one call, as clientv3 would: it waits for a connection, and takes an answer of any size.
func (r remote) txn(ctx context.Context, t txn) (*pb.TxnResponse, error) {
	resp, err := r.Txn(ctx, t.request(), grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return nil, clientv3.ContextError(ctx, err)
	}
	return resp, nil
}
