package etcdstore

import (
	"cmp"
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// What is staged is counted by etcd, which has to be asked. Of most locks it is nothing, and so it
// is of most stretches of their keys: only a stretch that has something is looked at more closely.

// stretch is all keys from those that begin with one to those that begin with another, both
// included.
type stretch struct{ first, last string }

// stretches is into how many a stretch is parted that has something.
const stretches = 16

// counts is how many keys there are in each stretch as of a revision, which any member knows that
// has come to it.
func (s *Store) counts(ctx context.Context, all []stretch, rev int64) (n []int64, err error) {
	for some := range slices.Chunk(all, commit.MaxOps) {
		var t commit.Txn
		for _, st := range some {
			t.Then = append(t.Then, op.Range(&pb.RangeRequest{
				Key: []byte(st.first), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(st.last)), CountOnly: true, Revision: rev,
			}))
		}
		resp, err := s.engine.Commit(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, r := range resp.Responses {
			n = append(n, r.GetResponseRange().Count)
		}
	}
	return n, nil
}

// countStaged fills in how many records the holders have staged as of a revision.
func (s *Store) countStaged(ctx context.Context, locks []LockInfo, rev int64) error {
	type section struct {
		records string
		lock    *LockInfo
	}
	var all []section
	for i := range locks {
		if l := &locks[i]; l.Holder != nil {
			all = append(all, section{s.keys.records(l.Name, l.Holder.Token), l})
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b section) int { return cmp.Compare(a.records, b.records) }) // names sort otherwise
	for parts := [][]section{all}; len(parts) > 0; {
		asked := make([]stretch, len(parts))
		for i, p := range parts {
			asked[i] = stretch{p[0].records, p[len(p)-1].records}
		}
		n, err := s.counts(ctx, asked, rev)
		if err != nil {
			return err
		}
		var next [][]section
		for i, p := range parts {
			switch {
			case n[i] == 0:
			case len(p) == 1:
				p[0].lock.Staged = n[i]
			default:
				next = slices.AppendSeq(next, slices.Chunk(p, (len(p)+stretches-1)/stretches))
			}
		}
		parts = next
	}
	return nil
}
