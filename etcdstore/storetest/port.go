package storetest

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// given are the ports that this process has given out: the newest, counted from its first, and
// those whose tests go on.
//
//nolint:gochecknoglobals // the process's own, as its id is
var given struct {
	mu     sync.Mutex
	newest int
	now    map[string]bool
}

// FreeAddr finds a port of loopback that is free, as host:port, and is the test's until it ends. It
// lies below those that systems give to outgoing connections and to listeners on port 0, and no
// other test's process looks there. So a server that is stopped finds its port free again, and its
// clients find nobody there meanwhile.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const blocks, block = 200, 100
	first := 10_000 + os.Getpid()%blocks*block
	given.mu.Lock()
	defer given.mu.Unlock()
	for range block {
		given.newest++
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+given.newest%block))
		if given.now[addr] {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		if given.now == nil {
			given.now = make(map[string]bool)
		}
		given.now[addr] = true
		t.Cleanup(func() {
			given.mu.Lock()
			defer given.mu.Unlock()
			delete(given.now, addr)
		})
		return addr
	}
	t.Fatal("no free port")
	return ""
}
