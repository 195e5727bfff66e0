package etcdstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

const (
	// shortQueue is how many waiters etcd may sort for whoever asks who is first. It reads all of
	// them for that: of ten thousand it takes a hundredth of a second or more, in which others
	// wait.
	shortQueue = 200

	frontSpare = 50 // so many of those in front may have left before etcd has to sort after all
)

// front is the first in a crowded queue, by the mirror. With them etcd need not sort the queue: it
// reads their places one by one. nil: it sorts.
//
// What comes of that is exact, if the front was taken before etcd was asked for the revision of the
// reads. Whoever was in the queue then, and is not in the mirror, has a place above the mirror's
// rev, and all in front have one up to it. So those of the front that are at their places are the
// first in the queue, in this order.
type front []*mirrorWaiter

// front is that of one lock, with room for n.
func (s *Store) front(lock string, n int) front { return s.mirror.front(lock, n+frontSpare) }

// fronts are those of the locks whose names begin with a prefix, with room for what List shows.
func (s *Store) fronts(prefix string) map[string]front {
	fronts := map[string]front{}
	for _, lock := range s.mirror.crowds(prefix) {
		if f := s.front(lock, listedWaiters); f != nil {
			fronts[lock] = f
		}
	}
	return fronts
}

// sorted reads the first n of a queue, as of a revision, 0: as it is, or nothing if the front says
// who they are.
func (f front) sorted(queue string, n, rev int64) *pb.RequestOp {
	if f != nil {
		return op.GetKey(queue) // which nobody has
	}
	oldest := op.Oldest(queue, n)
	oldest.Revision = rev
	return op.Range(oldest)
}

// waiters are the first n of a queue of so many as of a revision: what etcd has sorted, or else
// those of the front that were at their places.
func (s *Store) waiters(ctx context.Context, queue string, f front, sorted []*mvccpb.KeyValue, n, length int, rev int64) (ws []Waiter, err error) {
	n = min(n, length)
	if f != nil {
		if sorted, err = s.inPlace(ctx, f, n, rev); err != nil {
			return nil, err
		}
		if len(sorted) < n { // too many have left
			resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{front(nil).sorted(queue, int64(n), rev)}})
			if err != nil {
				return nil, err
			}
			sorted = op.Ranged(resp, 0)
		}
	}
	for _, kv := range inLine(sorted) {
		if w, ok := s.keys.waiterOf(kv); ok {
			ws = append(ws, w)
		}
	}
	return ws, nil
}

// inPlace reads the first n of a front that are at their places as of a revision.
func (s *Store) inPlace(ctx context.Context, f front, n int, rev int64) (kvs []*mvccpb.KeyValue, err error) {
	for len(f) > 0 && len(kvs) < n {
		part := f[:min(len(f), n-len(kvs), commit.MaxOps)]
		f = f[len(part):]
		var t commit.Txn
		for _, w := range part {
			t.Then = append(t.Then, op.Range(&pb.RangeRequest{Key: []byte(s.keys.waiter(w.acquisition)), Revision: rev}))
		}
		resp, err := s.engine.Commit(ctx, t)
		if err != nil {
			return nil, err
		}
		for i, w := range part {
			if kv := op.First(resp, i); kv != nil && kv.CreateRevision == w.created {
				kvs = append(kvs, kv)
			}
		}
	}
	return kvs, nil
}

// inLine puts waiters in the order in which they are served: by the revision of their places, ties
// by key. etcd sorts by revision, and leaves ties as it pleases; places of one batch are such ties.
func inLine(kvs []*mvccpb.KeyValue) []*mvccpb.KeyValue {
	slices.SortFunc(kvs, func(a, b *mvccpb.KeyValue) int {
		return cmp.Or(cmp.Compare(a.CreateRevision, b.CreateRevision), bytes.Compare(a.Key, b.Key))
	})
	return kvs
}
