package etcdstore_test

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestMain(m *testing.M) {
	await.AtATime(6) // most tests wait until a lease ends, or for etcd
	// A member of a cluster asks the others who they are, and etcd leaves the connection open until
	// either side has been idle for long enough.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"),
	)
}

// patience is the longest that anything here may take before it counts as stuck.
const patience = time.Minute

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject { return openStore(t, startEtcd(t)) })
}

func TestStoreBounds(t *testing.T) {
	storetest.RunBounds(t, func(t *testing.T) storetest.Subject { return openStore(t, startEtcd(t)) })
}

// TestTwoStores makes the calls through two stores by turns.
func TestTwoStores(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		etcd := startEtcd(t)
		return newTurns(openStore(t, etcd), openStore(t, etcd))
	})
}

// startEtcd runs an etcd of the test's own.
func startEtcd(t testing.TB) *clientv3.Client {
	t.Helper()
	return startEtcdWith(t, embedded.Config{}).Client()
}

func startEtcdWith(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	cfg.UnsafeNoFsync = true
	server, err := embedded.Start(ctx, cfg)
	if err != nil {
		t.Fatalf("start etcd: %v", err)
	}
	locals.Store(server.Client(), server.Local())
	t.Cleanup(func() {
		locals.Delete(server.Client())
		if err := server.Close(); err != nil {
			t.Errorf("stop etcd: %v", err)
		}
	})
	return server
}

// locals has what goes with each client of an etcd in this process.
var locals sync.Map // *clientv3.Client → etcdstore.Local

// withLocal completes what a store is made of.
func withLocal(cfg etcdstore.Config) etcdstore.Config {
	if local, ok := locals.Load(cfg.Client); ok {
		cfg.Local = local.(etcdstore.Local)
	}
	return cfg
}

// newFaults puts faults before the etcd of a test. A store that is opened on their client has them.
func newFaults(t testing.TB, etcd *clientv3.Client) *faults.Faults {
	f := faults.New(etcd, withLocal(etcdstore.Config{Client: etcd}).Local.KV())
	locals.Store(f.Client(), f.Local())
	t.Cleanup(func() { locals.Delete(f.Client()) })
	return f
}

func openStore(t testing.TB, etcd *clientv3.Client) *etcdstore.Store {
	t.Helper()
	return openStoreWith(t, etcdstore.Config{Client: etcd})
}

func openStoreWith(t testing.TB, cfg etcdstore.Config) *etcdstore.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := etcdstore.Open(ctx, withLocal(cfg))
	if err != nil {
		t.Fatalf("open a store: %v", err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *etcdstore.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close a store: %v", err)
	}
}
