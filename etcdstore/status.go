package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
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

func (k keys) waiterOf(kv *mvccpb.KeyValue) (Waiter, bool) {
	a, ok := k.parseWaiter(string(kv.Key))
	v, err := decodeWaiter(kv.Value)
	if !ok || err != nil {
		return Waiter{}, false
	}
	return Waiter{Session: a.session, Request: a.request, Label: v.Label, Since: fromMillis(v.Since)}, true
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

// List returns the locks that are held or waited for and whose names begin with prefix, sorted by
// name, in pages of at most limit locks, 0 for [MaxPage], each as of one revision. For the next
// page, pass next as after; an empty next says that there are no more. A page may have fewer locks
// than limit, even none, while there are more. A lock that is waited for and has no holder has just
// lost it, or is about to be handed on.
//
//   - [ErrInvalidArgument]: no lock's name begins with prefix, limit is negative, or after is not
//     what a page returned.
func (s *Store) List(ctx context.Context, prefix string, limit int, after string) (locks []LockInfo, next string, err error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, "", err
	}
	from, _, limit, err := page("", limit, after, isLock)
	if err != nil {
		return nil, "", err
	}
	for from = max(from, prefix); ; {
		fronts := s.fronts(prefix) // before the revision that the page is of
		var p usedLocks
		if p, err = s.used(ctx, prefix, from, limit); err == nil {
			locks, err = s.describe(ctx, p, fronts)
		}
		switch {
		case errors.Is(err, rpctypes.ErrCompacted): // then at a newer revision
			continue
		case err != nil:
			return nil, "", err
		case p.next == "":
			return locks, "", nil
		case len(p.names) > 0:
			return locks, p.names[len(p.names)-1], nil
		}
		from = p.next // nothing here but keys of somebody else's making
	}
}

// usedLocks are locks that are held, or that somebody has waited for lately, as of one revision.
type usedLocks struct {
	names   []string
	holders map[string]*mvccpb.KeyValue
	rev     int64
	next    string // the name to go on from; empty: there are no more
}

// used finds at most limit of the locks whose names begin with prefix, from a name on. Who waits is
// found by the keys waited/L, which have the order of names. The places themselves have not: "//"
// ends a name there, and a slash sorts behind "-" and ".", so that queue/a-b// comes before
// queue/a//.
//
// Of each family a page is read. The two pages end at different names, and what lies behind the
// earlier end has been read of one family only: it is left for the next call.
func (s *Store) used(ctx context.Context, prefix, from string, limit int) (usedLocks, error) {
	scan := func(family string) *pb.RangeRequest {
		end := clientv3.GetPrefixRangeEnd(family + prefix)
		return &pb.RangeRequest{Key: []byte(family + from), RangeEnd: []byte(max(end, family+from)), Limit: int64(limit)}
	}
	waited := scan(s.keys.allWaited())
	waited.KeysOnly = true
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(scan(s.keys.allLocks())), op.Range(waited)}})
	if err != nil {
		return usedLocks{}, err
	}
	p := usedLocks{holders: map[string]*mvccpb.KeyValue{}, rev: resp.Header.Revision}
	var names []string
	var last string // what lies behind it has not been read of both families, if cut
	cut := false
	for i, family := range []string{s.keys.allLocks(), s.keys.allWaited()} {
		kvs := op.Ranged(resp, i)
		for _, kv := range kvs {
			name := string(kv.Key[len(family):])
			names = append(names, name)
			if i == 0 {
				p.holders[name] = kv
			}
		}
		if resp.Responses[i].GetResponseRange().More {
			if end := string(kvs[len(kvs)-1].Key[len(family):]); !cut || end < last {
				last, cut = end, true
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if cut {
		names = slices.DeleteFunc(names, func(name string) bool { return name > last })
	}
	if len(names) > limit {
		names = names[:limit]
		last, cut = names[limit-1], true
	}
	if cut {
		p.next = last + "\x00"
	}
	p.names = slices.DeleteFunc(names, func(name string) bool { return !isLock(name) })
	return p, nil
}

// describe reads the queues of locks, and leaves out those that are neither held nor waited for.
func (s *Store) describe(ctx context.Context, p usedLocks, fronts map[string]front) (locks []LockInfo, err error) {
	for names := range slices.Chunk(p.names, commit.MaxOps/2) {
		var t commit.Txn
		for _, name := range names {
			queue := s.keys.queue(name)
			count := op.Count(queue)
			count.Revision = p.rev
			t.Then = append(t.Then, fronts[name].sorted(queue, listedWaiters, p.rev), op.Range(count))
		}
		resp, err := s.engine.Commit(ctx, t)
		if err != nil {
			return nil, err
		}
		for i, name := range names {
			info := LockInfo{Name: name, Holder: holderOf(p.holders[name]), QueueLength: int(resp.Responses[2*i+1].GetResponseRange().Count)}
			sorted := op.Ranged(resp, 2*i)
			if info.Waiters, err = s.waiters(ctx, s.keys.queue(name), fronts[name], sorted, listedWaiters, info.QueueLength, p.rev); err != nil {
				return nil, err
			}
			if info.Holder != nil || info.QueueLength > 0 {
				locks = append(locks, info)
			}
		}
	}
	return locks, nil
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
		return &Holder{Token: kv.ModRevision}
	}
	return v.public(kv.ModRevision)
}

// public is what anybody may know of a holder.
func (v holderValue) public(token int64) *Holder {
	return &Holder{Session: v.session, Request: v.request, Label: v.Label, Token: token, Since: fromMillis(v.Since)}
}

func (h *mirrorHolder) public() *Holder {
	if h == nil {
		return nil
	}
	return h.holderValue.public(h.token)
}
