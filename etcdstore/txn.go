package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// txnTimeout bounds one etcd call: long enough for an election and a slow disk, short enough to tell a client to look
// elsewhere.
const txnTimeout = 5 * time.Second

// maxOps is how many compares and operations etcd takes in a transaction by default. What a nested one has counts on top
// of the longest list of those around it.
const maxOps = 128

// txn is one transition.
type txn struct {
	ifs  []clientv3.Cmp
	then []clientv3.Op
	els  []clientv3.Op

	patient bool // it is in no hurry
}

// op makes a nested transaction of it.
func (t txn) op() clientv3.Op { return clientv3.OpTxn(t.ifs, t.then, t.els) }

// commit runs one transaction: together with others if it writes. An error that is no sentinel's is indeterminate.
func (s *Store) commit(ctx context.Context, t txn) (*clientv3.TxnResponse, error) {
	if !s.health.up() { // known, so that no client waits to hear it
		return nil, s.unserved()
	}
	if writes := t.writes(); !writes.empty() {
		return s.batch(ctx, t, writes)
	}
	return s.commitAlone(ctx, t)
}

// commitAlone runs one transaction by itself: a batch, or what is in no hurry and would make one large.
func (s *Store) commitAlone(ctx context.Context, t txn) (*clientv3.TxnResponse, error) {
	ctx, cancel := s.health.bound(ctx)
	defer cancel()
	resp, err := s.etcd.Txn(ctx).If(t.ifs...).Then(t.then...).Else(t.els...).Commit()
	if err != nil {
		return nil, s.mapError(ctx, err)
	}
	return resp, nil
}

// get reads linearizably.
func (s *Store) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if !s.health.up() {
		return nil, s.unserved()
	}
	ctx, cancel := s.health.bound(ctx)
	defer cancel()
	resp, err := s.etcd.Get(ctx, key, opts...)
	if err != nil {
		return nil, s.mapError(ctx, err)
	}
	return resp, nil
}

// mapError turns what etcd says into a sentinel. ctx is the call's own, whose cause tells the caller's end from our
// timeout.
func (s *Store) mapError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return ErrSessionExpired
	case errors.Is(err, rpctypes.ErrNoSpace):
		return ErrNoSpace
	case s.ctx.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrNoQuorum):
		return fmt.Errorf("%w: no answer in time", ErrNoQuorum)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case unavailable(err):
		return fmt.Errorf("%w: %w", ErrNoQuorum, err)
	}
	return fmt.Errorf("etcd: %w", err)
}

// unavailable tells the errors that say nothing but: not here, or not now.
func unavailable(err error) bool {
	code := status.Code(err)
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok { // which hides its code from status
		code = e.Code()
	}
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted:
		return true
	case codes.Unknown: // an in-process etcd that has stopped answers so
		return strings.Contains(err.Error(), "stopped") || errors.Is(err, context.DeadlineExceeded)
	default:
		return false
	}
}

// Compares.

func absent(key string) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
}

func present(key string) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), ">", 0)
}

// never does not hold.
func never(key string) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), "<", 0)
}

func createdAt(key string, rev int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), "=", rev)
}

func modifiedAt(key string, rev int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(key), "=", rev)
}

func heldOn(key string, lease clientv3.LeaseID) clientv3.Cmp {
	return clientv3.Compare(clientv3.LeaseValue(key), "=", lease)
}

// guard holds while the token holds the lock for the session.
func (s *Store) guard(lock string, token int64, lease clientv3.LeaseID) []clientv3.Cmp {
	key := s.keys.lock(lock)
	return []clientv3.Cmp{modifiedAt(key, token), heldOn(key, lease)}
}

// Responses.

// ranged is what the i-th operation of a branch, a get, found.
func ranged(resp *clientv3.TxnResponse, i int) []*mvccpb.KeyValue {
	return resp.Responses[i].GetResponseRange().Kvs
}

// first is the only, or the first, key that the i-th operation of a branch found; nil: none.
func first(resp *clientv3.TxnResponse, i int) *mvccpb.KeyValue {
	if kvs := ranged(resp, i); len(kvs) > 0 {
		return kvs[0]
	}
	return nil
}

// nested is what the i-th operation of a branch, a transaction, came to.
func nested(resp *clientv3.TxnResponse, i int) *clientv3.TxnResponse {
	return (*clientv3.TxnResponse)(resp.Responses[i].GetResponseTxn())
}
