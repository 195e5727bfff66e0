package etcdstore_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// peers are three etcds of one cluster, reached over client ports, which talk with each other
// through proxies: any of them can be cut off from the other two, and from nobody else.
type peers struct {
	*members
	endpoints []string
	ids       []uint64
	etcd      *clientv3.Client // of all of them, for the test

	mu      sync.Mutex
	cutOff  uint64        // 0: none
	healed  chan struct{} // closed by heal
	ctx     context.Context
	running sync.WaitGroup
}

func startPeers(t *testing.T) *peers {
	t.Helper()
	p := &peers{}
	ctx, cancel := context.WithCancel(context.Background())
	p.ctx = ctx
	var listeners []net.Listener
	t.Cleanup(func() {
		cancel()
		for _, l := range listeners {
			l.Close()
		}
		p.running.Wait()
	})
	m := &members{t: t, servers: make([]*embedded.Server, 3)}
	p.members = m
	addrs := map[string]string{}
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		name := fmt.Sprint("m", i)
		addrs[name] = l.Addr().String()
		p.endpoints = append(p.endpoints, storetest.FreeAddr(t))
		peer := storetest.FreeAddr(t)
		m.configs = append(m.configs, embedded.Config{
			DataDir: t.TempDir(), Name: name, PeerListen: peer, PeerAdvertise: addrs[name], Members: addrs,
			ClientListen: p.endpoints[i], UnsafeNoFsync: true,
		})
		p.running.Go(func() { p.serve(l, peer, i) })
	}
	t.Cleanup(func() { m.stop(0, 1, 2) })
	t.Cleanup(p.heal)
	m.start(0, 1, 2)
	var err error
	if p.etcd, err = clientv3.New(clientv3.Config{Endpoints: p.endpoints, Logger: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.etcd.Close() })
	ids := make([]uint64, 3)
	for i := range 3 {
		ids[i] = p.status(t, i).Header.MemberId
	}
	p.mu.Lock()
	p.ids = ids
	p.mu.Unlock()
	return p
}

func (p *peers) status(t *testing.T, i int) *clientv3.StatusResponse {
	t.Helper()
	st, err := p.etcd.Status(storetest.Bounded(t), p.endpoints[i])
	if err != nil {
		t.Fatalf("status of member %d: %v", i, err)
	}
	return st
}

// roles are which of the members leads, and one that does not.
func (p *peers) roles(t *testing.T) (leader, follower int) {
	t.Helper()
	leader = -1
	storetest.Eventually(t, "a leader", func() bool {
		for i := range 3 {
			if st := p.status(t, i); st.Leader == st.Header.MemberId {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader, (leader + 1) % 3
}

// from is the endpoints, beginning with that of one member.
func (p *peers) from(i int) []string {
	return append([]string{p.endpoints[i]}, append(p.endpoints[i+1:len(p.endpoints):len(p.endpoints)], p.endpoints[:i]...)...)
}

// cut cuts a member off from its peers: what they send each other is held up until heal.
func (p *peers) cut(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutOff, p.healed = p.ids[i], make(chan struct{})
}

func (p *peers) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutOff != 0 {
		p.cutOff = 0
		close(p.healed)
	}
}

// serve passes on what comes for a member.
func (p *peers) serve(l net.Listener, addr string, to int) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.pass(conn, addr, to) })
	}
}

func (p *peers) pass(in net.Conn, addr string, to int) {
	defer in.Close()
	defer context.AfterFunc(p.ctx, func() { in.Close() })()
	// Etcd says in each request between peers who sent it. A connection has only one sender.
	var head bytes.Buffer
	req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(in, &head)))
	if err != nil {
		return
	}
	from, _ := strconv.ParseUint(req.Header.Get("X-Server-From"), 16, 64)
	out, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer out.Close()
	defer context.AfterFunc(p.ctx, func() { out.Close() })()
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() { p.copy(in, out, from, to) })
	p.copy(out, io.MultiReader(&head, in), from, to)
}

func (p *peers) copy(dst net.Conn, src io.Reader, from uint64, to int) {
	defer dst.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := src.Read(buf)
		for {
			healed := p.holds(from, to)
			if healed == nil {
				break
			}
			select {
			case <-healed:
			case <-p.ctx.Done():
				return
			}
		}
		if _, writeErr := dst.Write(buf[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// holds returns what to wait for before anything is passed on; nil: nothing.
func (p *peers) holds(from uint64, to int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutOff != 0 && (p.cutOff == from || p.cutOff == p.ids[to]) {
		return p.healed
	}
	return nil
}
