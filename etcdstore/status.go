package etcdstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Inspect answers who holds a lock and who waits for it, at one revision.
func (s *Store) Inspect(ctx context.Context, lock string) (LockInfo, error) {
	if err := CheckLock(lock); err != nil {
		return LockInfo{}, err
	}
	queue := s.keys.queue(lock)
	resp, err := s.commit(ctx, txn{then: []*pb.RequestOp{
		get(s.keys.lock(lock)),
		look(getOldest(queue, MaxPage)),
		look(getCount(queue)),
		look(getLast(s.keys.notes(lock))),
		look(getCount(s.keys.heads(lock))),
		look(getCount(s.keys.markers(lock))),
	}})
	if err != nil {
		return LockInfo{}, err
	}
	count := func(i int) int64 { return resp.Responses[i].GetResponseRange().Count }
	info := LockInfo{Name: lock, Holder: holderOf(first(resp, 0)), QueueLength: int(count(2))}
	for _, kv := range inLine(ranged(resp, 1)) {
		if w, ok := s.waiterOf(kv); ok {
			info.Waiters = append(info.Waiters, w)
		}
	}
	info.LastUndone = undoneText(first(resp, 3))
	if info.Holder == nil {
		if info.QueueLength == 0 && count(4) == 0 && count(5) == 0 && info.LastUndone == "" {
			return LockInfo{}, fmt.Errorf("%w: %s is free, and has no files", ErrLockNotFound, quoted(lock))
		}
		return info, nil
	}
	staged, err := s.get(ctx, s.keys.records(lock, info.Holder.Token), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return LockInfo{}, err
	}
	info.Staged = staged.Count
	return info, nil
}

// inLine puts waiters in the order in which they are served: etcd sorts by revision, and leaves ties as it pleases.
func inLine(kvs []*mvccpb.KeyValue) []*mvccpb.KeyValue {
	slices.SortFunc(kvs, func(a, b *mvccpb.KeyValue) int {
		return cmp.Or(cmp.Compare(a.CreateRevision, b.CreateRevision), bytes.Compare(a.Key, b.Key))
	})
	return kvs
}

func (s *Store) waiterOf(kv *mvccpb.KeyValue) (Waiter, bool) {
	a, ok := s.keys.parseWaiter(string(kv.Key))
	var v waiterValue
	if !ok || decode(kv.Value, &v) != nil {
		return Waiter{}, false
	}
	return Waiter{Session: a.session, Request: a.request, Label: v.Label, Since: fromMillis(v.Since)}, true
}

func undoneText(kv *mvccpb.KeyValue) string {
	var v noteValue
	if kv == nil || decode(kv.Value, &v) != nil {
		return ""
	}
	return fmt.Sprintf("%s (%s)", v, fromMillis(v.At).UTC().Format(time.RFC3339))
}

// List answers the locks that are held and whose names begin with prefix, by name, at one revision: at most limit, 0 for
// MaxPage, from behind the page that answered next as after.
func (s *Store) List(ctx context.Context, prefix string, limit int, after string) (locks []LockInfo, next string, err error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, "", err
	}
	from, end, limit, err := page(s.keys.allLocks(), limit, after, func(key string) bool {
		_, ok := s.keys.parseLock(key)
		return ok
	})
	if err != nil {
		return nil, "", err
	}
	if prefix != "" {
		from, end = max(from, s.keys.lock(prefix)), clientv3.GetPrefixRangeEnd(s.keys.lock(prefix))
	}
	if from >= end {
		return nil, "", nil
	}
	for {
		locks, next, err = s.held(ctx, from, end, limit)
		if !errors.Is(err, rpctypes.ErrCompacted) { // else from a newer revision
			return locks, next, err
		}
	}
}

// held answers a page of the locks that are held.
func (s *Store) held(ctx context.Context, from, end string, limit int) (locks []LockInfo, next string, err error) {
	held, err := s.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(int64(limit)))
	if err != nil {
		return nil, "", err
	}
	for kvs := range slices.Chunk(held.Kvs, maxOps/2) {
		var t txn
		for _, kv := range kvs {
			name, _ := s.keys.parseLock(string(kv.Key))
			oldest, count := getOldest(s.keys.queue(name), listedWaiters), getCount(s.keys.queue(name))
			oldest.Revision, count.Revision = held.Header.Revision, held.Header.Revision
			t.then = append(t.then, look(oldest), look(count))
		}
		resp, err := s.commit(ctx, t)
		if err != nil {
			return nil, "", err
		}
		for i, kv := range kvs {
			name, _ := s.keys.parseLock(string(kv.Key))
			info := LockInfo{Name: name, Holder: holderOf(kv), QueueLength: int(resp.Responses[2*i+1].GetResponseRange().Count)}
			for _, kv := range inLine(ranged(resp, 2*i)) {
				if w, ok := s.waiterOf(kv); ok {
					info.Waiters = append(info.Waiters, w)
				}
			}
			locks = append(locks, info)
			next = name
		}
	}
	if !held.More {
		next = ""
	}
	return locks, next, nil
}
