package etcdstore

import (
	"context"
	"fmt"
	"math"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Client is the durable record of a client that is known by a small number, for APIs whose clients remember neither
// sessions nor tokens. The store keeps it; what is in it is the API's affair.
type Client struct {
	ID     int32 // from 1
	Record []byte
	rev    int64
}

// NewClient keeps a record under a number that was never given before.
func (s *Store) NewClient(ctx context.Context, record []byte) (Client, error) {
	if err := s.room(); err != nil {
		return Client{}, err
	}
	// One at a time: each attempt that another one overtakes is lost.
	unlock, err := s.numbering.lock(ctx, "")
	if err != nil {
		return Client{}, err
	}
	defer unlock()
	for taken := int64(0); ; {
		n, err := s.highestNumber(ctx)
		if err != nil {
			return Client{}, err
		}
		last := max(n.last, taken)
		if last == math.MaxInt32 {
			return Client{}, fmt.Errorf("%w: no number is left for a client", ErrQuota)
		}
		c := Client{ID: int32(last) + 1, Record: record}
		highest := strconv.FormatInt(int64(c.ID), 10)
		t := commit.Txn{
			If: []*pb.Compare{
				op.ModifiedAt(s.keys.numbered(), n.rev), op.ModifiedAt(s.keys.numberedBefore(), n.revBefore), op.Absent(s.keys.client(c.ID)),
			},
			Then: []*pb.RequestOp{op.Put(s.keys.numbered(), highest), op.Put(s.keys.client(c.ID), string(record))},
			Else: []*pb.RequestOp{op.GetKey(s.keys.client(c.ID))},
		}
		if n.revBefore > 0 {
			t.Then = append(t.Then, op.Put(s.keys.numberedBefore(), highest))
		}
		done, err := s.engine.Commit(ctx, t)
		if err != nil {
			return Client{}, fmt.Errorf("number a client: %w", err)
		}
		if done.Succeeded {
			c.rev = done.Header.Revision
			return c, nil
		}
		if op.First(done, 0) != nil {
			taken = int64(c.ID)
		}
	}
}

// numbers is the highest number that was given to a client, and the revisions of where that is kept: servers of before kept
// it among the keys that every mirror follows, and go on there while they run beside this one.
type numbers struct {
	last           int64
	rev, revBefore int64
}

func (s *Store) highestNumber(ctx context.Context) (n numbers, err error) {
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Get(s.keys.numbered()), op.Get(s.keys.numberedBefore())}})
	if err != nil {
		return numbers{}, err
	}
	for i, rev := range []*int64{&n.rev, &n.revBefore} {
		if kv := op.First(resp, i); kv != nil {
			last, ok := parseDecimal(string(kv.Value), 32)
			if !ok {
				return numbers{}, fmt.Errorf("the highest client's number is malformed: %s", quoted(string(kv.Value)))
			}
			*rev, n.last = kv.ModRevision, max(n.last, last)
		}
	}
	return n, nil
}

// Client reads a client's record. ErrClientNotFound: there is none.
func (s *Store) Client(ctx context.Context, id int32) (Client, error) {
	resp, err := s.get(ctx, s.keys.client(id))
	if err != nil {
		return Client{}, err
	}
	if len(resp.Kvs) == 0 {
		return Client{}, fmt.Errorf("%w: %d", ErrClientNotFound, id)
	}
	return Client{ID: id, Record: resp.Kvs[0].Value, rev: resp.Kvs[0].ModRevision}, nil
}

// SaveClient changes a client's record if it is still as it was read, else it fails with ErrClientChanged.
func (s *Store) SaveClient(ctx context.Context, c Client) (Client, error) {
	if c.rev == 0 { // to etcd that would mean: if there is none
		return Client{}, fmt.Errorf("%w: %d was never read", ErrClientChanged, c.ID)
	}
	key := s.keys.client(c.ID)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   []*pb.Compare{op.ModifiedAt(key, c.rev)},
		Then: []*pb.RequestOp{op.Put(key, string(c.Record))},
	})
	if err != nil {
		return Client{}, fmt.Errorf("save client %d: %w", c.ID, err)
	}
	if !resp.Succeeded {
		return Client{}, fmt.Errorf("%w: %d", ErrClientChanged, c.ID)
	}
	c.rev = resp.Header.Revision
	return c, nil
}

// DeleteClient forgets a client. A repeat succeeds.
func (s *Store) DeleteClient(ctx context.Context, id int32) error {
	_, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Delete(s.keys.client(id))}})
	if err != nil {
		return fmt.Errorf("forget client %d: %w", id, err)
	}
	return nil
}
