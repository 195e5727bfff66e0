package etcdstore_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestClose closes a store several times at once, while a call waits.
func TestClose(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	var mu sync.Mutex
	var told []bool
	s := openStoreWith(t, etcdstore.Config{Client: etcd, OnServing: func(up bool) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, up)
	}})
	c := begin(t, s)
	h := c.Acquire("l")
	p := begin(t, s).Queue("l")
	var closing sync.WaitGroup
	for range 8 {
		closing.Go(func() { closeStore(t, s) })
	}
	_, err := p.Answer()
	storetest.Want(t, "the waiting Acquire", err, etcdstore.ErrClosed)
	closing.Wait()
	storetest.Want(t, "Release after Close", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrClosed)
	_, err = s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
	storetest.Want(t, "Init after Close", err, etcdstore.ErrClosed)
	if got := fmt.Sprint(told); got != "[true false]" || s.Serving() {
		t.Errorf("told %s, Serving = %t; want true, then false", got, s.Serving())
	}
}

// TestBrokenFile reads a file that somebody damaged: an error, not a wait for ever.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	put := func(key, value string) {
		t.Helper()
		if _, err := etcd.Put(storetest.Bounded(t), "/dlm/"+key, value); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	put("files/l//f", `{"size":3000,"chunk":65536,"last":2990,"token":1}`)
	for i := range int64(300) {
		if i != 1 {
			put("chunks/l//f//"+hex16(10*i), "0123456789")
		}
	}
	if p, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "f"}); err == nil || indeterminate(err) {
		t.Errorf("Read = %d bytes, %v, of a file without its second chunk; want an error that says so", len(p.Data), err)
	}
	if p, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "f", Offset: 20, Limit: 100}); err != nil || len(p.Data) != 100 {
		t.Errorf("Read behind the hole = %d bytes, %v; want 100", len(p.Data), err)
	}
}
