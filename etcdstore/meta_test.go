package etcdstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// putKey puts a key by hand.
func putKey(t *testing.T, etcd *clientv3.Client, key, value string) {
	t.Helper()
	if _, err := etcd.Put(storetest.Bounded(t), key, value); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// valueOf is a key's value; empty: there is none.
func valueOf(t *testing.T, etcd *clientv3.Client, key string) string {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

// notOpened wants a store not to be opened.
func notOpened(t *testing.T, cfg etcdstore.Config, want error, says string) {
	t.Helper()
	s, err := etcdstore.Open(storetest.Bounded(t), withLocal(cfg))
	if err == nil {
		closeStore(t, s)
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		t.Errorf("Open with the prefix %q: %v; want %v and %q", cfg.Prefix, err, want, says)
	}
}

// TestMetaIsMadeOnce: by whichever store is opened first, and its sessions say whose they are.
func TestMetaIsMadeOnce(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	const stores = 4
	ids := make([]string, stores)
	var opening sync.WaitGroup
	for i := range stores {
		opening.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s, err := etcdstore.Open(ctx, withLocal(etcdstore.Config{Client: etcd}))
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer closeStore(t, s)
			session, err := s.Init(ctx, etcdstore.InitArgs{})
			if err != nil {
				t.Errorf("Init: %v", err)
			}
			ids[i] = session.Cluster
		})
	}
	opening.Wait()
	for _, id := range ids {
		if len(id) != 32 || id != ids[0] {
			t.Fatalf("the stores are of clusters %q; want one", ids)
		}
	}
	s := openStore(t, etcd)
	c := begin(t, s)
	r, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential})
	if err != nil || r.Cluster != ids[0] || c.Cluster != ids[0] {
		t.Errorf("opened again: Heartbeat = %+v, %v, the session is of %q; want %q", r, err, c.Cluster, ids[0])
	}
	if other := openStoreWith(t, etcdstore.Config{Client: etcd, Prefix: "/other/"}); begin(t, other).Cluster == ids[0] {
		t.Error("another prefix has the same id")
	}
}

func TestFormatTooNew(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	const id = "00112233445566778899aabbccddeeff"
	for _, meta := range []string{
		`{"format":2,"id":"` + id + `"}`, `{"format":0,"id":"` + id + `"}`, `{"format":1}`, `{"format":1,"id":"A0"}`, `{}`, "2", "",
	} {
		putKey(t, etcd, "/dlm/cluster/meta", meta)
		notOpened(t, etcdstore.Config{Client: etcd}, etcdstore.ErrFormatTooNew, "cluster/meta")
		if got := valueOf(t, etcd, "/dlm/cluster/meta"); got != meta {
			t.Errorf("the meta was changed from %q to %q", meta, got)
		}
	}
	putKey(t, etcd, "/dlm/cluster/meta", `{"format":1,"id":"`+id+`","later":true}`)
	putKey(t, etcd, "/dlm/cluster/features", `{"on":["numbered","teleport"]}`)
	notOpened(t, etcdstore.Config{Client: etcd}, etcdstore.ErrFormatTooNew, "teleport")
	putKey(t, etcd, "/dlm/cluster/features", `{"on":["numbered"]}`)
	if got := begin(t, openStore(t, etcd)).Cluster; got != id {
		t.Errorf("the cluster is %q; want %q", got, id)
	}
}

// TestPrefixNested opens one prefix after another.
func TestPrefixNested(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		first, second string
		nested        bool
	}{
		{"/np/", "/np/staged/", true},
		{"/np/staged/", "/np/", true},
		{"/np/", "/np/locks/a/b/", true},
		{"/np/locks/a/b/", "/np/", true},
		{"/np/chunks/cluster/", "/np/", true},
		{"/np/", "/np/cluster/", true},
		{"/np/", "/np/sessions/x/y/z/", true},
		{"/np/staged/a/", "/np/", true},
		{"/", "/locks/", true},
		{"/np/", "/np/orders/", false},
		{"/np/orders/", "/np/", false},
		{"/np/", "/npstaged/", false},
		{"/np/", "/np/stagedx/", false},
		{"/a/locks/", "/b/locks/", false},
		{"/locks/", "/locks/x/", false},
		{"/np/", "/np/horizon/", false},
	} {
		t.Run(strings.ReplaceAll(test.first+" "+test.second, "/", "."), func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			first := openStoreWith(t, etcdstore.Config{Client: etcd, Prefix: test.first})
			h := begin(t, first)
			h.Publish("a", "f", "x")
			if !test.nested {
				begin(t, openStoreWith(t, etcdstore.Config{Client: etcd, Prefix: test.second})).Publish("a", "f", "y")
				return
			}
			notOpened(t, etcdstore.Config{Client: etcd, Prefix: test.second}, etcdstore.ErrPrefixNested, test.second)
			if got := valueOf(t, etcd, test.second+"cluster/meta"); got != "" {
				t.Errorf("the refused prefix has the meta %q", got)
			}
			storetest.WantContents(t, first, "a", "f", "x")
		})
	}
}

// TestNamesThatLookNested: a lock whose name ends as a meta's key is no prefix of its own.
func TestNamesThatLookNested(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	putKey(t, etcd, "/dlm/horizon", "0") // of an older server, so that the keys are looked through
	putKey(t, etcd, "/dlm/waited/cluster/meta", "")
	putKey(t, etcd, "/dlm/locks/x/cluster/meta", "0000000000000001.1\x00{}")
	putKey(t, etcd, "/dlm/chunks/a//f//0000000000000000", "x")
	putKey(t, etcd, "/dlm/chunks/b//f//0000000000000000", "x")
	s := openStore(t, etcd)
	begin(t, s).Acquire("cluster/meta")
	openStore(t, etcd)
}

// TestFeatures: a new prefix has all of them, an older one none until somebody says so.
func TestFeatures(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	read := func(prefix string) etcdstore.FeatureState {
		t.Helper()
		state, err := etcdstore.ReadFeatures(storetest.Bounded(t), etcd, prefix)
		if err != nil {
			t.Fatalf("ReadFeatures: %v", err)
		}
		return state
	}
	fresh := openStoreWith(t, etcdstore.Config{Client: etcd, Prefix: "/fresh/", Name: "here", Version: "v1"})
	state := read("/fresh/")
	if strings.Join(state.On, " ") != strings.Join(etcdstore.Features(), " ") || !fresh.Feature("numbered") || !fresh.Feature("linger") {
		t.Errorf("a new prefix has %q on; want all", state.On)
	}
	if len(state.Servers) != 1 || state.Servers[0].Name != "here" || state.Servers[0].Version != "v1" || len(state.Servers[0].Features) == 0 {
		t.Errorf("the servers are %+v; want one", state.Servers)
	}

	if _, err := etcdstore.ReadFeatures(storetest.Bounded(t), etcd, "/dlm/"); err == nil {
		t.Error("features of a prefix without servers")
	}
	putKey(t, etcd, "/dlm/horizon", "0")
	s := openStore(t, etcd)
	if state := read("/dlm/"); len(state.On) != 0 || s.Feature("numbered") {
		t.Errorf("an older prefix has %q on; want none", state.On)
	}
	enable := func(name string) error { return etcdstore.EnableFeature(storetest.Bounded(t), etcd, "/dlm/", name) }
	if err := enable("teleport"); err == nil {
		t.Error("a feature that there is none of was switched on")
	}
	putKey(t, etcd, "/dlm/cluster/servers/00000000000000aa", `{"name":"old","version":"v0.9","features":["numbered"]}`)
	if err := enable("linger"); err == nil || !strings.Contains(err.Error(), "old") {
		t.Errorf("enable beside a server that does not know it: %v", err)
	}
	for range 2 { // the second time it is on
		storetest.Want(t, "enable", enable("numbered"), nil)
	}
	storetest.Eventually(t, "the store to hear of it", func() bool { return s.Feature("numbered") })
	if s.Feature("linger") || !s.Serving() {
		t.Error("another feature is on, or the store does not serve")
	}
	if _, err := etcd.Delete(storetest.Bounded(t), "/dlm/cluster/servers/00000000000000aa"); err != nil {
		t.Fatal(err)
	}
	storetest.Want(t, "enable", enable("linger"), nil)
	storetest.Eventually(t, "the store to hear of it", func() bool { return s.Feature("linger") && s.Feature("numbered") })

	putKey(t, etcd, "/dlm/cluster/features", `{"on":["linger","numbered","teleport"]}`)
	storetest.Eventually(t, "the store to stop serving", func() bool { return !s.Serving() })
	_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
	storetest.Want(t, "Init", err, etcdstore.ErrFormatTooNew)
}

// TestServersRegister: while they run.
func TestServersRegister(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStore(t, etcd)
	if n := len(keys(t, etcd, "cluster/servers/")); n != 2 {
		t.Errorf("%d servers are registered; want 2", n)
	}
	closeStore(t, a)
	if n := len(keys(t, etcd, "cluster/servers/")); n != 1 {
		t.Errorf("%d servers are registered after one was closed; want 1", n)
	}
	closeStore(t, b)
	gone(t, etcd, "cluster/servers/")
}
