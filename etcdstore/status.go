package etcdstore

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Inspect returns who holds a lock and who waits for it, at one revision, read from etcd. Staged is
// counted a moment later.
//
//   - [ErrLockNotFound]: it is free, nobody waits for it, it has no files, and no undone section of
//     it is remembered.
//   - [ErrInvalidName]: no lock can have that name.
func (s *Store) Inspect(ctx context.Context, lock string) (LockInfo, error) {
	if err := CheckLock(lock); err != nil {
		return LockInfo{}, err
	}
	if s.mirror.isCrowded(lock) {
		return s.inspectShared(ctx, lock)
	}
	return s.inspect(ctx, lock)
}

func (s *Store) inspect(ctx context.Context, lock string) (LockInfo, error) {
	front, queue := s.front(lock, MaxPage), s.keys.queue(lock)
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{
		op.Get(s.keys.lock(lock)),
		front.sorted(queue, MaxPage, 0),
		op.Range(op.Count(queue)),
		op.Range(op.Last(s.keys.notes(lock))),
		op.Range(op.Count(s.keys.heads(lock))),
		op.Range(op.Count(s.keys.markers(lock))),
		op.Range(op.Count(s.keys.bundles(lock))),
	}})
	if err != nil {
		return LockInfo{}, err
	}
	count := func(i int) int64 { return resp.Responses[i].GetResponseRange().Count }
	info := LockInfo{Name: lock, Holder: holderOf(op.First(resp, 0)), QueueLength: int(count(2))}
	if info.Waiters, err = s.waiters(ctx, queue, front, op.Ranged(resp, 1), MaxPage, info.QueueLength, resp.Header.Revision); err != nil {
		return LockInfo{}, err
	}
	info.LastUndone = undoneText(op.First(resp, 3))
	if info.Holder == nil {
		if info.QueueLength == 0 && count(4) == 0 && count(5) == 0 && count(6) == 0 && info.LastUndone == "" {
			return LockInfo{}, fmt.Errorf("%w: %s is free, and has no files", ErrLockNotFound, quoted(lock))
		}
		return info, nil
	}
	staged, err := s.get(ctx, s.keys.records(lock, info.Holder.Token), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return LockInfo{}, err
	}
	info.Staged = staged.Count
	s.askAge(ctx, info.Holder)
	return info, nil
}

func (k keys) waiterOf(kv *mvccpb.KeyValue) (Waiter, bool) {
	a, ok := k.parseWaiter(string(kv.Key))
	v, err := decodeWaiter(kv.Value)
	if !ok || err != nil {
		return Waiter{}, false
	}
	return Waiter{Session: a.session, Request: a.request, Label: v.Label, Owner: v.Owner, Since: fromMillis(v.Since)}, true
}

func undoneText(kv *mvccpb.KeyValue) string {
	if kv == nil {
		return ""
	}
	v, err := decodeNote(kv.Value)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s (%s)", v, fromMillis(v.At).UTC().Format(time.RFC3339))
}

// Holder reads who holds a lock; nil: nobody. [ErrInvalidName]: no lock can have that name.
func (s *Store) Holder(ctx context.Context, lock string) (*Holder, error) {
	if err := CheckLock(lock); err != nil {
		return nil, err
	}
	resp, err := s.get(ctx, s.keys.lock(lock))
	if err != nil || len(resp.Kvs) == 0 {
		return nil, err
	}
	return holderOf(resp.Kvs[0]), nil
}

// holderOf is the holder that a lock's key has. One that cannot be read holds the lock all the
// same, and can be evicted by its token.
func holderOf(kv *mvccpb.KeyValue) *Holder {
	if kv == nil {
		return nil
	}
	v, err := decodeHolder(kv.Value)
	if err != nil {
		return oddHolder(kv.ModRevision).public()
	}
	return v.public(kv.ModRevision)
}

// public is what anybody may know of a holder.
func (v holderValue) public(token int64) *Holder {
	return &Holder{
		Session: v.session, Request: v.request, Label: v.Label, Owner: v.Owner, Token: token, Since: fromMillis(v.Since),
		Deadline: v.deadline(), LeaseLeft: unknownAge, HeartbeatAge: unknownAge,
	}
}

func (t oddHolder) public() *Holder {
	return &Holder{Token: int64(t), LeaseLeft: unknownAge, HeartbeatAge: unknownAge}
}

func (h *mirrorHolder) public() *Holder {
	if h == nil {
		return nil
	}
	return h.holderValue.public(h.token)
}
