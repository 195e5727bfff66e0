package etcdstore

import (
	"context"
	"errors"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Who reads folds first; but folding puts, which needs space. Without it, what is published and not
// folded is read from its records, each time anew.

// unfoldedOf reads what the files of a lock come to when all that is published is folded, all as of
// one revision. refusal is why it is not folded, and what is returned if it is more than a section
// may have.
func (s *Store) unfoldedOf(ctx context.Context, lock string, refusal error) (files map[string]*growth, err error) {
	for {
		files, err = s.unfoldedNow(ctx, lock, refusal)
		if !errors.Is(err, rpctypes.ErrCompacted) { // else at a newer revision
			return files, err
		}
	}
}

func (s *Store) unfoldedNow(ctx context.Context, lock string, refusal error) (map[string]*growth, error) {
	markers := op.Prefix(s.keys.markers(lock))
	markers.KeysOnly = true
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(op.Prefix(s.keys.heads(lock))), op.Range(markers), op.Range(op.Prefix(s.keys.bundles(lock)))}})
	if err != nil {
		return nil, err
	}
	files := map[string]*growth{}
	for _, kv := range op.Ranged(resp, 0) {
		if _, file, ok := s.keys.parseHead(string(kv.Key)); ok {
			h, err := parseHead(kv)
			if err != nil {
				return nil, err
			}
			files[file] = growthOf(h, 0)
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
			return nil, malformedKey(kv, err)
		}
		sec.records = recordsOf(ops)
		secs = append(secs, sec)
	}
	slices.SortFunc(secs, byVersion)
	named := s.features.on(featureLife)
	for _, sec := range secs {
		records := sec.records
		if sec.bundle == "" {
			if records, err = s.recordsAt(ctx, lock, sec.Token, resp.Header.Revision); err != nil {
				return nil, err
			}
		}
		for _, r := range records {
			if total += len(r.Data); total > MaxSection {
				return nil, refusal
			}
			if files[r.File] == nil {
				files[r.File] = growthOf(noHead(), 0)
			}
			files[r.File].operate(r.Operation, sec.Version, named)
		}
	}
	return files, nil
}

// unfoldedFile is a file of what cannot be folded.
func (s *Store) unfoldedFile(ctx context.Context, lock, file string, refusal error) (*growth, error) {
	files, err := s.unfoldedOf(ctx, lock, refusal)
	if err != nil {
		return nil, err
	}
	if g := files[file]; g != nil {
		return g, nil
	}
	return growthOf(noHead(), 0), nil
}

// filesUnfolded returns the files of a lock, or of all if lock is empty, in which something is
// missing that cannot be folded, as they will be, by their heads' keys; nil: it will be none.
func (s *Store) filesUnfolded(ctx context.Context, lock string, refusal error) (map[string]*File, error) {
	locks := []string{lock}
	if lock == "" {
		locks = nil
		if err := s.unfoldedLocks(ctx, func(lock string) { locks = append(locks, lock) }); err != nil {
			return nil, err
		}
	}
	all := map[string]*File{}
	for _, l := range locks {
		files, err := s.unfoldedOf(ctx, l, refusal)
		if errors.Is(err, ErrMalformed) && lock == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		for name, g := range files {
			if !g.changed {
				continue
			}
			key := s.keys.head(l, name)
			if all[key] = nil; g.exists() {
				f := g.file(l, name)
				all[key] = &f
			}
		}
	}
	return all, nil
}
