package etcdstore_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// judged is a subject whose folds can be held: those of all the stores that it is made of.
func judged(etcd *clientv3.Client, s storetest.Subject, stores ...*etcdstore.Store) storetest.Judged {
	return storetest.Judged{Subject: s, Etcd: etcd, Hold: func(t *testing.T, lock string) (release func()) {
		var releases []func()
		for _, s := range stores {
			releases = append(releases, s.HoldFolds(t, lock))
		}
		return func() {
			for _, release := range releases {
				release()
			}
		}
	}}
}

func TestEvidenceTable(t *testing.T) {
	storetest.RunEvidence(t, false, func(t *testing.T) storetest.Judged {
		etcd := startEtcd(t)
		s := openStore(t, etcd)
		return judged(etcd, s, s)
	})
}

func TestEvidenceTableTwoStores(t *testing.T) {
	storetest.RunEvidence(t, true, func(t *testing.T) storetest.Judged {
		etcd := startEtcd(t)
		a, b := openStore(t, etcd), openStore(t, etcd)
		return judged(etcd, newTurns(a, b), a, b)
	})
}

func TestEvidenceTableResolving(t *testing.T) {
	storetest.RunEvidence(t, true, func(t *testing.T) storetest.Judged {
		etcd := startEtcd(t)
		a, b := openStore(t, etcd), openStore(t, etcd)
		return judged(etcd, newTurns(etcdstore.Resolving{Store: a}, etcdstore.Resolving{Store: b}), a, b)
	})
}

// The store and its etcd are apart, as with an etcd that others use as well.
func TestEvidenceTableOverTheNetwork(t *testing.T) {
	storetest.RunEvidence(t, true, func(t *testing.T) storetest.Judged {
		server := startEtcdWith(t, embedded.Config{ClientListen: "127.0.0.1:0"})
		etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{server.ClientAddr()}, Logger: zap.NewNop()})
		if err != nil {
			t.Fatalf("connect to etcd: %v", err)
		}
		t.Cleanup(func() {
			if err := etcd.Close(); err != nil {
				t.Errorf("close a client: %v", err)
			}
		})
		s := openStore(t, etcd)
		return judged(etcd, s, s)
	})
}
