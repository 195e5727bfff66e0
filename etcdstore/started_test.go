package etcdstore_test

import (
	"context"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// started is a store whose calls are started where they can be.
type started struct{ *etcdstore.Store }

func (s started) Acquire(ctx context.Context, args etcdstore.AcquireArgs) (grant etcdstore.Grant, err error) {
	over := make(chan struct{})
	s.StartAcquire(ctx, args, func(g etcdstore.Grant, e error) {
		grant, err = g, e
		close(over)
	})
	<-over
	return grant, err
}

func (s started) Release(ctx context.Context, sec etcdstore.Section) error {
	over := make(chan error, 1)
	s.StartRelease(ctx, sec, func(err error) { over <- err })
	return <-over
}

func (s started) Append(ctx context.Context, r etcdstore.Record) error {
	over := make(chan error, 1)
	s.StartAppend(ctx, r, func(err error) { over <- err })
	return <-over
}

func TestStarted(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject { return started{openStore(t, startEtcd(t))} })
}

func TestStartedBounds(t *testing.T) {
	storetest.RunBounds(t, func(t *testing.T) storetest.Subject { return started{openStore(t, startEtcd(t))} })
}

// TestStartedOnTwoStores makes the calls through two stores by turns.
func TestStartedOnTwoStores(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		etcd := startEtcd(t)
		return newTurns(started{openStore(t, etcd)}, started{openStore(t, etcd)})
	})
}
