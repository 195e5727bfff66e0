package facade

import (
	"context"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Store is what the facade serves: the methods of an etcdstore.Store. It checks the arguments that
// it is given, and ends a call when its context ends; an acquisition keeps its place nevertheless.
//
// Acquire, Release, Append and Publish are started: the method returns at once, and the store calls
// done with the result, once, from any of its goroutines, in which done must neither block nor take
// time: other clients' work waits behind it. A call that was started and does not wait is ended by
// the store itself, also if its context has no deadline.
type Store interface {
	NewLink(tell func(etcdstore.Loss)) *etcdstore.Link
	Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error)
	Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error)
	CloseSession(ctx context.Context, credential string) error

	StartAcquire(ctx context.Context, args etcdstore.AcquireArgs, done func(etcdstore.Grant, error))
	Cancel(ctx context.Context, credential string, a etcdstore.Acquisition) (token int64, err error)

	StartRelease(ctx context.Context, section etcdstore.Section, done func(error))
	Commit(ctx context.Context, section etcdstore.Section) (token int64, err error)
	Discard(ctx context.Context, section etcdstore.Section) (published bool, err error)

	StartPublish(ctx context.Context, args etcdstore.PublishArgs, done func(etcdstore.Publication, error))
	Withdraw(ctx context.Context, lock string, id etcdstore.PublishID) (etcdstore.Publication, error)

	StartAppend(ctx context.Context, record etcdstore.Record, done func(rev int64, err error))
	Read(ctx context.Context, args etcdstore.ReadArgs) (etcdstore.Piece, error)
	Tail(ctx context.Context, args etcdstore.TailArgs, send func(etcdstore.Piece) error) error
	ListFiles(ctx context.Context, lock string, limit int, after string) (
		files []etcdstore.File, next string, err error)

	Inspect(ctx context.Context, lock string) (etcdstore.LockInfo, error)
	Select(ctx context.Context, selection etcdstore.Selection) (etcdstore.Page, error)
	InspectCluster(ctx context.Context) (etcdstore.ClusterInfo, error)
	Watch(ctx context.Context, prefix string, send func(*etcdstore.News) error) error
	WatchSince(ctx context.Context, prefix string, since int64, send func(*etcdstore.News) error) error
	Evict(ctx context.Context, lock string, token int64, reason string) (*etcdstore.Holder, error)
	Problems(ctx context.Context, after string) (problems []etcdstore.Problem, next string, err error)
	Repair(ctx context.Context, key string, revision int64) (removed bool, err error)
	SetRetention(ctx context.Context, r etcdstore.Retention) error
	Retentions(ctx context.Context) ([]etcdstore.Retention, error)
	Faults() etcdstore.Faults
	Snapshot(ctx context.Context, begin func(rev int64) error, send func([]byte) error) error
	Cluster() string
	EndWaits(ctx context.Context, denied func(owner, lock string) bool) (n int, err error)
	EndSessions(ctx context.Context, revoked func(owner string, issued time.Time) bool) (n int, err error)
}
