package etcdstore

import (
	"context"
	"errors"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// readPage reads a page of a listing from etcd, for a store whose mirror is behind. Etcd counts all
// that is behind a page each time, so that a listing takes it the longer, by far, the more there
// is. next is the name that the page ends with.
func (s *Store) readPage(ctx context.Context, prefix, from string, limit int) (read Page, next string, err error) {
	for from = max(from, prefix); ; {
		fronts := s.fronts(prefix) // before the revision that the page is of
		var p usedLocks
		if p, err = s.used(ctx, prefix, from, limit); err == nil {
			read.Locks, err = s.describe(ctx, p, fronts)
		}
		read.Revision = p.rev
		switch {
		case errors.Is(err, rpctypes.ErrCompacted): // then at a newer revision
			continue
		case err != nil:
			return Page{}, "", err
		case p.next == "":
			return read, "", nil
		case len(p.names) > 0:
			return read, p.names[len(p.names)-1], nil
		}
		from = p.next // nothing here but keys of somebody else's making
	}
}

// usedLocks are locks that are held, or that somebody has waited for lately, as of one revision.
type usedLocks struct {
	names   []string
	holders map[string]*mvccpb.KeyValue
	rev     int64
	next    string // the name to go on from; empty: there are no more
}

// used finds at most limit of the locks whose names begin with prefix, from a name on. Who waits is
// found by the keys waited/L, which have the order of names. The places themselves have not: "//"
// ends a name there, and a slash sorts behind "-" and ".", so that queue/a-b// comes before
// queue/a//.
//
// Of each family a page is read. The two pages end at different names, and what lies behind the
// earlier end has been read of one family only: it is left for the next call.
func (s *Store) used(ctx context.Context, prefix, from string, limit int) (usedLocks, error) {
	scan := func(family string) *pb.RangeRequest {
		end := clientv3.GetPrefixRangeEnd(family + prefix)
		return &pb.RangeRequest{Key: []byte(family + from), RangeEnd: []byte(max(end, family+from)), Limit: int64(limit)}
	}
	waited := scan(s.keys.allWaited())
	waited.KeysOnly = true
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(scan(s.keys.allLocks())), op.Range(waited)}})
	if err != nil {
		return usedLocks{}, err
	}
	p := usedLocks{holders: map[string]*mvccpb.KeyValue{}, rev: resp.Header.Revision}
	var names []string
	var last string // what lies behind it has not been read of both families, if cut
	cut := false
	for i, family := range []string{s.keys.allLocks(), s.keys.allWaited()} {
		kvs := op.Ranged(resp, i)
		for _, kv := range kvs {
			name := string(kv.Key[len(family):])
			names = append(names, name)
			if i == 0 {
				p.holders[name] = kv
			}
		}
		if resp.Responses[i].GetResponseRange().More {
			if end := string(kvs[len(kvs)-1].Key[len(family):]); !cut || end < last {
				last, cut = end, true
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if cut {
		names = slices.DeleteFunc(names, func(name string) bool { return name > last })
	}
	if len(names) > limit {
		names = names[:limit]
		last, cut = names[limit-1], true
	}
	if cut {
		p.next = last + "\x00"
	}
	p.names = slices.DeleteFunc(names, func(name string) bool { return !isLock(name) })
	return p, nil
}

// describe reads the queues of locks, and leaves out those that are neither held nor waited for.
func (s *Store) describe(ctx context.Context, p usedLocks, fronts map[string]front) (locks []LockInfo, err error) {
	for names := range slices.Chunk(p.names, commit.MaxOps/2) {
		var t commit.Txn
		for _, name := range names {
			queue := s.keys.queue(name)
			count := op.Count(queue)
			count.Revision = p.rev
			t.Then = append(t.Then, fronts[name].sorted(queue, listedWaiters, p.rev), op.Range(count))
		}
		resp, err := s.engine.Commit(ctx, t)
		if err != nil {
			return nil, err
		}
		for i, name := range names {
			info := LockInfo{Name: name, Holder: holderOf(p.holders[name]), QueueLength: int(resp.Responses[2*i+1].GetResponseRange().Count)}
			sorted := op.Ranged(resp, 2*i)
			if info.Waiters, err = s.waiters(ctx, s.keys.queue(name), fronts[name], sorted, listedWaiters, info.QueueLength, p.rev); err != nil {
				return nil, err
			}
			if info.Holder != nil || info.QueueLength > 0 {
				locks = append(locks, info)
			}
		}
	}
	return locks, nil
}
