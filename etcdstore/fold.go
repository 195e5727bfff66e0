package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Folding turns a published section's records into file chunks. The section is readable from its marker on; folding
// only moves bytes to where they are read from. It may be done by any store, several at once, and broken off anywhere:
// every step is guarded by the marker and the heads that it was computed from.

const (
	chunkSize   = 64 << 10 // the most bytes in a chunk of a new file
	smallChunk  = 4 << 10  // a chunk that stays within this is grown by the next section, not followed by another
	stepBytes   = 1 << 20  // the most bytes that one step puts, under etcd's 1.5 MiB a request
	stepOps     = 100      // the most operations of one step, under etcd's 128
	recordsPage = 256
)

// record is one staged record.
type record struct {
	key     string
	created int64
	number  uint64
	file    string
	data    []byte
}

// records reads a section in order: by number, then as stored.
func (s *Store) records(ctx context.Context, lock string, token int64) ([]record, error) {
	var rs []record
	from, end := s.keys.records(lock, token), clientv3.GetPrefixRangeEnd(s.keys.records(lock, token))
	for {
		resp, err := s.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(recordsPage))
		if err != nil {
			return nil, err
		}
		for _, kv := range resp.Kvs {
			r := record{key: string(kv.Key), created: kv.CreateRevision}
			if r.number, r.file, r.data, err = decodeRecord(kv.Value); err != nil {
				return nil, fmt.Errorf("%s: %w", kv.Key, err)
			}
			rs = append(rs, r)
		}
		if !resp.More {
			break
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	slices.SortFunc(rs, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.created, b.created), cmp.Compare(a.key, b.key))
	})
	return rs, nil
}

// foldAll folds every section of a lock that is published now.
func (s *Store) foldAll(ctx context.Context, lock string) error {
	return s.foldUpTo(ctx, lock, 1<<62)
}

// foldUpTo folds a lock's published sections, oldest first, up to a token.
func (s *Store) foldUpTo(ctx context.Context, lock string, token int64) error {
	unlock, err := s.folding.lock(ctx, lock)
	if err != nil {
		return err
	}
	defer unlock()
	for {
		resp, err := s.get(ctx, s.keys.markers(lock), clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			return nil
		}
		marker := resp.Kvs[0]
		_, t, ok := s.keys.parseSection(s.keys.allMarkers(), string(marker.Key))
		if !ok {
			return fmt.Errorf("a marker's key is malformed: %s", quoted(string(marker.Key)))
		}
		if t > token {
			return nil
		}
		if err := s.fold(ctx, lock, t, marker.ModRevision); err != nil && !errors.Is(err, errOvertaken) {
			return fmt.Errorf("fold %s: %w", quoted(lock), err)
		}
	}
}

// errOvertaken: what a step was computed from has changed; another store folds as well.
var errOvertaken = errors.New("overtaken")

// fold folds one section, the oldest of its lock.
func (s *Store) fold(ctx context.Context, lock string, token, marker int64) error {
	records, err := s.records(ctx, lock, token)
	if err != nil {
		return err
	}
	guard := []*pb.Compare{modifiedAt(s.keys.marker(lock, token), marker)}
	var files []string
	bytes := map[string][]byte{}
	for _, r := range records {
		if _, ok := bytes[r.file]; !ok {
			files = append(files, r.file)
		}
		bytes[r.file] = append(bytes[r.file], r.data...)
	}
	var chunks, heads []*pb.RequestOp
	for _, file := range files {
		f, err := s.headOf(ctx, lock, file)
		if err != nil {
			return err
		}
		guard = append(guard, modifiedAt(s.keys.head(lock, file), f.rev))
		puts, err := s.grow(ctx, lock, file, &f.headValue, bytes[file])
		if err != nil {
			return err
		}
		f.Token = token
		chunks = append(chunks, puts...)
		heads = append(heads, put(s.keys.head(lock, file), encode(f.headValue)))
	}
	// All but the last step put only bytes beyond the heads, which nobody reads.
	last := append(heads,
		del(s.keys.marker(lock, token)),
		delPrefix(s.keys.records(lock, token)))
	steps := split(chunks)
	if n := len(steps); n > 0 && len(steps[n-1])+len(last) <= stepOps {
		last = append(steps[n-1], last...)
		steps = steps[:n-1]
	}
	for _, ops := range append(steps, last) {
		resp, err := s.commitAlone(ctx, txn{ifs: guard, then: ops})
		if err != nil {
			return err
		}
		if !resp.Succeeded {
			return errOvertaken
		}
	}
	return nil
}

// head is a file's head and the revision it is from, 0 if the file does not exist.
type head struct {
	headValue
	rev int64
}

func (s *Store) headOf(ctx context.Context, lock, file string) (head, error) {
	resp, err := s.get(ctx, s.keys.head(lock, file))
	if err != nil {
		return head{}, err
	}
	if len(resp.Kvs) == 0 {
		return head{headValue: headValue{Chunk: chunkSize}}, nil
	}
	h := head{rev: resp.Kvs[0].ModRevision}
	if err := decode(resp.Kvs[0].Value, &h.headValue); err != nil {
		return head{}, fmt.Errorf("%s: %w", resp.Kvs[0].Key, err)
	}
	return h, nil
}

// grow moves a head over new bytes and answers the chunks that hold them. It depends on nothing but the head and the
// bytes, so that whoever does it again puts the same.
func (s *Store) grow(ctx context.Context, lock, file string, h *headValue, data []byte) ([]*pb.RequestOp, error) {
	if len(data) == 0 {
		return nil, nil
	}
	at := h.Size
	if old := h.Size - h.Last; old > 0 && old+int64(len(data)) <= smallChunk {
		resp, err := s.get(ctx, s.keys.chunk(lock, file, h.Last))
		if err != nil {
			return nil, err
		}
		if len(resp.Kvs) == 0 || int64(len(resp.Kvs[0].Value)) < old {
			return nil, fmt.Errorf("file %s of lock %s: the chunk at %d is not whole", quoted(file), quoted(lock), h.Last)
		}
		at = h.Last
		data = append(resp.Kvs[0].Value[:old:old], data...)
	}
	var puts []*pb.RequestOp
	h.Size = at + int64(len(data))
	for part := range slices.Chunk(data, int(h.Chunk)) {
		puts = append(puts, put(s.keys.chunk(lock, file, at), string(part)))
		h.Last = at
		at += int64(len(part))
	}
	return puts, nil
}

// split cuts puts into steps that etcd takes.
func split(puts []*pb.RequestOp) [][]*pb.RequestOp {
	var steps [][]*pb.RequestOp
	var bytes int
	for i, op := range puts {
		size := len(op.GetRequestPut().GetValue())
		if i == 0 || bytes+size > stepBytes || len(steps[len(steps)-1]) == stepOps {
			steps = append(steps, nil)
			bytes = 0
		}
		steps[len(steps)-1] = append(steps[len(steps)-1], op)
		bytes += size
	}
	return steps
}
