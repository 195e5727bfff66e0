package facadetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithFsync())
	addrs := node.Addrs()
	if len(addrs) != 2 || addrs[0] == addrs[1] || addrs[0] != node.Addr() {
		t.Fatalf("addresses %q, the first %q", addrs, node.Addr())
	}
	first, second := dlmv1.NewLockServiceClient(node.Dial(0)), dlmv1.NewLockServiceClient(node.Dial(1))
	session, err := first.Init(ctx, &dlmv1.InitRequest{})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := second.Acquire(ctx, &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: "orders", Request: "1"})
	if err != nil || grant.GetToken() == 0 {
		t.Fatalf("acquire: %v, %v", grant, err)
	}

	node.StopFacade(1)
	node.StopFacade(1)
	wantHolder(t, node.Addr(), first, grant.GetToken())
	node.StartFacade(1)
	wantHolder(t, addrs[1], dlmv1.NewLockServiceClient(node.Dial(1)), grant.GetToken())

	node.Restart()
	if got := fmt.Sprint(node.Addrs()); got != fmt.Sprint(addrs) {
		t.Errorf("addresses %s after a restart, want %s", got, addrs)
	}
	for i := range addrs {
		conn := node.Dial(i)
		wantHolder(t, addrs[i], dlmv1.NewLockServiceClient(conn), grant.GetToken())
		resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %s: %v, %v", addrs[i], resp, err)
		}
	}
	node.Stop()
	node.Stop()
}

func wantHolder(t *testing.T, addr string, api dlmv1.LockServiceClient, token int64) {
	t.Helper()
	resp, err := api.Inspect(t.Context(), &dlmv1.InspectRequest{Lock: "orders"})
	if err != nil {
		t.Fatalf("inspect at %s: %v", addr, err)
	}
	if got := resp.GetLock().GetHolder().GetToken(); got != token {
		t.Errorf("at %s token %d holds the lock, want %d", addr, got, token)
	}
}
