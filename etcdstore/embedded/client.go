package embedded

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	etcdlease "go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
)

// Local is what a member offers to a store in its own process, beside the client: the ways that are
// free of a network's detours.
type Local struct {
	etcd *etcdserver.EtcdServer
	kv   pb.KVClient
	high *highwater
}

func local(etcd *etcdserver.EtcdServer, high *highwater) *Local {
	kv := adapter.KvServerToKvClient(covered{v3rpc.NewQuotaKVServer(etcd), high})
	return &Local{etcd: etcd, kv: kv, high: high}
}

// covered is etcd's key-value service. An answer is given when its revision, which may become a
// token, is covered by highwater.
type covered struct {
	pb.KVServer
	high *highwater
}

func (c covered) Range(ctx context.Context, in *pb.RangeRequest) (*pb.RangeResponse, error) {
	out, err := c.KVServer.Range(ctx, in)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

func (c covered) Put(ctx context.Context, in *pb.PutRequest) (*pb.PutResponse, error) {
	out, err := c.KVServer.Put(ctx, in)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

func (c covered) DeleteRange(ctx context.Context, in *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	out, err := c.KVServer.DeleteRange(ctx, in)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

func (c covered) Txn(ctx context.Context, in *pb.TxnRequest) (*pb.TxnResponse, error) {
	out, err := c.KVServer.Txn(ctx, in)
	if err == nil {
		err = c.high.cover(ctx, out.Header.Revision)
	}
	return out, err
}

// KV is etcd's key-value service in etcd's own messages, which clientv3 makes its own of by
// copying.
func (l *Local) KV() pb.KVClient { return l.kv }

// inProcess makes a client that calls the etcd in this process. It renews a lease without a stream.
func inProcess(l *Local) *clientv3.Client {
	c := v3client.New(l.etcd)
	c.KV = clientv3.NewKVFromKVClient(l.kv, c)
	c.Lease = lease{c.Lease, l.etcd}
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

// Defragment rewrites this member's file without what is free in it. Until that is done the member
// answers nothing, though it goes on acknowledging what a leader sends it; so a leader first hands
// its office over. It cannot be broken off once it has begun. After an error the file is as it was:
// nobody could take the office, or, with [ErrDisk], there is no room for the new file beside the
// old one.
func (l *Local) Defragment(ctx context.Context) error {
	if err := roomForCopy(l.etcd.Cfg.DataDir, l.etcd.Backend().SizeInUse()); err != nil {
		return err
	}
	if err := l.etcd.TryTransferLeadershipOnShutdown(); err != nil {
		return fmt.Errorf("hand leadership over: %w", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return l.etcd.Defragment()
}

// LeaderChanged returns a channel that is closed when this member next hears of a new leader.
func (l *Local) LeaderChanged() <-chan struct{} { return l.etcd.LeaderChangedNotify() }

var errStopped = errors.New("etcd has stopped")

// Follow calls tell with every change of the keys from one to before another, from a revision on:
// whole revisions, in order, on the caller's goroutine. It goes on until there is an error, which
// it returns:
//
//   - the end of ctx.
//   - [rpctypes.ErrCompacted]: the revision is gone.
//   - another: etcd has stopped.
//
// While this member is cut off from the others there are no events; afterwards it goes on. For each
// ask it calls tell once more, unless it is behind: perhaps without a change, with the revision up
// to which it has told all.
func (l *Local) Follow(
	ctx context.Context, from, end string, rev int64, ask <-chan struct{}, tell func(events []*clientv3.Event, upTo int64),
) error {
	stream := l.etcd.Watchable().NewWatchStream()
	defer stream.Close()
	id, err := stream.Watch(ctx, clientv3.AutoWatchID, []byte(from), []byte(end), rev)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ask:
			stream.RequestProgress(id)
		case resp, ok := <-stream.Chan():
			if !ok {
				return errStopped
			}
			if resp.CompactRevision != 0 {
				return rpctypes.ErrCompacted
			}
			if err := l.high.cover(ctx, resp.Revision); err != nil {
				return err
			}
			upTo := resp.Revision // etcd's own, if it answers an ask
			if n := len(resp.Events); n > 0 {
				upTo = resp.Events[n-1].Kv.ModRevision
			}
			tell(resp.Events, upTo)
		case <-ctx.Done():
			return ctx.Err()
		case <-l.etcd.StopNotify():
			return errStopped
		}
	}
}
