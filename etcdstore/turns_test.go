package etcdstore_test

import (
	"context"
	"sync/atomic"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// turns makes each call through the next of its stores.
type turns struct {
	stores []storetest.Subject
	calls  atomic.Int64
}

var _ storetest.Subject = (*turns)(nil)

func newTurns(stores ...storetest.Subject) *turns { return &turns{stores: stores} }

func (u *turns) next() storetest.Subject {
	return u.stores[u.calls.Add(1)%int64(len(u.stores))]
}

func (u *turns) Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error) {
	return u.next().Init(ctx, args)
}

func (u *turns) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	return u.next().Heartbeat(ctx, args)
}

func (u *turns) CloseSession(ctx context.Context, credential string) error {
	return u.next().CloseSession(ctx, credential)
}

func (u *turns) Acquire(ctx context.Context, args etcdstore.AcquireArgs) (etcdstore.Grant, error) {
	return u.next().Acquire(ctx, args)
}

func (u *turns) Cancel(ctx context.Context, credential string, a etcdstore.Acquisition) (int64, error) {
	return u.next().Cancel(ctx, credential, a)
}

func (u *turns) Release(ctx context.Context, section etcdstore.Section) error {
	return u.next().Release(ctx, section)
}

func (u *turns) Commit(ctx context.Context, section etcdstore.Section) (int64, error) {
	return u.next().Commit(ctx, section)
}

func (u *turns) Discard(ctx context.Context, section etcdstore.Section) (bool, error) {
	return u.next().Discard(ctx, section)
}

func (u *turns) Append(ctx context.Context, record etcdstore.Record) (rev int64, err error) {
	return u.next().Append(ctx, record)
}

func (u *turns) Read(ctx context.Context, args etcdstore.ReadArgs) (etcdstore.Piece, error) {
	return u.next().Read(ctx, args)
}

func (u *turns) Tail(ctx context.Context, args etcdstore.TailArgs, send func(etcdstore.Piece) error) error {
	return u.next().Tail(ctx, args, send)
}

func (u *turns) ListFiles(ctx context.Context, lock string, limit int, after string) ([]etcdstore.File, string, error) {
	return u.next().ListFiles(ctx, lock, limit, after)
}

func (u *turns) Inspect(ctx context.Context, lock string) (etcdstore.LockInfo, error) {
	return u.next().Inspect(ctx, lock)
}

func (u *turns) List(ctx context.Context, prefix string, limit int, after string) ([]etcdstore.LockInfo, string, error) {
	return u.next().List(ctx, prefix, limit, after)
}

func (u *turns) Watch(ctx context.Context, prefix string, send func(*etcdstore.News) error) error {
	return u.next().Watch(ctx, prefix, send)
}

func (u *turns) Evict(ctx context.Context, lock string, token int64, reason string) (*etcdstore.Holder, error) {
	return u.next().Evict(ctx, lock, token, reason)
}
