package bench

import (
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// refusing ends every stream at once, and says why.
type refusing struct {
	dlmv1.UnimplementedLockServiceServer
}

func (refusing) Stream(dlmv1.LockService_StreamServer) error {
	return status.Error(codes.Unauthenticated, "no certificate")
}

// Whether the sender or the receiver meets the end of a stream first, it is said why it ended.
func TestIdleSaysWhyItsStreamEnded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	dlmv1.RegisterLockServiceServer(server, refusing{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	for range 300 {
		conn, err := dialIdle(listener.Addr().String(), dial.Config{}, 1000, 1000, time.Second, load.NewMeter())
		if err != nil {
			t.Fatal(err)
		}
		err = conn.run(t.Context(), func() {}, make(chan struct{}))
		if err == nil || !strings.Contains(err.Error(), "no certificate") {
			t.Fatalf("error %v, want the server's", err)
		}
		if err := conn.grpc.Close(); err != nil {
			t.Error(err)
		}
	}
}
