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

	// The bounds of those that were published in one call, which are many and small.
	mergeBundles     = 256
	mergeBundleFiles = 80
	mergeBundleBytes = 256 << 10
)

// record is one staged record.
type record struct {
	key     string
	created int64
	number  uint64
	Operation
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
		if r.number, r.Operation, err = decodeRecord(kv.Value); err != nil {
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
		secs = append(secs, publishedSection{Version: Version{Token: sec.token}, marker: kv.ModRevision})
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
	return secs[len(secs)-1].Token, nil
}

// publishedSection is one that is to be folded: one that was held, or a bundle.
type publishedSection struct {
	Version
	marker  int64  // its marker's revision
	bundle  string // its key; empty: it was held
	records []record
}

// compare says which of two sections of a lock was published first.
func (v Version) compare(other Version) int {
	return cmp.Or(cmp.Compare(v.Token, other.Token), cmp.Compare(v.N, other.N))
}

func byVersion(a, b publishedSection) int { return a.compare(b.Version) }

// oldestSections are the oldest published sections of a lock that are not folded, in order, as many
// as are folded together.
type oldestSections struct {
	secs []publishedSection
	// through is a token up to which there are no others. The last sections of a token may be left
	// for the next fold.
	through int64
	rev     int64 // as of which they were read
}

// upTo is through if a fold has the first n sections only.
func (o oldestSections) upTo(n int) int64 {
	if n == len(o.secs) {
		return o.through
	}
	if o.secs[n].Token == o.secs[n-1].Token {
		return o.secs[n].Token - 1
	}
	return o.secs[n-1].Token
}

// first is the oldest n of them.
func (o oldestSections) first(n int) oldestSections {
	return oldestSections{o.secs[:n], o.upTo(n), o.rev}
}

// oldest reads the oldest published sections of a lock, up to a token: as many as are folded
// together, as they are at one revision.
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
// If another store published it, this one does not know how far the member has to be. sure: it asks
// the quorum.
func (s *Store) oldest(ctx context.Context, lock string, token int64, sure bool) (o oldestSections, err error) {
	latest := s.heads.latest(lock)
	here := latest.token == token && !sure
	markers, staged, bundles := op.Prefix(s.keys.markers(lock)), op.Prefix(s.keys.records(lock, token)), op.Prefix(s.keys.bundles(lock))
	least := s.heads.rest(lock)
	markers.Key, markers.KeysOnly, markers.Limit = []byte(s.keys.marker(lock, least)), true, mergeSections
	staged.Key, staged.Limit = []byte(s.keys.records(lock, least)), recordsPage // what was lost and is not swept yet comes along
	bundles.KeysOnly = true
	read := commit.Txn{Then: []*pb.RequestOp{op.Range(markers), op.Range(staged), op.Range(bundles)}}
	markers.Serializable, staged.Serializable, bundles.Serializable = here, here, here
	resp, err := s.engine.Commit(ctx, read)
	if here && err == nil && resp.Header.Revision < latest.rev {
		markers.Serializable, staged.Serializable, bundles.Serializable = false, false, false
		resp, err = s.engine.Commit(ctx, read)
	}
	if err != nil {
		return o, err
	}
	o.rev, o.through = resp.Header.Revision, token
	secs, odd := s.marked(op.Ranged(resp, 0))
	more := resp.Responses[0].GetResponseRange().More
	if odd > 0 && more {
		if secs, err = s.scanMarked(ctx, lock, least, o.rev); err != nil {
			return o, err
		}
		more = len(secs) > mergeSections
		secs = secs[:min(mergeSections, len(secs))]
	}
	if n := len(secs); more && n > 0 {
		o.through = min(token, secs[n-1].Token)
	}
	o.secs = append(secs, s.bundled(lock, op.Ranged(resp, 2), o.rev)...)
	o.secs = slices.DeleteFunc(o.secs, func(sec publishedSection) bool { return sec.Token > o.through })
	slices.SortFunc(o.secs, byVersion)
	if len(o.secs) == 0 {
		return o, nil
	}
	if resp.Responses[1].GetResponseRange().More { // more records than a page has: of the sections that were held one alone
		return s.oldestOfMany(ctx, lock, o)
	}
	kvs := map[int64][]*mvccpb.KeyValue{}
	for _, kv := range op.Ranged(resp, 1) {
		if sec, err := s.keys.sectionOf(s.keys.allStaged(), kv); err == nil {
			kvs[sec.token] = append(kvs[sec.token], kv)
		}
	}
	for i := range o.secs {
		if sec := &o.secs[i]; sec.bundle == "" {
			if sec.records, err = s.inOrder(kvs[sec.Token]); err != nil {
				return o, err
			}
		}
	}
	return s.together(ctx, lock, o)
}

// oldestOfMany cuts the sections before the first that was held, or behind that if it is the first:
// it is folded alone.
func (s *Store) oldestOfMany(ctx context.Context, lock string, o oldestSections) (oldestSections, error) {
	held := slices.IndexFunc(o.secs, func(sec publishedSection) bool { return sec.bundle == "" })
	switch {
	case held > 0:
		return s.together(ctx, lock, o.first(held))
	case held < 0:
		return s.together(ctx, lock, o)
	}
	var err error
	o.secs[0].records, err = s.records(ctx, lock, o.secs[0].Token)
	return o.first(1), err
}

// bundled returns the sections that bundles are, as they were at a revision.
func (s *Store) bundled(lock string, kvs []*mvccpb.KeyValue, rev int64) (secs []publishedSection) {
	there := make(map[string]struct{}, len(kvs))
	for _, kv := range kvs {
		sec, _, err := s.keys.bundleOf(kv)
		if err != nil {
			s.quarantine.add(string(kv.Key), err)
			continue
		}
		there[sec.bundle] = struct{}{}
		secs = append(secs, sec)
	}
	s.bundles.left(lock, rev, func(key string) bool {
		_, is := there[key]
		return is
	})
	return secs
}

// together cuts the sections where a fold would have too much, and gets what the bundles do.
func (s *Store) together(ctx context.Context, lock string, o oldestSections) (oldestSections, error) {
	o = o.first(min(len(o.secs), mergeBundles))
	if err := s.contents(ctx, lock, o.secs); err != nil {
		return o, err
	}
	bytes, files, held := 0, map[string]bool{}, 0
	for i, sec := range o.secs {
		mostBytes, mostFiles := mergeBytes, mergeFiles
		if sec.bundle == "" {
			held++
		}
		if held == 0 {
			mostBytes, mostFiles = mergeBundleBytes, mergeBundleFiles
		}
		for _, r := range sec.records {
			bytes += len(r.Data)
			files[r.File] = true
		}
		if i > 0 && (bytes > mostBytes || len(files) > mostFiles) {
			return o.first(i), nil
		}
	}
	return o, nil
}

// contents gets what bundles do: from memory if they are this store's own, else from etcd.
// [errOvertaken]: one of them is folded meanwhile.
func (s *Store) contents(ctx context.Context, lock string, secs []publishedSection) error {
	var missing []int
	for i := range secs {
		sec := &secs[i]
		if sec.bundle == "" {
			continue
		}
		if ops, known := s.bundles.get(lock, sec.bundle, sec.Token); known {
			sec.records = recordsOf(ops)
		} else {
			missing = append(missing, i)
		}
	}
	for part := range slices.Chunk(missing, recordsPage/16) {
		var gets []*pb.RequestOp
		for _, i := range part {
			gets = append(gets, op.Get(secs[i].bundle))
		}
		resp, err := s.engine.Commit(ctx, commit.Txn{Then: gets})
		if err != nil {
			return err
		}
		for n, i := range part {
			kv := op.First(resp, n)
			if kv == nil || kv.ModRevision != secs[i].Token {
				return errOvertaken
			}
			ops, err := decodeBundle(kv.Value)
			if err != nil {
				return malformedKey(kv, err)
			}
			secs[i].records = recordsOf(ops)
		}
	}
	return nil
}

// recordsOf are the records that operations come to.
func recordsOf(ops []Operation) []record {
	rs := make([]record, len(ops))
	for i, o := range ops {
		rs[i] = record{Operation: o}
	}
	return rs
}
