package facade_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func TestShutdownEndsWhatWaits(t *testing.T) {
	begun := make(chan string, 10)
	store := scripted{do: func(ctx context.Context, method string) error {
		begun <- method
		<-ctx.Done()
		return ctx.Err()
	}}
	server, conn := serve(t, store, nil)
	api := dlmv1.NewLockServiceClient(conn)
	mux := openMux(t, conn)
	waits := map[string]func() error{
		"unary acquire": func() error {
			_, err := api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{})
			return err
		},
		"bounded acquire": func() error {
			_, err := api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Wait: durationpb.New(time.Hour)})
			return err
		},
		"multiplexed acquire": func() error {
			_, err := dlmv1.NewLockServiceClient(mux).Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{})
			return err
		},
		"tail": func() error {
			stream, err := api.Tail(storetest.Bounded(t), &dlmv1.TailRequest{})
			for err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"watch": func() error {
			stream, err := api.Watch(storetest.Bounded(t), &dlmv1.WatchRequest{})
			for err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	}
	type end struct {
		what string
		err  error
	}
	ends := make(chan end, len(waits))
	for what, f := range waits {
		go func() { ends <- end{what, f()} }()
	}
	for range waits {
		wait(t, begun, "a call")
	}
	if err := server.Shutdown(storetest.Bounded(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	for range waits {
		end := wait(t, ends, "a call's end")
		if status.Code(end.err) != codes.Unavailable || reasonOf(end.err) != "SHUTTING_DOWN" {
			t.Errorf("%s ended with %v", end.what, end.err)
		}
	}
	wait(t, mux.ended, "the stream's end")
	if reasonOf(mux.err) != "SHUTTING_DOWN" {
		t.Errorf("the multiplexed stream ended with %v", mux.err)
	}
	if err := server.Shutdown(storetest.Bounded(t)); err != nil {
		t.Errorf("repeated shutdown: %v", err)
	}
}

func TestShutdownAnswersWhatIsInProgress(t *testing.T) {
	store, begun, _, letGo := blocking("Release")
	server, conn := serve(t, store, nil)
	api := dlmv1.NewLockServiceClient(conn)
	mux := openMux(t, conn)
	answered := make(chan error, 2)
	go func() {
		_, err := api.Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{})
		answered <- err
	}()
	go func() {
		_, err := dlmv1.NewLockServiceClient(mux).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{})
		answered <- err
	}()
	wait(t, begun, "a call")
	wait(t, begun, "a call")
	setServing(t, server, conn)

	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(storetest.Bounded(t)) }()

	// Health shows the shutdown, and calls are refused, while those in progress go on.
	var err error
	storetest.Eventually(t, "a refusal", func() bool {
		_, err = api.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
		return err != nil
	})
	if reasonOf(err) != "SHUTTING_DOWN" {
		t.Errorf("a new call during the drain: %v", err)
	}
	wantHealth(t, conn, healthpb.HealthCheckResponse_NOT_SERVING)
	select {
	case err := <-stopped:
		t.Fatalf("stopped (%v) before the calls in progress were answered", err)
	default:
	}
	close(letGo)
	for range 2 {
		if err := wait(t, answered, "an answer"); err != nil {
			t.Errorf("a call in progress: %v", err)
		}
	}
	if err := wait(t, stopped, "the shutdown"); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	store, begun, ended, _ := blocking("Release")
	server, conn := serve(t, store, nil)
	answered := make(chan error, 1)
	go func() {
		_, err := dlmv1.NewLockServiceClient(conn).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{})
		answered <- err
	}()
	wait(t, begun, "the call")

	patient := make(chan error, 1)
	go func() { patient <- server.Shutdown(storetest.Bounded(t)) }()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Shutdown(over); !errors.Is(err, context.Canceled) {
		t.Errorf("a shutdown without time: %v", err)
	}
	wait(t, ended, "the end of the call's context")
	if err := wait(t, answered, "the call's end"); status.Code(err) != codes.Unavailable {
		t.Errorf("the call that was cut off: %v", err)
	}
	if err := wait(t, patient, "the first shutdown"); err != nil {
		t.Errorf("the first shutdown: %v", err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	server := facade.New(facade.Config{Store: scripted{}})
	if err := server.Shutdown(storetest.Bounded(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// A handler that never ends, whatever becomes of its call, holds up neither Shutdown nor Serve.
func TestShutdownLeavesAStuckHandlerBehind(t *testing.T) {
	begun, letGo := make(chan struct{}), make(chan struct{})
	store := scripted{do: func(context.Context, string) error {
		close(begun)
		<-letGo
		return nil
	}}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := facade.New(facade.Config{Store: store})
	served, ended := make(chan error, 1), make(chan struct{})
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		defer close(ended)
		stream, err := dlmv1.NewLockServiceClient(conn).Watch(storetest.Bounded(t), &dlmv1.WatchRequest{})
		for err == nil {
			_, err = stream.Recv()
		}
	}()
	wait(t, begun, "the handler")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(over) }()
	if err := wait(t, stopped, "the shutdown"); !errors.Is(err, context.Canceled) || err.Error() == context.Canceled.Error() {
		t.Errorf("shutdown: %v; want that it was cut off, and that something was left behind", err)
	}
	if err := wait(t, served, "the end of Serve"); err != nil {
		t.Errorf("serve: %v", err)
	}
	wait(t, ended, "the client's end of the watch")
	close(letGo)
	if err := server.Shutdown(storetest.Bounded(t)); err != nil {
		t.Errorf("a shutdown once the handler has ended: %v", err)
	}
}
