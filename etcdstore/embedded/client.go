package embedded

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	etcdlease "go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"google.golang.org/grpc"
)

// Local is what a member offers to a store in its own process, beside the client: the ways that are
// free of a network's detours.
type Local struct {
	etcd *etcdserver.EtcdServer
	kv   covered
}

func local(etcd *etcdserver.EtcdServer, high *highwater) *Local {
	return &Local{etcd: etcd, kv: covered{adapter.KvServerToKvClient(v3rpc.NewQuotaKVServer(etcd)), high}}
}

// covered is etcd's key-value service. An answer is given when its revision, which may become a
// token, is covered by highwater.
type covered struct {
	pb.KVClient
	high *highwater
}

func (c covered) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	out, err := c.KVClient.Range(ctx, in, opts...)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

func (c covered) Put(ctx context.Context, in *pb.PutRequest, opts ...grpc.CallOption) (*pb.PutResponse, error) {
	out, err := c.KVClient.Put(ctx, in, opts...)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

func (c covered) DeleteRange(ctx context.Context, in *pb.DeleteRangeRequest, opts ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	out, err := c.KVClient.DeleteRange(ctx, in, opts...)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

func (c covered) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	out, err := c.KVClient.Txn(ctx, in, opts...)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

// KV is etcd's key-value service in etcd's own messages, which clientv3 makes its own of by
// copying.
func (l *Local) KV() pb.KVClient { return l.kv }

// inProcess makes a client that calls an etcd in this process. It renews a lease without a stream.
func inProcess(etcd *etcdserver.EtcdServer, local *Local) *clientv3.Client {
	c := v3client.New(etcd)
	c.KV = clientv3.NewKVFromKVClient(local.kv, c)
	c.Lease = lease{c.Lease, etcd}
	return c
}

type lease struct {
	clientv3.Lease
	etcd *etcdserver.EtcdServer
}

// KeepAliveOnce renews a lease by a call of etcd's. Its response has no header.
func (l lease) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	ttl, err := l.etcd.LeaseRenew(ctx, etcdlease.LeaseID(id))
	switch {
	case err == nil:
		return &clientv3.LeaseKeepAliveResponse{ID: id, TTL: ttl}, nil
	case errors.Is(err, etcdlease.ErrLeaseNotFound):
		return nil, rpctypes.ErrLeaseNotFound
	}
	return l.Lease.KeepAliveOnce(ctx, id) // which can say what else it is
}

var errStopped = errors.New("etcd has stopped")

// Follow calls tell with every change of the keys from one to before another, from a revision on:
// whole revisions, in order, on the caller's goroutine. It goes on until there is an error, which
// it returns:
//
//   - the end of ctx.
//   - [rpctypes.ErrCompacted]: the revision is gone.
//   - another: etcd has stopped.
//
// While this member is cut off from the others there are no events; afterwards it goes on.
func (l *Local) Follow(ctx context.Context, from, end string, rev int64, tell func([]*clientv3.Event)) error {
	stream := l.etcd.Watchable().NewWatchStream()
	defer stream.Close()
	if _, err := stream.Watch(ctx, clientv3.AutoWatchID, []byte(from), []byte(end), rev); err != nil {
		return err
	}
	for {
		select {
		case resp, ok := <-stream.Chan():
			if !ok {
				return errStopped
			}
			if resp.CompactRevision != 0 {
				return rpctypes.ErrCompacted
			}
			if err := l.kv.high.cover(ctx, resp.Revision); err != nil {
				return err
			}
			tell(resp.Events)
		case <-ctx.Done():
			return ctx.Err()
		case <-l.etcd.StopNotify():
			return errStopped
		}
	}
}
