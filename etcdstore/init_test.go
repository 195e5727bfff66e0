package etcdstore_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// The lease of a new session ends before the session is put on it, as it does if that takes longer
// than its TTL. The session is begun on another.
func TestInitOnALeaseThatHasEnded(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	reached, release := hold(t, s.Faults, puts("/dlm/sessions/"))
	begun := make(chan error, 1)
	go func() {
		session, err := s.Init(t.Context(), etcdstore.InitArgs{})
		if err == nil {
			err = s.CloseSession(t.Context(), session.Credential)
		}
		begun <- err
	}()
	storetest.Await(t, "the session to be put", reached)
	leases, err := etcd.Leases(storetest.Bounded(t))
	if err != nil || len(leases.Leases) != 2 {
		t.Fatalf("leases: %v, %v; want the store's own, and the session's", leases, err)
	}
	for _, l := range leases.Leases {
		ttl, err := etcd.TimeToLive(storetest.Bounded(t), l.ID, clientv3.WithAttachedKeys())
		if err == nil && len(ttl.Keys) == 0 {
			_, err = etcd.Revoke(storetest.Bounded(t), l.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	release()
	storetest.Want(t, "Init", <-begun, nil)
}
