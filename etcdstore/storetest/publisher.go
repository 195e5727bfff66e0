package storetest

import (
	"context"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Publisher publishes sections in one call.
type Publisher interface {
	Publish(ctx context.Context, args etcdstore.PublishArgs) (etcdstore.Publication, error)
	Withdraw(ctx context.Context, lock string, id etcdstore.PublishID) (etcdstore.Publication, error)
}
