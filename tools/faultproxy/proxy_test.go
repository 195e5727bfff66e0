package faultproxy_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const patience = 30 * time.Second

func start(t *testing.T) (*faultproxy.Proxy, dlmv1.LockServiceClient, context.Context) {
	t.Helper()
	node := facadetest.Start(t)
	proxy, err := faultproxy.Start(node.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := proxy.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	conn, err := grpc.NewClient("passthrough:///"+proxy.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return proxy, dlmv1.NewLockServiceClient(conn), ctx
}

func settles(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	await.Receive(t, patience, what, c)
}

// holder is the token that a lock is held under; 0: it is free.
func holder(ctx context.Context, t *testing.T, api dlmv1.LockServiceClient, lock string) int64 {
	t.Helper()
	resp, err := api.Inspect(ctx, &dlmv1.InspectRequest{Lock: lock})
	if status.Code(err) == codes.NotFound {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetLock().GetHolder().GetToken()
}

func TestUnary(t *testing.T) {
	proxy, api, ctx := start(t)
	session, err := api.Init(ctx, &dlmv1.InitRequest{})
	if err != nil {
		t.Fatal(err)
	}
	acquire := func(ctx context.Context, lock string) (int64, error) {
		resp, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: lock, Request: "1"})
		return resp.GetToken(), err
	}
	// A caller hangs up when its message has met its fate.
	until := func(met faultproxy.Met) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		t.Cleanup(cancel)
		go func() {
			defer cancel()
			select {
			case <-met.Arrived:
			case <-ctx.Done():
			}
		}()
		return ctx
	}

	lost := proxy.Next("Acquire", faultproxy.Request, faultproxy.Fate{Lost: true})
	if _, err := acquire(until(lost), "request"); status.Code(err) != codes.Canceled {
		t.Errorf("a lost request: %v", err)
	}
	if token := holder(ctx, t, api, "request"); token != 0 {
		t.Errorf("a lost request arrived: %d", token)
	}

	lost = proxy.Next("Acquire", faultproxy.Reply, faultproxy.Fate{Lost: true})
	if _, err := acquire(until(lost), "reply"); status.Code(err) != codes.Canceled {
		t.Errorf("a lost reply: %v", err)
	}
	granted := holder(ctx, t, api, "reply")
	if token, err := acquire(ctx, "reply"); err != nil || token != granted || token == 0 {
		t.Errorf("after a lost reply: %d, %v, want %d", token, err, granted)
	}

	proxy.Next("", faultproxy.Reply, faultproxy.Fate{Lost: true, Break: true})
	if _, err := acquire(ctx, "broken"); status.Code(err) != codes.Unavailable {
		t.Errorf("a broken call: %v", err)
	}

	// What is held back arrives although its caller has gone.
	later := make(chan struct{})
	held := proxy.Next("Acquire", faultproxy.Request, faultproxy.Fate{After: later})
	if _, err := acquire(until(held), "held"); status.Code(err) != codes.Canceled {
		t.Errorf("a request that is held back: %v", err)
	}
	if token := holder(ctx, t, api, "held"); token != 0 {
		t.Errorf("held back, and arrived: %d", token)
	}
	close(later)
	settles(t, "the delivery", held.Settled)
	if holder(ctx, t, api, "held") == 0 {
		t.Error("what was held back did not arrive")
	}

	// A duplicate comes long after the call was answered.
	again := make(chan struct{})
	twice := proxy.Next("Init", faultproxy.Request, faultproxy.Fate{Twice: true, Again: again})
	if _, err := api.Init(ctx, &dlmv1.InitRequest{}); err != nil {
		t.Error(err)
	}
	close(again)
	settles(t, "the late duplicate", twice.Settled)

	if _, err := api.Inspect(ctx, &dlmv1.InspectRequest{Lock: "//"}); status.Code(err) != codes.InvalidArgument || len(status.Convert(err).Details()) == 0 {
		t.Errorf("an error is passed on as %v", err)
	}
	if got := proxy.Counts(); got != (faultproxy.Counts{Lost: 3, Doubled: 1, Delayed: 2}) {
		t.Errorf("counts %+v", got)
	}
}

func TestMultiplexed(t *testing.T) {
	proxy, api, ctx := start(t)
	stream, err := api.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(number uint64, lock string) {
		t.Helper()
		if err := stream.Send(&dlmv1.StreamRequest{Call: number, Request: &dlmv1.StreamRequest_Inspect{
			Inspect: &dlmv1.InspectRequest{Lock: lock},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(want uint64) {
		t.Helper()
		resp, err := stream.Recv()
		if err != nil || resp.GetCall() != want || resp.GetError() == nil {
			t.Fatalf("got %v, %v, want an error for call %d", resp, err, want)
		}
	}

	proxy.Next("inspect", faultproxy.Request, faultproxy.Fate{Lost: true})
	send(1, "a")
	send(2, "a")
	answers(2)
	lost := proxy.Next("inspect", faultproxy.Reply, faultproxy.Fate{Lost: true}) // an error is told by its call
	send(3, "a")
	settles(t, "a reply to be lost", lost.Arrived)
	send(4, "a")
	answers(4)
	proxy.Next("inspect", faultproxy.Request, faultproxy.Fate{Twice: true})
	send(5, "a")
	answers(5)
	answers(5)
	later := make(chan struct{})
	proxy.Every("inspect", faultproxy.Request, faultproxy.Fate{After: later})
	send(6, "a")
	close(later)
	answers(6)
	send(7, "a")
	answers(7)

	again := make(chan struct{})
	repeated := proxy.Every("inspect", faultproxy.Request, faultproxy.Fate{Again: again})
	send(8, "a")
	answers(8)
	close(again)
	settles(t, "the repeat", repeated.Settled)
	delayed := proxy.Counts().Delayed
	send(9, "a")
	answers(9)
	if got := proxy.Counts().Delayed; got != delayed {
		t.Errorf("%d messages are delayed after the end of the delay", got-delayed)
	}

	// What is held back arrives although its stream has ended; so does a duplicate.
	gone := make(chan struct{})
	held := proxy.Next("inspect", faultproxy.Request, faultproxy.Fate{After: gone, Again: gone})
	send(10, "a")
	settles(t, "the request's arrival", held.Arrived)
	proxy.Next("inspect", faultproxy.Request, faultproxy.Fate{Lost: true, Break: true})
	send(11, "a")
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("a stream that broke: %v", err)
	}
	close(gone)
	settles(t, "what was held back", held.Settled)
}
