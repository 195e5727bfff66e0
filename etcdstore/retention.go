package etcdstore

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Bounds of retention.
const (
	MinRetainedAge = time.Minute
	MaxRetentions  = 256
)

// Retention is how much is kept of the files of some locks, from their ends: see retain.go.
type Retention struct {
	Prefix   string        // of the locks' names; empty: all
	Files    string        // which of their files, a pattern as [path.Match] has it; empty: all
	MaxBytes int64         // 0: any number
	MaxAge   time.Duration // in whole milliseconds; 0: any age
}

// bounds reports whether something can go by it.
func (r Retention) bounds() bool { return r.MaxBytes != 0 || r.MaxAge != 0 }

// retentionValue is a [Retention] but for its prefix.
type retentionValue struct {
	Files    string `json:"files,omitempty"`
	MaxBytes int64  `json:"maxBytes,omitempty"`
	MaxAge   int64  `json:"maxAge,omitempty"` // ms
}

func (r Retention) value() retentionValue {
	return retentionValue{r.Files, r.MaxBytes, r.MaxAge.Milliseconds()}
}

func checkRetention(r Retention) error {
	if err := checkPrefix(r.Prefix); err != nil {
		return err
	}
	if _, err := path.Match(r.Files, ""); err != nil || len(r.Files) > MaxFileName {
		return fmt.Errorf("%w: files %s: want a pattern as of a shell, %d bytes at most", ErrInvalidArgument, quoted(r.Files), MaxFileName)
	}
	if r.MaxBytes < 0 || r.MaxBytes > mostFile {
		return fmt.Errorf("%w: at most %d bytes: want 1 to %d", ErrInvalidArgument, r.MaxBytes, int64(mostFile))
	}
	if r.MaxAge != 0 && r.MaxAge < MinRetainedAge || r.MaxAge%time.Millisecond != 0 {
		return fmt.Errorf("%w: an age of %s: want at least %s, in whole milliseconds", ErrInvalidArgument, r.MaxAge, MinRetainedAge)
	}
	return nil
}

// retentionOf parses what is put for a prefix.
func (k keys) retentionOf(kv *mvccpb.KeyValue) (Retention, error) {
	prefix, ok := strings.CutPrefix(string(kv.Key), k.allRetentions())
	if !ok || checkPrefix(prefix) != nil {
		return Retention{}, errKey
	}
	var v retentionValue
	if err := decode(kv.Value, &v); err != nil {
		return Retention{}, err
	}
	r := Retention{prefix, v.Files, v.MaxBytes, time.Duration(v.MaxAge) * time.Millisecond}
	if err := checkRetention(r); err != nil {
		return Retention{}, err
	}
	if r.value() != v || !r.bounds() {
		return Retention{}, fmt.Errorf("at most %d bytes, of at most %d ms", v.MaxBytes, v.MaxAge)
	}
	return r, nil
}

// retentions are all that there are, those of longer prefixes first.
type retentions []Retention

// of returns what is kept of a file: what the longest prefix says that its lock's name begins with.
// nil: all of it.
func (rs retentions) of(f fileKey) *Retention {
	for i := range rs {
		if !strings.HasPrefix(f.lock, rs[i].Prefix) {
			continue
		}
		if is, _ := path.Match(rs[i].Files, f.file); is || rs[i].Files == "" {
			return &rs[i]
		}
		return nil
	}
	return nil
}

// outermost returns those of the prefixes that begin with no other.
func (rs retentions) outermost() (prefixes []string) {
	for _, r := range slices.Backward(rs) { // shorter ones first
		if !slices.ContainsFunc(prefixes, func(outer string) bool { return strings.HasPrefix(r.Prefix, outer) }) {
			prefixes = append(prefixes, r.Prefix)
		}
	}
	return prefixes
}

// SetRetention has every server keep no more of the files of some locks, from within a minute on,
// instead of what was said before of that prefix. A longer prefix of a lock's name counts, alone,
// for a shorter one. If neither bytes nor age are bounded, nothing is said of the prefix any more.
// A repeat does the same.
//
//   - [ErrInvalidArgument], [ErrFeatureOff], [ErrNoSpace], [ErrQuota] (of [MaxRetentions]): nothing
//     was changed.
//   - any other, ctx's included: indeterminate.
func (s *Store) SetRetention(ctx context.Context, r Retention) error {
	if err := checkRetention(r); err != nil {
		return err
	}
	if !s.features.on(featureLife) {
		return fmt.Errorf("%w: nothing of files is cut off before the feature %q is", ErrFeatureOff, featureLife)
	}
	key := s.keys.retention(r.Prefix)
	change := op.Delete(key)
	if r.bounds() {
		all, err := s.Retentions(ctx)
		if err != nil {
			return err
		}
		if len(all) >= MaxRetentions && !slices.ContainsFunc(all, func(other Retention) bool { return other.Prefix == r.Prefix }) {
			return fmt.Errorf("%w: there are retentions of %d prefixes", ErrQuota, len(all))
		}
		change = op.Put(key, encode(r.value()))
		s.space.puts() // without being asked for room: it is to make some
	}
	if _, err := s.engine.Alone(ctx, commit.Txn{Then: []*pb.RequestOp{change}}); err != nil {
		return err
	}
	_, err := s.Retentions(ctx)
	return err
}

// Retentions returns what is kept of files, in the order of prefixes. From then on it counts for
// what this store folds.
func (s *Store) Retentions(ctx context.Context) ([]Retention, error) {
	var all retentions
	sc := scanOf(s.keys.allRetentions(), listPage)
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return nil, err
		}
		for _, kv := range resp.Kvs {
			r, err := s.keys.retentionOf(kv)
			if err != nil { // and keeps everything
				s.quarantine.add(string(kv.Key), err)
				continue
			}
			all = append(all, r)
		}
	}
	longest := slices.Clone(all)
	slices.SortStableFunc(longest, func(a, b Retention) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	s.retentions.Store(&longest)
	return all, nil
}
