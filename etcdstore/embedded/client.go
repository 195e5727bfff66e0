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
)

// inProcess makes a client that calls an etcd in this process. It renews a lease without a stream.
// And who knows of them finds two methods on its parts, by which etcdstore saves most of the way:
// Remote, etcd's service in etcd's own messages, and Follow, the events as they come out of etcd's
// store.
func inProcess(etcd *etcdserver.EtcdServer) *clientv3.Client {
	c := v3client.New(etcd)
	c.KV = kv{c.KV, adapter.KvServerToKvClient(v3rpc.NewQuotaKVServer(etcd))}
	c.Lease = lease{c.Lease, etcd}
	c.Watcher = watcher{c.Watcher, etcd}
	return c
}

type kv struct {
	clientv3.KV
	remote pb.KVClient
}

// Remote is etcd's key-value service in etcd's own messages, which clientv3 makes its own of by
// copying.
func (kv kv) Remote() pb.KVClient { return kv.remote }

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

type watcher struct {
	clientv3.Watcher
	etcd *etcdserver.EtcdServer
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
func (w watcher) Follow(ctx context.Context, from, end string, rev int64, tell func([]*clientv3.Event)) error {
	stream := w.etcd.Watchable().NewWatchStream()
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
			tell(resp.Events)
		case <-ctx.Done():
			return ctx.Err()
		case <-w.etcd.StopNotify():
			return errStopped
		}
	}
}
