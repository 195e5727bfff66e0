package coursework_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// A client's number can be guessed. Whoever is not the identity that has begun the client is told
// what one is told who names no client, while its session lives and afterwards, and changes
// nothing; the client itself goes on through any server.
func TestClientOfAnother(t *testing.T) {
	t.Parallel()
	const alice, bob, nobody = "cn:alice", "cn:bob", ""
	for _, owner := range []string{alice, nobody} {
		t.Run(fmt.Sprintf("of %q", owner), func(t *testing.T) {
			t.Parallel()
			node := facadetest.Start(t)
			var services [2]*coursework.Service
			for i, store := range []*etcdstore.Store{node.Store(), node.Store()} {
				services[i] = coursework.New(coursework.Config{Store: store, Lock: "default", TTL: long, Hold: long})
			}
			as := func(who string) context.Context { return etcdstore.WithOwner(storetest.Bounded(t), who) }
			begun, err := services[0].ClientInit(as(owner), &pb.Int{})
			if err != nil {
				t.Fatalf("client_init: %v", err)
			}
			id := begun.GetRc()
			calls := map[string]func(ctx context.Context, s *coursework.Service) (*pb.Response, error){
				"lock_acquire": func(ctx context.Context, s *coursework.Service) (*pb.Response, error) {
					return s.LockAcquire(ctx, &pb.LockArgs{ClientId: id, RequestId: "a"})
				},
				"file_append": func(ctx context.Context, s *coursework.Service) (*pb.Response, error) {
					return s.FileAppend(ctx, &pb.FileArgs{ClientId: id, RequestId: "b", Filename: "file_0", Content: []byte("x")})
				},
				"lock_release": func(ctx context.Context, s *coursework.Service) (*pb.Response, error) {
					return s.LockRelease(ctx, &pb.LockArgs{ClientId: id, RequestId: "c"})
				},
				"heartbeat": func(ctx context.Context, s *coursework.Service) (*pb.Response, error) {
					return s.Heartbeat(ctx, &pb.Heartbeat{ClientId: id})
				},
			}
			revision := func() int64 {
				t.Helper()
				resp, err := node.Etcd().Get(storetest.Bounded(t), etcdstore.DefaultPrefix+"horizon")
				if err != nil {
					t.Fatal(err)
				}
				return resp.Header.Revision
			}
			others := func(when string) {
				t.Helper()
				before := revision()
				for _, who := range []string{alice, bob, nobody} {
					for _, s := range services {
						if who == owner {
							continue
						}
						for name, call := range calls {
							if resp, err := call(as(who), s); err != nil || resp.GetStatus() != file {
								t.Errorf("%s by %q, %s: %v, %v; want %v", name, who, when, resp, err, file)
							}
						}
						_, err := s.ClientClose(as(who), &pb.Int{Rc: id})
						storetest.Want(t, fmt.Sprintf("client_close by %q, %s", who, when), err, etcdstore.ErrNotOwner)
						if _, err := s.GetCurrentLockHolder(as(who), &pb.CurrentLockHolder{ClientId: id}); err != nil {
							t.Errorf("getCurrent_lock_holder by %q, %s: %v", who, when, err)
						}
					}
				}
				if after := revision(); after != before {
					t.Errorf("%s: others moved etcd from revision %d to %d", when, before, after)
				}
			}
			own := func(name string, s *coursework.Service, want pb.Status) {
				t.Helper()
				if resp, err := calls[name](as(owner), s); err != nil || resp.GetStatus() != want {
					t.Errorf("%s: %v, %v; want %v", name, resp, err, want)
				}
			}
			others("begun")
			own("lock_acquire", services[1], success)
			own("file_append", services[0], success)
			others("holding")
			own("lock_release", services[1], success)
			storetest.Eventually(t, "the section to be folded", func() bool {
				resp, err := node.Etcd().Get(storetest.Bounded(t), etcdstore.DefaultPrefix+"commits/", clientv3.WithPrefix(), clientv3.WithCountOnly())
				return err == nil && resp.Count == 0
			})
			others("released")
			if n, err := node.Store().EndSessions(storetest.Bounded(t), func(string, time.Time) bool { return true }); owner != nobody && (n != 1 || err != nil) {
				t.Fatalf("EndSessions = %d, %v; want the client's ended", n, err)
			}
			others("ended")
			for _, s := range services { // under a session of its own once more
				own("lock_release", s, success)
				own("heartbeat", s, success)
			}
			others("come back")
			if _, err := services[1].ClientClose(as(owner), &pb.Int{Rc: id}); err != nil {
				t.Errorf("client_close: %v", err)
			}
			own("heartbeat", services[0], file)
		})
	}
}
