package etcdstore

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// remoteOf finds etcd's key-value service behind a client. One without a connection, to an etcd in this process, brings it
// along.
func remoteOf(client *clientv3.Client) pb.KVClient {
	if kv, ok := client.KV.(interface{ Remote() pb.KVClient }); ok {
		return kv.Remote()
	}
	return clientv3.RetryKVClient(client)
}
