package facade_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// setServing sets the server's health and sees it.
func setServing(t *testing.T, server *facade.Server, conn *grpc.ClientConn) {
	t.Helper()
	server.SetServing(true)
	wantHealth(t, conn, healthpb.HealthCheckResponse_SERVING)
}

func wantHealth(t *testing.T, conn *grpc.ClientConn, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for _, service := range []string{"", dlmv1.LockService_ServiceDesc.ServiceName} {
		resp, err := healthpb.NewHealthClient(conn).Check(storetest.Bounded(t), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.GetStatus(); got != want {
			t.Errorf("health of %q: %v, want %v", service, got, want)
		}
	}
}

func TestHealth(t *testing.T) {
	server, conn := serve(t, scripted{}, nil)
	wantHealth(t, conn, healthpb.HealthCheckResponse_NOT_SERVING)
	setServing(t, server, conn)
	server.SetServing(false)
	wantHealth(t, conn, healthpb.HealthCheckResponse_NOT_SERVING)

	for _, service := range []string{"other", lockservice.LockService_ServiceDesc.ServiceName} {
		_, err := healthpb.NewHealthClient(conn).Check(storetest.Bounded(t), &healthpb.HealthCheckRequest{Service: service})
		if got := status.Code(err); got != codes.NotFound {
			t.Errorf("health of %s, which is not there: %v", service, err)
		}
	}

	// A watcher sees the changes, and does not hold up a shutdown.
	stream, err := healthpb.NewHealthClient(conn).Watch(storetest.Bounded(t), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_NOT_SERVING, healthpb.HealthCheckResponse_SERVING,
	} {
		resp, err := stream.Recv()
		if err != nil || resp.GetStatus() != want {
			t.Fatalf("watched health: %v, %v, want %v", resp, err, want)
		}
		server.SetServing(true)
	}
	if err := server.Shutdown(storetest.Bounded(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	server.SetServing(true) // has no effect, and does not panic
}

func TestReflection(t *testing.T) {
	server, conn := serve(t, scripted{}, nil)
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: dlmv1.LockService_ServiceDesc.ServiceName,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("no description of the API: %v", resp)
	}
	if err := server.Shutdown(storetest.Bounded(t)); err != nil { // a stream that nobody ends does not hold it up
		t.Errorf("shutdown: %v", err)
	}
}

func TestMessageOverTheReceiveLimit(t *testing.T) {
	_, conn := serve(t, scripted{do: func(context.Context, string) error { return nil }}, nil)
	api := dlmv1.NewLockServiceClient(conn)
	if _, err := api.Append(storetest.Bounded(t), &dlmv1.AppendRequest{Data: make([]byte, etcdstore.MaxRecord)}); err != nil {
		t.Errorf("the largest record: %v", err)
	}
	_, err := api.Append(storetest.Bounded(t), &dlmv1.AppendRequest{Data: make([]byte, facade.MaxMessage-100)})
	if reasonOf(err) != "TOO_LARGE" {
		t.Errorf("just under the limit: %v, want TOO_LARGE", err)
	}
	big := &dlmv1.AppendRequest{Data: make([]byte, facade.MaxMessage+1<<20)}
	if _, err := api.Append(storetest.Bounded(t), big); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("over the limit: %v", err)
	}
	mux := openMux(t, conn)
	if _, err := dlmv1.NewLockServiceClient(mux).Append(storetest.Bounded(t), big); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("over the limit, multiplexed: %v", err)
	}
	if _, err := api.Append(storetest.Bounded(t), &dlmv1.AppendRequest{}); err != nil {
		t.Errorf("after a message over the limit: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	var mu sync.Mutex
	left := map[string]time.Duration{}
	store := scripted{do: func(ctx context.Context, method string) error {
		mu.Lock()
		defer mu.Unlock()
		if deadline, ok := ctx.Deadline(); ok {
			left[method] = time.Until(deadline)
		} else {
			left[method] = -1
		}
		return nil
	}}
	_, conn := serve(t, store, nil)
	mux := openMux(t, conn)
	for by, conn := range map[string]grpc.ClientConnInterface{"unary": conn, "mux": mux} {
		t.Run(by, func(t *testing.T) {
			api := dlmv1.NewLockServiceClient(conn)
			within := func(method string, f func(ctx context.Context) error) time.Duration {
				t.Helper()
				if err := f(t.Context()); err != nil { // without a deadline of the client's
					t.Fatal(err)
				}
				mu.Lock()
				defer mu.Unlock()
				return left[method]
			}
			waiting := func(forSo *durationpb.Duration) func(ctx context.Context) error {
				return func(ctx context.Context) error {
					_, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Wait: forSo})
					return err
				}
			}
			bounded := func(d time.Duration) bool { return 5*time.Second < d && d <= 10*time.Second }
			if got := within("Acquire", waiting(nil)); got != -1 {
				t.Errorf("waiting: ends after %v", got)
			}
			if got := within("Acquire", waiting(durationpb.New(time.Minute))); got != -1 {
				t.Errorf("waiting within a minute: ends after %v", got)
			}
			got := within("Inspect", func(ctx context.Context) error {
				_, err := api.Inspect(ctx, &dlmv1.InspectRequest{})
				return err
			})
			if !bounded(got) {
				t.Errorf("inspect: ends after %v", got)
			}
			if by == "mux" { // there the store itself ends what it has started
				return
			}
			if got := within("Acquire", waiting(durationpb.New(0))); !bounded(got) {
				t.Errorf("waiting without a wait: ends after %v", got)
			}
			got = within("Release", func(ctx context.Context) error {
				_, err := api.Release(ctx, &dlmv1.ReleaseRequest{})
				return err
			})
			if !bounded(got) {
				t.Errorf("release: ends after %v", got)
			}
		})
	}
}

// A watch of many locks begins with more events than a client's receive limit has room for.
func TestWatchSendsManyEventsInPieces(t *testing.T) {
	const events = 50_000
	_, conn := serve(t, flood{scripted{}, events}, nil)
	stream, err := dlmv1.NewLockServiceClient(conn).Watch(storetest.Bounded(t), &dlmv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for n := int64(0); n < events; {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
		for _, e := range resp.GetEvents() {
			if e.GetRevision() != n {
				t.Fatalf("event %d came as number %d", e.GetRevision(), n)
			}
			n++
		}
		if told := max(n-1, 0); n < events && resp.GetRevision() != told || n == events && resp.GetRevision() != events {
			t.Fatalf("after event %d all up to %d is said to be told", n-1, resp.GetRevision())
		}
	}
}

// flood is a store whose watches begin with many events.
type flood struct {
	scripted
	events int
}

func (f flood) Watch(ctx context.Context, _ string, send func(*etcdstore.News) error) error {
	events := make([]etcdstore.Event, f.events)
	for i := range events {
		events[i] = etcdstore.Event{Lock: fmt.Sprintf("%0100d", i), Revision: int64(i)}
	}
	if err := send(&etcdstore.News{Events: events, Revision: int64(f.events)}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
