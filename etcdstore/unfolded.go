package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Who reads folds first; but folding puts, which needs space. Without it, what is published and not
// folded is read from its records, each time anew.

// unfolded is what the published sections of a lock have for a file that is not in it yet.
type unfolded struct {
	data []byte
	last Version // the last of them
}

// unfoldedOf reads the files of a lock as they will be when all that is published is folded: their
// heads, and what is missing there, all as of one revision. refusal is why it is not folded, and
// what is returned if it is more than a section may have.
func (s *Store) unfoldedOf(ctx context.Context, lock string, refusal error) (heads map[string]head, rest map[string]unfolded, err error) {
	for {
		heads, rest, err = s.unfoldedNow(ctx, lock, refusal)
		if !errors.Is(err, rpctypes.ErrCompacted) { // else at a newer revision
			return heads, rest, err
		}
	}
}

func (s *Store) unfoldedNow(ctx context.Context, lock string, refusal error) (map[string]head, map[string]unfolded, error) {
	markers := op.Prefix(s.keys.markers(lock))
	markers.KeysOnly = true
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(op.Prefix(s.keys.heads(lock))), op.Range(markers), op.Range(op.Prefix(s.keys.bundles(lock)))}})
	if err != nil {
		return nil, nil, err
	}
	heads, rest := map[string]head{}, map[string]unfolded{}
	for _, kv := range op.Ranged(resp, 0) {
		if _, file, ok := s.keys.parseHead(string(kv.Key)); ok {
			if heads[file], err = parseHead(kv); err != nil {
				return nil, nil, err
			}
		}
	}
	total := 0
	secs, _ := s.marked(op.Ranged(resp, 1))
	for _, kv := range op.Ranged(resp, 2) {
		sec, _, err := s.keys.bundleOf(kv)
		if err != nil {
			continue
		}
		ops, err := decodeBundle(kv.Value)
		if err != nil {
			return nil, nil, malformedKey(kv, err)
		}
		sec.records = recordsOf(ops)
		secs = append(secs, sec)
	}
	slices.SortFunc(secs, publishedSection.compare)
	for _, sec := range secs {
		records := sec.records
		if sec.bundle == "" {
			if records, err = s.recordsAt(ctx, lock, sec.Token, resp.Header.Revision); err != nil {
				return nil, nil, err
			}
		}
		for _, r := range records {
			if total += len(r.data); total > MaxSection {
				return nil, nil, refusal
			}
			rest[r.file] = unfolded{append(rest[r.file].data, r.data...), sec.Version}
		}
	}
	return heads, rest, nil
}

// readUnfolded is [Store.Read] of what cannot be folded.
func (s *Store) readUnfolded(ctx context.Context, lock, file string, offset int64, limit int, refusal error) (Piece, error) {
	heads, all, err := s.unfoldedOf(ctx, lock, refusal)
	if err != nil {
		return Piece{}, err
	}
	h, known := heads[file]
	rest, more := all[file]
	if !known && !more {
		return Piece{}, fmt.Errorf("%w: %s of lock %s", ErrFileNotFound, quoted(file), quoted(lock))
	}
	p := Piece{Offset: offset, Size: h.Size + int64(len(rest.data)), Token: h.Token, N: h.N}
	if more {
		p.Token, p.N = rest.last.Token, rest.last.N
	}
	upto := min(offset+int64(limit), p.Size)
	if offset < h.Size {
		if p.Data, err = s.bytes(ctx, lock, file, h.headValue, offset, min(upto, h.Size)); err != nil {
			return Piece{}, err
		}
	}
	if upto > h.Size && offset < p.Size {
		p.Data = append(p.Data, rest.data[max(offset-h.Size, 0):upto-h.Size]...)
	}
	return p, nil
}

// filesUnfolded returns the files of a lock, or of all if lock is empty, in which something is
// missing that cannot be folded, as they will be, by their heads' keys.
func (s *Store) filesUnfolded(ctx context.Context, lock string, refusal error) (map[string]File, error) {
	locks := []string{lock}
	if lock == "" {
		locks = nil
		if err := s.unfoldedLocks(ctx, func(lock string) { locks = append(locks, lock) }); err != nil {
			return nil, err
		}
	}
	files := map[string]File{}
	for _, l := range locks {
		heads, rest, err := s.unfoldedOf(ctx, l, refusal)
		if errors.Is(err, ErrMalformed) && lock == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		for file, r := range rest {
			h := heads[file]
			files[s.keys.head(l, file)] = File{Lock: l, Name: file, Size: h.Size + int64(len(r.data)), Token: r.last.Token, N: r.last.N}
		}
	}
	return files, nil
}
