package etcdstore

import (
	"cmp"
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// What a fold reads: sections that are published, and their records.

const recordsPage = 256 // records of one request

// Sections of one lock are folded together within these bounds, which nearly always keep them to
// one step.
const (
	mergeSections = 8
	mergeFiles    = 8
	mergeBytes    = 64 << 10
)

// record is one staged record.
type record struct {
	key     string
	created int64
	number  uint64
	file    string
	data    []byte
}

// records reads a section's records, in the order in which they are to be in its files.
func (s *Store) records(ctx context.Context, lock string, token int64) ([]record, error) {
	return s.recordsAt(ctx, lock, token, 0)
}

// recordsAt is records as of a revision; 0: as they are when they are read.
func (s *Store) recordsAt(ctx context.Context, lock string, token, rev int64) ([]record, error) {
	var kvs []*mvccpb.KeyValue
	sc := scanOf(s.keys.records(lock, token), recordsPage)
	sc.rev = rev
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return nil, err
		}
		kvs = append(kvs, resp.Kvs...)
	}
	return s.inOrder(kvs)
}

// inOrder reads records and puts them in order: by the number that their client gave them, then as
// they were stored. Records that share a batch were stored at one revision: then by key, so that
// whoever folds has the same order. A key that no append has is passed over. A record that cannot
// be read may be one that was acknowledged, and is [ErrMalformed].
func (s *Store) inOrder(kvs []*mvccpb.KeyValue) (rs []record, err error) {
	for _, kv := range kvs {
		r := record{key: string(kv.Key), created: kv.CreateRevision}
		if !s.keys.isRecord(kv) {
			s.quarantine.add(r.key, errKey)
			continue
		}
		if r.number, r.file, r.data, err = decodeRecord(kv.Value); err != nil {
			return nil, malformedKey(kv, err)
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.created, b.created), cmp.Compare(a.key, b.key))
	})
	return rs, nil
}

// marked returns the sections that markers publish, and how many of the markers publish none.
func (s *Store) marked(markers []*mvccpb.KeyValue) (secs []publishedSection, odd int) {
	for _, kv := range markers {
		sec, err := s.keys.sectionOf(s.keys.allMarkers(), kv)
		if err != nil {
			s.quarantine.add(string(kv.Key), err)
			odd++
			continue
		}
		secs = append(secs, publishedSection{token: sec.token, marker: kv.ModRevision})
	}
	return secs, odd
}

// scanMarked reads the sections of a lock that are published, from a token on, as of a revision; 0:
// now. It is for a lock with markers that publish nothing.
func (s *Store) scanMarked(ctx context.Context, lock string, from, rev int64) (secs []publishedSection, err error) {
	sc := &scan{
		from: s.keys.marker(lock, from), end: clientv3.GetPrefixRangeEnd(s.keys.markers(lock)), page: listPage, keysOnly: true, rev: rev,
	}
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return nil, err
		}
		some, _ := s.marked(resp.Kvs)
		secs = append(secs, some...)
	}
	return secs, nil
}

// lastMarked is the token of the last section of a lock that is published; 0: there is none. marker
// is the last of the lock's markers.
func (s *Store) lastMarked(ctx context.Context, lock string, marker *mvccpb.KeyValue) (token int64, err error) {
	secs, odd := s.marked([]*mvccpb.KeyValue{marker})
	if odd > 0 {
		secs, err = s.scanMarked(ctx, lock, 0, 0)
	}
	if len(secs) == 0 {
		return 0, err
	}
	return secs[len(secs)-1].token, nil
}

// publishedSection is one that is to be folded.
type publishedSection struct {
	token   int64
	marker  int64 // its marker's revision
	records []record
}

// oldest reads the oldest published sections of a lock, up to a token: as many as are folded
// together, as they are at one revision, which it returns with them.
//
// If it was this store that published under that token, it knows at which revision, and the read is
// serializable: the etcd member that it speaks to looks into its own state, and asks no other
// whether that is the latest. It need not be. At that revision the section and all that were
// published before it are there, since a lock's sections are published in the order of their
// tokens; what came later is not asked for. Only if the member has not come so far, the read is
// made again through the quorum:
//
//	published here at 45   the member is at 44: the marker is missing, and the fold would
//	                       take the section for folded. Read again.
//	                       the member is at 50, etcd at 60: all up to 45 is there. What
//	                       another store has folded since, the guard of the fold finds.
//
// If another store published it, this one does not know how far the member has to be.
func (s *Store) oldest(ctx context.Context, lock string, token int64) (secs []publishedSection, rev int64, err error) {
	latest := s.heads.latest(lock)
	here := latest.token == token
	markers, staged := op.Prefix(s.keys.markers(lock)), op.Prefix(s.keys.records(lock, token))
	least := s.heads.rest(lock)
	markers.Key, markers.KeysOnly, markers.Limit = []byte(s.keys.marker(lock, least)), true, mergeSections
	staged.Key, staged.Limit = []byte(s.keys.records(lock, least)), recordsPage // what was lost and is not swept yet comes along
	markers.Serializable, staged.Serializable = here, here
	read := commit.Txn{Then: []*pb.RequestOp{op.Range(markers), op.Range(staged)}}
	resp, err := s.engine.Commit(ctx, read)
	if here && err == nil && resp.Header.Revision < latest.rev {
		markers.Serializable, staged.Serializable = false, false
		resp, err = s.engine.Commit(ctx, read)
	}
	if err != nil {
		return nil, 0, err
	}
	rev = resp.Header.Revision
	secs, odd := s.marked(op.Ranged(resp, 0))
	if odd > 0 && resp.Responses[0].GetResponseRange().More {
		if secs, err = s.scanMarked(ctx, lock, least, rev); err != nil {
			return nil, 0, err
		}
		secs = secs[:min(mergeSections, len(secs))]
	}
	secs = slices.DeleteFunc(secs, func(sec publishedSection) bool { return sec.token > token })
	if len(secs) == 0 {
		return nil, rev, nil
	}
	if resp.Responses[1].GetResponseRange().More { // more records than a page has: one section alone
		secs[0].records, err = s.records(ctx, lock, secs[0].token)
		return secs[:1], rev, err
	}
	kvs := map[int64][]*mvccpb.KeyValue{}
	for _, kv := range op.Ranged(resp, 1) {
		if sec, err := s.keys.sectionOf(s.keys.allStaged(), kv); err == nil {
			kvs[sec.token] = append(kvs[sec.token], kv)
		}
	}
	bytes, files := 0, map[string]bool{}
	for i := range secs {
		if secs[i].records, err = s.inOrder(kvs[secs[i].token]); err != nil {
			return nil, 0, err
		}
		for _, r := range secs[i].records {
			bytes += len(r.data)
			files[r.file] = true
		}
		if i > 0 && (bytes > mergeBytes || len(files) > mergeFiles) {
			return secs[:i], rev, nil
		}
	}
	return secs, rev, nil
}
