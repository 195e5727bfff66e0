package etcdstore

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Local is an etcd in this process: what can be had of it that its client, made for a network, has not. It has no
// connection, so that leases are renewed without a stream, and no endpoints: it speaks for its own member.
type Local interface {
	// KV is etcd's key-value service in etcd's own messages.
	KV() pb.KVClient
	// Follow tells of every change of the keys from one to before another, from a revision on: whole revisions, in
	// order, on the caller's goroutine. It ends with ctx, with etcd, or with rpctypes.ErrCompacted if the revision is
	// gone. It spares each event the five goroutines that it goes through in a client's watch.
	Follow(ctx context.Context, from, end string, rev int64, tell func([]*clientv3.Event)) error
}

// kv is where transactions go: etcd's key-value service, without clientv3's own messages in between.
func (cfg Config) kv() pb.KVClient {
	if cfg.Local != nil {
		return cfg.Local.KV()
	}
	return clientv3.RetryKVClient(cfg.Client)
}
