package etcdstore

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// forgetful is an etcd that does not know the logins of its first streams.
type forgetful struct {
	pb.UnimplementedLeaseServer
	unknown atomic.Int64 // streams that are refused
}

func (f *forgetful) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		if f.unknown.Add(-1) >= 0 {
			return rpctypes.ErrGRPCInvalidAuthToken
		}
		if err := stream.Send(&pb.LeaseKeepAliveResponse{ID: req.ID, TTL: req.ID}); err != nil {
			return err
		}
	}
}

// A login that has ended costs a heartbeat a new stream, not its answer.
func TestRenewalSurvivesItsLogin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forgetful{}
	f.unknown.Store(2)
	server := grpc.NewServer()
	pb.RegisterLeaseServer(server, f)
	go server.Serve(l) //nolint:errcheck // Stop ends it
	t.Cleanup(server.Stop)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{l.Addr().String()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { etcd.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	r := newRenewals(func() pb.LeaseClient { return pb.NewLeaseClient(etcd.ActiveConnection()) })
	go func() {
		defer close(ended)
		r.run(ctx)
	}()
	answers := make(chan renewal, 2)
	for lease := range clientv3.LeaseID(2) {
		go func() {
			ttl, err := r.do(ctx, lease+1)
			answers <- renewal{ttl, err}
		}()
	}
	a, b := <-answers, <-answers
	if a.err != nil || b.err != nil || a.ttl+b.ttl != 1+2 {
		t.Errorf("renewals of leases 1 and 2: %+v, %+v", a, b)
	}
}
