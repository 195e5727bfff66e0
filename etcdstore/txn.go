package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
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
	ifs  []*pb.Compare
	then []*pb.RequestOp
	els  []*pb.RequestOp

	// alive is the key of the session whose lease it puts on, if it does not compare that it lives; empty: it puts on none, or
	// does. It will after a refusal: etcd looks for the lease.
	alive string

	patient bool         // it is in no hurry
	besides string       // a key that nothing else in its batch may write either; empty: none
	touch   string       // a key that is put along, once for all of its batch, whatever comes of them; empty: none
	refuse  func() error // asked when its turn has come: with an error, which is then its answer, it is not run; nil: it is
}

// withAlive is the transaction with that compare.
func (t txn) withAlive() txn {
	if t.alive != "" {
		t.ifs, t.alive = append(t.ifs[:len(t.ifs):len(t.ifs)], present(t.alive)), ""
	}
	return t
}

func (t txn) request() *pb.TxnRequest {
	return &pb.TxnRequest{Compare: t.ifs, Success: t.then, Failure: t.els}
}

// op makes a nested transaction of it.
func (t txn) op() *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: t.request()}}
}

// commit runs one transaction: together with others if it writes. An error that is no sentinel's is indeterminate.
func (s *Store) commit(ctx context.Context, t txn) (*pb.TxnResponse, error) {
	if !s.health.up() { // known, so that no client waits to hear it
		return nil, s.unserved()
	}
	if f := t.footprint(); !f.empty() {
		return s.batch(ctx, t, f)
	}
	return s.commitAlone(ctx, t)
}

// commitAlone runs one transaction by itself: a batch, or what is in no hurry and would make one large.
func (s *Store) commitAlone(ctx context.Context, t txn) (*pb.TxnResponse, error) {
	ctx, cancel := s.health.bound(ctx)
	defer cancel()
	resp, err := s.remote.txn(ctx, t)
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
	case codes.Unauthenticated: // a login that this member does not know, or not any more; a wrong password has another code
		return true
	case codes.Unknown: // an in-process etcd that has stopped answers so
		return strings.Contains(err.Error(), "stopped") || errors.Is(err, context.DeadlineExceeded)
	default:
		return false
	}
}
