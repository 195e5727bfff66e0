package etcdstore

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Local is an etcd in this process: what can be had of it beside its client, which is made for a
// network. That client has no connection, so that leases are renewed without a stream; and no
// endpoints, so that it speaks for its own member.
type Local interface {
	// KV is etcd's key-value service in etcd's own messages.
	KV() pb.KVClient
	// Follow calls tell with every change of the keys from one to before another, from a revision
	// on: whole revisions, in order, on the caller's goroutine. It spares each event the five
	// goroutines that it goes through in a client's watch. For each ask it calls tell once more,
	// unless it is behind: perhaps without a change, with the revision up to which it has told all.
	// It goes on until there is an error, which it returns: ctx's, [rpctypes.ErrCompacted] if the
	// revision is gone, or another if etcd has stopped.
	Follow(ctx context.Context, from, end string, rev int64, ask <-chan struct{}, tell func(events []*clientv3.Event, upTo int64)) error
	// Defragment rewrites the member's file without what is free in it. The member answers nothing
	// meanwhile, so that a leader first hands its office over. It cannot be broken off once it has
	// begun. After an error the file is as it was.
	Defragment(ctx context.Context) error
	// LeaderChanged returns a channel that is closed when this member next hears of a new leader.
	LeaderChanged() <-chan struct{}
}
