package etcdstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// The cluster's secret is random, and all its servers have it from etcd: what one of them makes
// with it, a credential's tag or a page's token, every other one takes, also after a restart and
// after a backup was restored. It is made when the first owner needs it, by whoever is first, and
// never changed. It keeps clients from saying what no server has said; who reads etcd has it, and
// all else.
//
// It is read once, and again when something does not fit: somebody may have deleted it, and a store
// have made another one.

// clusterSecretBytes is how long the cluster's secret is.
const clusterSecretBytes = sha256.Size

func decodeSecret(b []byte) ([]byte, error) {
	if len(b) != 2*clusterSecretBytes || !lowerHex(string(b)) {
		return nil, errors.New("it is no secret of the cluster") // and not shown: it may be most of one
	}
	return hex.DecodeString(string(b))
}

func checkSecret(_ keys, kv *mvccpb.KeyValue) (string, error) {
	_, err := decodeSecret(kv.Value)
	return "", err
}

// ownSecret is the cluster's secret, for something new. If there is none, it is made.
//
//   - [ErrNoSpace]: etcd is full, and there is none.
//   - [ErrMalformed]: it is none.
//   - any other: it could not be read, or made.
func (s *Store) ownSecret(ctx context.Context) ([]byte, error) {
	if known := s.secret.Load(); known != nil {
		return *known, nil
	}
	if secret, err := s.readSecret(ctx); secret != nil || err != nil {
		return secret, err
	}
	random := make([]byte, clusterSecretBytes)
	rand.Read(random)
	key, value := s.keys.secret(), hex.EncodeToString(random)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   []*pb.Compare{op.Absent(key)},
		Then: []*pb.RequestOp{op.Put(key, value)},
		Else: []*pb.RequestOp{op.Get(key)},
	})
	if err != nil {
		return nil, fmt.Errorf("make the cluster's secret: %w", err)
	}
	if !resp.Succeeded {
		return s.learnSecret(op.First(resp, 0))
	}
	s.secret.Store(&random)
	return random, nil
}

// fitsSecret reports whether something was made with the cluster's secret. If there is none,
// nothing was.
func (s *Store) fitsSecret(ctx context.Context, fits func(secret []byte) bool) (bool, error) {
	known := s.secret.Load()
	if known != nil && fits(*known) {
		return true, nil
	}
	now, err := s.readSecret(ctx)
	if err != nil || now == nil || known != nil && bytes.Equal(now, *known) {
		return false, err
	}
	return fits(now), nil
}

// readSecret reads the cluster's secret; nil: there is none.
func (s *Store) readSecret(ctx context.Context) ([]byte, error) {
	resp, err := s.get(ctx, s.keys.secret())
	if err != nil || len(resp.Kvs) == 0 {
		return nil, err
	}
	return s.learnSecret(resp.Kvs[0])
}

func (s *Store) learnSecret(kv *mvccpb.KeyValue) ([]byte, error) {
	secret, err := decodeSecret(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; delete it, and sessions that have ended by then are refused their own past",
			ErrMalformed, quoted(string(kv.Key)), err)
	}
	s.secret.Store(&secret)
	return secret, nil
}
