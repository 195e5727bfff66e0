package etcdstore_test

import (
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestCredentialOfThisStore: what a store vouches for, it takes for the session's own credential,
// and nobody else does. That of another session, or of one that has ended, is no more than theirs.
func TestCredentialOfThisStore(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	c, other := begin(t, here), begin(t, here)
	h := c.Acquire("a")
	c.Append(h, "f", "text;")
	vouched := here.Credential(c.ID, "")
	if vouched == c.Credential || vouched != here.Credential(c.ID, "") {
		t.Errorf("the credentials are %q and %q; want one, beside the session's own", vouched, here.Credential(c.ID, ""))
	}
	beat := func(s *etcdstore.Store, credential string) error {
		t.Helper()
		_, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: credential})
		return err
	}
	storetest.Want(t, "a heartbeat here", beat(here, vouched), nil)
	storetest.Want(t, "a heartbeat elsewhere", beat(elsewhere, vouched), etcdstore.ErrSessionExpired)
	storetest.Want(t, "a heartbeat with the session's own", beat(elsewhere, c.Credential), nil)
	storetest.Want(t, "a heartbeat elsewhere, once more", beat(elsewhere, vouched), etcdstore.ErrSessionExpired)
	_, mac, _ := strings.Cut(vouched, ".")
	storetest.Want(t, "another session with it", beat(here, other.ID+"."+mac), etcdstore.ErrSessionExpired)

	sec := etcdstore.Section{Credential: vouched, Lock: "a", Token: h.Token, Appended: true}
	stranger := sec
	stranger.Credential = elsewhere.Credential(c.ID, "")
	storetest.Want(t, "a release by a stranger", here.Release(storetest.Bounded(t), stranger), etcdstore.ErrSessionExpired)
	storetest.Want(t, "a release", here.Release(storetest.Bounded(t), sec), nil)
	if err := here.CloseSession(storetest.Bounded(t), vouched); err != nil {
		t.Errorf("CloseSession: %v", err)
	}
	storetest.Want(t, "a repeat of the release", here.Release(storetest.Bounded(t), sec), nil)
	storetest.Want(t, "a repeat by a stranger", here.Release(storetest.Bounded(t), stranger), etcdstore.ErrSessionExpired)
	storetest.Want(t, "a heartbeat after the end", beat(here, vouched), etcdstore.ErrSessionExpired)
}

// TestForgetClient: only as it was read.
func TestForgetClient(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	ctx := storetest.Bounded(t)
	var all []etcdstore.Client
	for range 40 { // more than a page
		c, err := s.NewClient(ctx, []byte("a record"))
		if err != nil {
			t.Fatalf("NewClient: %v", err)
		}
		all = append(all, c)
	}
	changed, err := s.SaveClient(ctx, all[1])
	if err != nil {
		t.Fatalf("SaveClient: %v", err)
	}
	storetest.Want(t, "forget what was changed", s.ForgetClient(ctx, all[1]), etcdstore.ErrClientChanged)
	storetest.Want(t, "forget what was never read", s.ForgetClient(ctx, etcdstore.Client{ID: 1}), etcdstore.ErrClientChanged)
	for range 2 {
		storetest.Want(t, "forget", s.ForgetClient(ctx, all[0]), nil)
	}
	var left []int32
	for c, err := range s.Clients(ctx) {
		if err != nil {
			t.Fatalf("Clients: %v", err)
		}
		left = append(left, c.ID)
		if c.ID == changed.ID {
			storetest.Want(t, "forget what was listed", s.ForgetClient(ctx, c), nil)
		}
	}
	if len(left) != 39 || left[0] != 2 || left[38] != 40 {
		t.Errorf("the clients are %v; want 2 to 40", left)
	}
}
