package facade_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// traffic has a client lock, append and release through a server, until stop is called.
func traffic(t *testing.T, conn *grpc.ClientConn, lock string) (stop func()) {
	t.Helper()
	api := dlmv1.NewLockServiceClient(conn)
	session, err := api.Init(storetest.Bounded(t), &dlmv1.InitRequest{Ttl: durationpb.New(etcdstore.MaxTTL)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			request := fmt.Sprint(i)
			grant, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: lock, Request: request})
			if err == nil {
				_, err = api.Append(ctx, &dlmv1.AppendRequest{
					Session: session.GetSession(), Lock: lock, Token: grant.GetToken(), Request: request, File: "log", Data: []byte("x"), Number: 1,
				})
			}
			if err == nil {
				_, err = api.Release(ctx, &dlmv1.ReleaseRequest{
					Session: session.GetSession(), Lock: lock, Token: grant.GetToken(), Appended: true,
				})
			}
			if err != nil && ctx.Err() == nil {
				t.Errorf("traffic: %v", err)
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// follower is a stream of answers that its client may stop to read.
type follower interface{ RecvMsg(m any) error }

// Watches and tails under traffic are closed without a word, some of them by clients that do not
// read. Those that come later see every change, and the server stops in time.
func TestAbandonedWatchersHarmNobody(t *testing.T) {
	const (
		conns  = 10
		each   = 20 // watches of one connection
		tails  = 30 // likewise
		rounds = 3
	)
	node := facadetest.Start(t)
	stops := []func(){traffic(t, node.Dial(0), "busy/0"), traffic(t, node.Dial(0), "busy/1")}
	api := dlmv1.NewLockServiceClient(node.Dial(0))
	storetest.Eventually(t, "something to follow", func() bool {
		file, err := api.Read(storetest.Bounded(t), &dlmv1.ReadRequest{Lock: "busy/0", File: "log"})
		return err == nil && file.GetSize() > 0
	})
	for range rounds {
		var all []*grpc.ClientConn
		var reading, first sync.WaitGroup
		for range conns {
			conn, err := grpc.NewClient("passthrough:///"+node.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, conn)
			api := dlmv1.NewLockServiceClient(conn)
			for i := range each + tails {
				var stream follower
				m := any(&dlmv1.TailResponse{})
				if i < each {
					stream, err = api.Watch(t.Context(), &dlmv1.WatchRequest{Prefix: "busy/"})
					m = &dlmv1.WatchResponse{}
				} else {
					stream, err = api.Tail(t.Context(), &dlmv1.TailRequest{Lock: "busy/0", File: "log"})
				}
				if err != nil {
					t.Fatal(err)
				}
				first.Add(1)
				reading.Go(func() {
					err := stream.RecvMsg(m)
					first.Done()
					for err == nil && i%2 == 0 {
						err = stream.RecvMsg(m)
					}
				})
			}
		}
		begun := make(chan struct{})
		go func() {
			first.Wait()
			close(begun)
		}()
		wait(t, begun, "all to have begun")
		for _, conn := range all {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		reading.Wait()
	}

	late, err := api.Watch(storetest.Bounded(t), &dlmv1.WatchRequest{Prefix: "busy/"})
	if err != nil {
		t.Fatal(err)
	}
	for seen := 0; seen < 10; {
		m, err := late.Recv()
		if err != nil {
			t.Fatalf("a watch that came later, after %d changes: %v", seen, err)
		}
		for _, e := range m.GetEvents() {
			if !e.GetInitial() {
				seen++
			}
		}
	}
	for _, stop := range stops {
		stop()
	}
	stopped := make(chan struct{})
	go func() {
		node.Stop()
		close(stopped)
	}()
	wait(t, stopped, "the server to stop")
}

// The server stops in time though hundreds watch and tail who do not read, and whose handlers are
// stuck over what they send.
func TestShutdownThoughNobodyReads(t *testing.T) {
	const (
		conns = 10
		each  = 20 // watches of one connection
		tails = 30 // likewise
		locks = 5000
	)
	node := facadetest.Start(t)
	traffic(t, node.Dial(0), "busy/0")() // a file to tail, perhaps
	watch := func(api dlmv1.LockServiceClient) grpc.ServerStreamingClient[dlmv1.WatchResponse] {
		t.Helper()
		stream, err := api.Watch(t.Context(), &dlmv1.WatchRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	for range conns {
		conn, err := grpc.NewClient("passthrough:///"+node.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithStaticStreamWindowSize(1<<16), grpc.WithStaticConnWindowSize(1<<24))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		api := dlmv1.NewLockServiceClient(conn)
		for range each {
			watch(api)
		}
		for range tails {
			if _, err := api.Tail(t.Context(), &dlmv1.TailRequest{Lock: "busy/0", File: "log"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	reader := watch(dlmv1.NewLockServiceClient(node.Dial(0)))
	for i := range locks / 100 { // far more than fits on its way to a client that does not read
		var puts []clientv3.Op
		for j := range 100 {
			key := fmt.Sprintf("%slocks/%064d/%d", etcdstore.DefaultPrefix, i, j)
			puts = append(puts, clientv3.OpPut(key, "0000000000000001.1\x00"+`{"since":1}`))
		}
		if _, err := node.Etcd().Txn(storetest.Bounded(t)).Then(puts...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for seen := 0; seen < locks; {
		m, err := reader.Recv()
		if err != nil {
			t.Fatalf("after %d events: %v", seen, err)
		}
		seen += len(m.GetEvents())
	}
	stopped := make(chan struct{})
	go func() {
		node.Stop()
		close(stopped)
	}()
	wait(t, stopped, "the server to stop")
}
