package etcdstore

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Client is what is kept of a client that is known by a small number, for APIs whose clients
// remember neither sessions nor tokens. What is in its record is the API's affair.
type Client struct {
	ID     int32 // from 1
	Record []byte
	rev    int64 // the revision that the record was read from; 0: it was not read
}

// NewClient keeps a record under a number that no client has had before. It returns
//
//   - a client, nil: its ID is the number. It can be saved.
//   - [ErrQuota]: all numbers have been used.
//   - [ErrNoSpace]: etcd is (nearly) full.
//   - any other, ctx's included: indeterminate. The record may be kept under a number that nobody
//     knows.
//
// A repeat keeps another record, under another number.
func (s *Store) NewClient(ctx context.Context, record []byte) (Client, error) {
	if err := s.room(); err != nil {
		return Client{}, err
	}
	// One at a time: two that read the same highest number want the same next one, and one of them
	// is lost.
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
			If:   []*pb.Compare{op.ModifiedAt(s.keys.numbered(), n.rev), op.Absent(s.keys.client(c.ID))},
			Then: []*pb.RequestOp{op.Put(s.keys.numbered(), highest), op.Put(s.keys.client(c.ID), string(record))},
			Else: []*pb.RequestOp{op.GetKey(s.keys.client(c.ID))},
		}
		if !s.features.on(featureNumbered) {
			t.If = append(t.If, op.ModifiedAt(s.keys.numberedBefore(), n.revBefore))
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
		if op.First(done, 0) != nil { // there is such a client, whatever the highest number says
			taken = int64(c.ID)
		}
	}
}

// numbers is the highest number that a client was ever given. It is kept in cluster/numbered. Older
// servers keep it in numbered, which lies in the range that every mirror watches, so that each new
// client was told to every server. Until the feature numbered is on there may be such a server,
// also one that has not begun yet: both keys are compared and put then, so that it goes on behind
// the numbers that were given here, and this one behind those given there.
type numbers struct {
	last           int64
	rev, revBefore int64 // of the two keys; 0: there is none
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
				return numbers{}, fmt.Errorf("%w: the highest client's number, %s, is %s: put one there that no client has had",
					ErrMalformed, quoted(string(kv.Key)), quoted(string(kv.Value)))
			}
			*rev, n.last = kv.ModRevision, max(n.last, last)
		}
	}
	return n, nil
}

// Client reads a client's record.
//
//   - [ErrClientNotFound]: no client has that number (any more).
//   - any other error: it could not be read.
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

// SaveClient puts c.Record in the place of what c was read as. It returns
//
//   - a client, nil: the record is saved, and the client can be saved again.
//   - [ErrClientChanged]: the record was changed or deleted since c was read, or c was never read.
//     This call has changed nothing.
//   - [ErrNoSpace]: etcd is full. Nothing was changed.
//   - any other, ctx's included: indeterminate.
//
// A repeat of a call that was carried out is [ErrClientChanged]: whoever is in doubt reads the
// record again.
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

// ForgetClient deletes what c was read as. A client that is not there is forgotten already.
//
//   - [ErrClientChanged]: the record was changed since c was read, or c was never read. This call
//     has changed nothing.
//   - any other, ctx's included: indeterminate.
func (s *Store) ForgetClient(ctx context.Context, c Client) error {
	key := s.keys.client(c.ID)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   []*pb.Compare{op.ModifiedAt(key, c.rev)},
		Then: []*pb.RequestOp{op.Delete(key)},
		Else: []*pb.RequestOp{op.GetKey(key)},
	})
	if err != nil {
		return fmt.Errorf("forget client %d: %w", c.ID, err)
	}
	if !resp.Succeeded && op.First(resp, 0) != nil {
		return fmt.Errorf("%w: %d", ErrClientChanged, c.ID)
	}
	return nil
}

const clientsPage = 16 // a record may have 32 KiB

// Clients reads the records of all clients, in the order of their numbers. One that comes, goes or
// changes meanwhile may be seen or not. An error is the last thing it yields. Keys that no client
// has are passed over.
func (s *Store) Clients(ctx context.Context) iter.Seq2[Client, error] {
	return func(yield func(Client, error) bool) {
		for resp, err := range s.pages(ctx, scanOf(s.keys.allClients(), clientsPage)) {
			if err != nil {
				yield(Client{}, fmt.Errorf("read the clients: %w", err))
				return
			}
			for _, kv := range resp.Kvs {
				id, ok := s.keys.parseClient(string(kv.Key))
				if ok && !yield(Client{ID: id, Record: kv.Value, rev: kv.ModRevision}, nil) {
					return
				}
			}
		}
	}
}

// BareClients reports whether records of clients are to be without credentials: every server that
// there may be can do without, by [Store.Credential].
func (s *Store) BareClients() bool { return s.features.on(featureBare) }

// SessionLives reports whether a session has not ended, by its public half.
func (s *Store) SessionLives(ctx context.Context, session string) (bool, error) {
	if _, _, known := s.mirror.session(session); known {
		return true, nil
	}
	resp, err := s.get(ctx, s.keys.session(session))
	return err == nil && len(resp.Kvs) > 0, err
}

// DeleteClient deletes a client's record, and succeeds if there is none. Its number is not used
// again. An error, ctx's included, is indeterminate; the call may be repeated.
func (s *Store) DeleteClient(ctx context.Context, id int32) error {
	_, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Delete(s.keys.client(id))}})
	if err != nil {
		return fmt.Errorf("forget client %d: %w", id, err)
	}
	return nil
}
