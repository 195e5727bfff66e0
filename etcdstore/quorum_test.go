package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// members are three etcds of one cluster.
type members struct {
	t       *testing.T
	configs []embedded.Config
	servers []*embedded.Server
}

func startMembers(t *testing.T) *members {
	t.Helper()
	return startMembersWith(t, 0)
}

func startMembersWith(t *testing.T, quota int64) *members {
	t.Helper()
	addrs := map[string]string{}
	for i := range 3 {
		addrs[fmt.Sprint("m", i)] = storetest.FreeAddr(t)
	}
	m := &members{t: t, servers: make([]*embedded.Server, 3)}
	for i := range 3 {
		name := fmt.Sprint("m", i)
		m.configs = append(m.configs, embedded.Config{
			DataDir: t.TempDir(), Name: name, PeerListen: addrs[name], Members: addrs, Quota: quota, UnsafeNoFsync: true,
		})
	}
	t.Cleanup(func() { m.stop(0, 1, 2) })
	m.start(0, 1, 2)
	return m
}

// start starts members side by side, since each waits for a quorum.
func (m *members) start(which ...int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*patience)
	defer cancel()
	var wg sync.WaitGroup
	for _, i := range which {
		wg.Go(func() {
			server, err := embedded.Start(ctx, m.configs[i])
			if err != nil {
				m.t.Errorf("start member %d: %v", i, err)
				return
			}
			m.servers[i] = server
		})
	}
	wg.Wait()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *members) stop(which ...int) {
	var wg sync.WaitGroup
	for _, i := range which {
		if server := m.servers[i]; server != nil {
			m.servers[i] = nil
			wg.Go(func() {
				if err := server.Close(); err != nil {
					m.t.Errorf("stop member %d: %v", i, err)
				}
			})
		}
	}
	wg.Wait()
}

// hearServing waits until a store has told whether it serves. A leader that stops may be followed
// by one that has not stopped yet.
func hearServing(t *testing.T, s *etcdstore.Store, told <-chan bool, want bool) {
	t.Helper()
	for over := storetest.Bounded(t).Done(); ; {
		select {
		case got := <-told:
			if got == want && s.Serving() == want {
				return
			}
		case <-over:
			t.Fatalf("not told that serving is %t", want)
		}
	}
}

// TestQuorumLost stops two of three members: a store says so within seconds, to those who wait as
// well, and goes on with the same holders and waiters when they are back.
func TestQuorumLost(t *testing.T) {
	t.Parallel()
	m := startMembers(t)
	told := make(chan bool, 16)
	s := openStoreWith(t, etcdstore.Config{Client: m.servers[0].Client(), Local: m.servers[0].Local(), OnServing: func(up bool) { told <- up }})
	hear := func(want bool) { hearServing(t, s, told, want) }
	hear(true)
	c, w := begin(t, s), begin(t, s)
	h := c.Acquire("l")
	p := w.Queue("l")
	began := time.Now()
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		m.stop(1, 2)
	}()
	if g, err := p.Answer(); !errors.Is(err, etcdstore.ErrNoQuorum) {
		t.Errorf("the waiting Acquire = %+v, %v; want no quorum", g, err)
	}
	<-lost
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	hear(false)
	began = time.Now()
	_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
	storetest.Want(t, "Init", err, etcdstore.ErrNoQuorum)
	_, err = s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential})
	storetest.Want(t, "Heartbeat", err, etcdstore.ErrNoQuorum)
	storetest.Want(t, "Release", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrNoQuorum)
	_, err = s.Acquire(storetest.Bounded(t), w.Args("free", w.Request(), 0))
	storetest.Want(t, "Acquire", err, etcdstore.ErrNoQuorum)
	_, err = s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "f"})
	storetest.Want(t, "Read", err, etcdstore.ErrNoQuorum)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("five calls took %s; want them refused at once", took)
	}

	m.start(1, 2)
	hear(true)
	again := w.Start(p.Args())
	storetest.Want(t, "Release repeated", s.Release(storetest.Bounded(t), h.Section), nil)
	w.Release(again.Granted())
}
