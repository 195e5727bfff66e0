package storetest

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// ports counts those that this process has given out.
var ports atomic.Int64 //nolint:gochecknoglobals // the process's own, as its id is

// FreeAddr finds a port of loopback that is free, as host:port. It lies below those that systems
// give to outgoing connections, and no other test's process looks there, so that a server which is
// stopped finds its port free again.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const blocks, block = 200, 100
	first := 10_000 + os.Getpid()%blocks*block
	for range block {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+int(ports.Add(1)%block)))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		return addr
	}
	t.Fatal("no free port")
	return ""
}
