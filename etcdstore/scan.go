package etcdstore

import (
	"context"
	"iter"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// scan is a walk over the keys from one to before another, in their order and a page at a time: no
// answer of etcd is larger than a page, however many keys there are.
type scan struct {
	from, end string // from moves on; a loop over the pages may move it further
	page      int64  // keys of a page
	keysOnly  bool

	// pinned: all pages show the keys as they were at one revision, that of the first page, or rev
	// if it is set. If that is compacted meanwhile, the next page is [rpctypes.ErrCompacted].
	// Otherwise each page shows the keys as they are when it is read: one that comes, goes or
	// changes during the walk may be seen or not.
	pinned bool
	rev    int64
}

// scanOf is a scan of all keys that begin with prefix, by pages of size keys.
func scanOf(prefix string, size int64) *scan {
	return &scan{from: prefix, end: clientv3.GetPrefixRangeEnd(prefix), page: size}
}

// pages reads one page after the other, as the loop over them asks for it. An error is the last
// thing it yields.
func (s *Store) pages(ctx context.Context, sc *scan) iter.Seq2[*clientv3.GetResponse, error] {
	return sc.pages(func(key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
		return s.get(ctx, key, opts...)
	})
}

func (sc *scan) pages(
	get func(key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error),
) iter.Seq2[*clientv3.GetResponse, error] {
	return func(yield func(*clientv3.GetResponse, error) bool) {
		for sc.from < sc.end {
			opts := []clientv3.OpOption{clientv3.WithRange(sc.end), clientv3.WithLimit(sc.page), clientv3.WithRev(sc.rev)}
			if sc.keysOnly {
				opts = append(opts, clientv3.WithKeysOnly())
			}
			resp, err := get(sc.from, opts...)
			if err != nil {
				yield(nil, err)
				return
			}
			if sc.pinned && sc.rev == 0 {
				sc.rev = resp.Header.Revision
			}
			if n := len(resp.Kvs); n > 0 {
				sc.from = string(resp.Kvs[n-1].Key) + "\x00"
			}
			if !yield(resp, nil) || !resp.More {
				return
			}
		}
	}
}
