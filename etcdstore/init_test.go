package etcdstore_test

import (
	"testing"

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
	if err != nil || len(leases.Leases) != 1 {
		t.Fatalf("leases: %v, %v; want one", leases, err)
	}
	if _, err := etcd.Revoke(storetest.Bounded(t), leases.Leases[0].ID); err != nil {
		t.Fatal(err)
	}
	release()
	storetest.Want(t, "Init", <-begun, nil)
}
