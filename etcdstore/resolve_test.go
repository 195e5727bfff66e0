package etcdstore_test

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// What is asked of a store is tried plainly first, so that the suite seldom comes to what resolves
// the rest. Here all of it does.

func TestResolving(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject { return etcdstore.Resolving{Store: openStore(t, startEtcd(t))} })
}

func TestResolvingBounds(t *testing.T) {
	storetest.RunBounds(t, func(t *testing.T) storetest.Subject { return etcdstore.Resolving{Store: openStore(t, startEtcd(t))} })
}

// TestResolvingOnTwoStores resolves the calls through two stores by turns.
func TestResolvingOnTwoStores(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		etcd := startEtcd(t)
		return newTurns(etcdstore.Resolving{Store: openStore(t, etcd)}, etcdstore.Resolving{Store: openStore(t, etcd)})
	})
}

// TestPlainBesideResolving makes the calls plainly through one store and resolves them through
// another, by turns.
func TestPlainBesideResolving(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		etcd := startEtcd(t)
		return newTurns(openStore(t, etcd), etcdstore.Resolving{Store: openStore(t, etcd)})
	})
}
