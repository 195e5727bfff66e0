package etcdstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// format is the form of all that is kept under a prefix. A higher one is for a later version.
const format = 1

// metaValue says in which form everything is, and whose it is. The id tells one cluster, and one
// prefix, from another, which etcd's own cannot: after a restore it is the same, or another,
// depending on flags. It is made with the first store that is opened on a prefix, and never by one
// that is open already: to that one a missing key says that its etcd was emptied.
type metaValue struct {
	Format int    `json:"format"`
	ID     string `json:"id"` // 32 hex digits
}

const idBytes = 16

// isMeta reports whether a key has the value of a meta. A lock may well be named cluster/meta, or
// end so; what its key has does not begin with a brace.
func isMeta(kv *mvccpb.KeyValue) bool {
	var v metaValue
	return kv != nil && decode(kv.Value, &v) == nil && v.Format > 0
}

// checkMeta returns a cluster's id, or [ErrFormatTooNew].
func checkMeta(kv *mvccpb.KeyValue) (id string, err error) {
	var v metaValue
	if err := decode(kv.Value, &v); err != nil || v.Format < 1 || len(v.ID) != 2*idBytes || !lowerHex(v.ID) {
		return "", fmt.Errorf("%w: %s is not what this version writes: %s", ErrFormatTooNew, quoted(string(kv.Key)), quoted(string(kv.Value)))
	}
	if v.Format > format {
		return "", fmt.Errorf("%w: %s says format %d, and this version knows those up to %d: run a later version of dlm",
			ErrFormatTooNew, quoted(string(kv.Key)), v.Format, format)
	}
	return v.ID, nil
}

// establish finds out whose etcd this is, or makes it this prefix's. What cannot be found out now
// is tried again until ctx ends.
//
//   - [ErrFormatTooNew], [ErrPrefixNested]: this store must not be opened.
//   - [ErrNoQuorum]: ctx ended first.
//   - any other: the user has not the right.
func (s *Store) establish(ctx context.Context) error {
	for {
		done, err := s.tryToEstablish(ctx)
		if done || errors.Is(err, ErrFormatTooNew) || errors.Is(err, ErrPrefixNested) {
			return err
		}
		if errors.Is(err, rpctypes.ErrPermissionDenied) {
			return fmt.Errorf("the user needs the right to read and write %s and all that begins so: %w", string(s.keys), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: reading %s: %w", ErrNoQuorum, quoted(s.keys.meta()), cmp.Or(err, context.Cause(ctx)))
		case <-time.After(relistWait):
		}
	}
}

// tryToEstablish is one attempt of establish. It is not done if etcd could not be asked, or if
// another store was faster.
func (s *Store) tryToEstablish(ctx context.Context) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, commit.Timeout)
	defer cancel()
	above, denied, err := s.nestedAbove(ctx)
	if err != nil {
		return false, err
	}
	if err := s.nestedBelow(ctx); err != nil {
		return false, err
	}
	resp, err := s.etcd().Get(ctx, s.keys.features(), clientv3.WithRange(s.keys.meta()+"\x00"))
	if err != nil {
		return false, err
	}
	meta, features := s.metaOf(resp.Kvs)
	if meta != nil {
		id, err := checkMeta(meta)
		if err == nil {
			s.id, s.meta = id, string(meta.Value)
			err = s.features.learn(features)
		}
		if err == nil && len(denied) > 0 {
			s.log.Info("whether this prefix lies among the keys of another may not be read, and is taken not to be so", "keys", denied)
		}
		return err == nil, err
	}
	if err := s.nestedAnywhere(ctx); err != nil {
		return false, err
	}
	made, err := s.makeMeta(ctx, above)
	if errors.Is(err, rpctypes.ErrNoSpace) {
		// There are locks to be released, by which there will be room. Whoever opens the next store
		// makes it.
		s.log.Warn("etcd is full: it is not noticed if it is emptied, or is another one", "missing", s.keys.meta())
		return true, nil
	}
	if err != nil || made == 0 {
		return false, err
	}
	// One that was opened below this prefix before it had a meta is found now; one that is opened
	// after that finds this meta.
	if err := s.nestedAnywhere(ctx); err != nil {
		_, _ = s.etcd().Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(s.keys.meta()), "=", made)).
			Then(clientv3.OpDelete(s.keys.meta()), clientv3.OpDelete(s.keys.features())).Commit()
		return false, err
	}
	return false, nil // and read it
}

// metaOf picks the meta and the features from what a read of both has found.
func (s *Store) metaOf(kvs []*mvccpb.KeyValue) (meta, features *mvccpb.KeyValue) {
	for _, kv := range kvs {
		switch string(kv.Key) {
		case s.keys.meta():
			meta = kv
		case s.keys.features():
			features = kv
		}
	}
	return meta, features
}

// makeMeta makes the meta, if nobody else has, and returns its revision; 0: somebody has. A prefix
// without any key has all features on from the start: there is no older server that would not know
// them.
func (s *Store) makeMeta(ctx context.Context, above []*pb.Compare) (rev int64, err error) {
	found, err := s.etcd().Get(ctx, string(s.keys), clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil {
		return 0, err
	}
	random := make([]byte, idBytes)
	rand.Read(random)
	t := commit.Txn{
		If:   append(above, op.Absent(s.keys.meta())),
		Then: []*pb.RequestOp{op.Put(s.keys.meta(), encode(metaValue{Format: format, ID: hex.EncodeToString(random)}))},
	}
	if len(found.Kvs) == 0 {
		t.If = append(t.If, op.Empty(string(s.keys)))
		t.Then = append(t.Then, op.Put(s.keys.features(), encode(featuresValue{On: Features()})), op.Put(s.keys.forgotten(), hex16(0)))
	}
	resp, err := s.apply(ctx, t.Request())
	if err != nil || !resp.Succeeded {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// nestedAbove is [ErrPrefixNested] if this prefix lies among the keys of another: if there is a
// meta at a parent, one of whose families the rest of this prefix begins with. A path that merely
// has such a word in it is none. Otherwise it returns that there is none, as compares. What may not
// be read counts as not there, for most who share an etcd may read their own keys only; it is
// returned as denied.
func (s *Store) nestedAbove(ctx context.Context) (none []*pb.Compare, denied []string, err error) {
	own := string(s.keys)
	for i := range len(own) - 1 {
		parent, rest := keys(own[:i+1]), own[i+1:]
		if own[i] != '/' || !slices.ContainsFunc(families(), func(family string) bool { return strings.HasPrefix(rest, family) }) {
			continue
		}
		resp, err := s.etcd().Get(ctx, parent.meta())
		switch {
		case errors.Is(err, rpctypes.ErrPermissionDenied):
			denied = append(denied, parent.meta())
			continue
		case err != nil:
			return nil, nil, err
		}
		var rev int64
		for _, kv := range resp.Kvs {
			if isMeta(kv) {
				return nil, nil, nested(own, string(parent))
			}
			rev = kv.ModRevision
		}
		none = append(none, op.ModifiedAt(parent.meta(), rev))
	}
	return none, denied, nil
}

// nestedBelow is [ErrPrefixNested] if one of this prefix's families is the prefix of another store.
// It is cheap, and looks for what a store cannot see that may read its own keys only.
func (s *Store) nestedBelow(ctx context.Context) error {
	var t commit.Txn
	for _, family := range families() {
		t.Then = append(t.Then, op.Get((s.keys + keys(family)).meta()))
	}
	resp, err := s.apply(ctx, t.Request())
	if err != nil {
		return err
	}
	for i, family := range families() {
		if isMeta(op.First(resp, i)) {
			return nested(string(s.keys)+family, string(s.keys))
		}
	}
	return nil
}

// nestedAnywhere is nestedBelow for a prefix that begins in the middle of a family, behind names of
// locks. It walks over all keys, so it is for a prefix that has no meta yet: what is opened below
// it later finds that.
func (s *Store) nestedAnywhere(ctx context.Context) error {
	for _, family := range families() {
		sc := scanOf(string(s.keys)+family, listPage)
		sc.keysOnly = true
		large := family == "staged/" || family == "chunks/" // so each lock's first key, and on behind its last
		if large {
			sc.page = 1
		}
		for resp, err := range sc.pages(func(key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
			return s.etcd().Get(ctx, key, opts...)
		}) {
			if err != nil {
				return err
			}
			for _, kv := range resp.Kvs {
				key := string(kv.Key)
				if lock, _, ok := s.keys.cut(key, string(s.keys)+family); ok && large {
					sc.from = clientv3.GetPrefixRangeEnd(string(s.keys) + family + lock + "//")
				}
				other, ok := strings.CutSuffix(key, keys("").meta())
				if !ok || other == string(s.keys) {
					continue
				}
				if got, err := s.etcd().Get(ctx, key); err != nil {
					return err
				} else if len(got.Kvs) > 0 && isMeta(got.Kvs[0]) {
					return nested(other, string(s.keys))
				}
			}
		}
	}
	return nil
}

func nested(inner, outer string) error {
	return fmt.Errorf("%w: the servers of %s take what is under %s for their own keys, and would delete it; choose another "+
		"etcd.prefix", ErrPrefixNested, quoted(outer), quoted(inner))
}
