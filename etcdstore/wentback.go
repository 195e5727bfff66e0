package etcdstore

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// Tokens are revisions. An etcd that goes back, since an older snapshot was restored or its keys
// were deleted, would grant them a second time, and they would fence nothing. So
//
//   - a store remembers the cluster's id and the highest revision that it has seen, and compares
//     every answer of a transaction and every linearizable read, the probe's among them: see
//     [commit.Seen]. If etcd is below, or the id is another or gone, it serves nothing any more,
//     until it is opened anew. It does not look again: others may write until the revision is
//     above.
//   - a client remembers them too, and says so with Init and Heartbeat. What it says stops nothing
//     but its own call, for anybody could say it.

// recognize compares whose etcd answers with whose it was, and takes in what is switched on.
func (s *Store) recognize(resp *clientv3.GetResponse) error {
	meta, features := s.metaOf(resp.Kvs)
	err := s.sameMeta(meta, resp.Header.Revision)
	if err == nil {
		err = s.features.learn(features)
	}
	if err != nil {
		s.seen.Refuse(err)
	}
	return err
}

// sameMeta reports what is wrong if the meta at a revision is not the one that this store was
// opened with.
func (s *Store) sameMeta(meta *mvccpb.KeyValue, rev int64) error {
	if s.id == "" || meta != nil && string(meta.Value) == s.meta {
		return nil
	}
	now := "there is no " + quoted(s.keys.meta()) + " any more"
	if meta != nil {
		id, err := checkMeta(meta)
		if err != nil || id == s.id {
			return err
		}
		now = "it is cluster " + id
	}
	seen := s.seen.Highest()
	return fmt.Errorf("%w: at revision %d %s, and this server has seen revision %d of cluster %s. The keys were deleted, or others "+
		"restored. %s", ErrWentBack, rev, now, seen, s.id, commit.Remedy(seen))
}

// Seen is what a client says that it has seen of a cluster before it made this call.
type Seen struct {
	Cluster  string // id; empty: none
	Revision int64  // the highest of any answer; 0: none
}

// check compares what a client has seen with this cluster. It is asked before anything else of the
// call is done, so that an answer that is none of these errors comes from the client's own cluster.
//
//   - [ErrOtherCluster]: it is another's client. Revisions are not compared.
//   - [ErrWentBack]: it has seen more than etcd has, which was read after it had said so.
//   - any other: etcd could not be asked.
func (s *Store) check(ctx context.Context, seen Seen) error {
	if seen.Cluster != "" && s.id != "" && seen.Cluster != s.id {
		return fmt.Errorf("%w: this is cluster %s, and the client has begun with %s", ErrOtherCluster, s.id, quoted(seen.Cluster))
	}
	return s.reached(ctx, seen.Revision)
}

// reached is [ErrWentBack] if etcd has not come to a revision that a client says it has seen.
func (s *Store) reached(ctx context.Context, rev int64) error {
	if rev <= s.seen.Highest() {
		return nil
	}
	resp, err := s.get(ctx, s.keys.meta())
	if err != nil {
		return err
	}
	return s.wentBack(rev, resp.Header.Revision)
}

// claimsLogged is how often it is logged, at most, that a client has seen more than there is:
// clients may say anything.
const claimsLogged = 10 * time.Second

// wentBack is [ErrWentBack] if a client has seen a revision, a token for one, that is above etcd's:
// that of a transaction, or of a linearizable read, that was asked for after the client had said
// so. It refuses no more than the client's call.
func (s *Store) wentBack(seen, rev int64) error {
	if seen <= rev {
		return nil
	}
	err := commit.Back("a client says that it", seen, rev)
	now, last := time.Now(), s.claims.Load()
	if now.Sub(time.Unix(0, last)) >= claimsLogged && s.claims.CompareAndSwap(last, now.UnixNano()) {
		s.log.Error("a call is refused", "err", err)
	}
	return err
}
