//go:build scenarios

package scenarios_test

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// refused makes calls of both APIs that a server without a majority could only lie to.
func refused(ctx context.Context, s *stage, addr string) {
	s.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	defer conn.Close()
	old, api := lockservice.NewLockServiceClient(conn), dlmv1.NewLockServiceClient(conn)
	for name, call := range map[string]func(ctx context.Context) (any, error){
		"client_init": func(ctx context.Context) (any, error) { return old.ClientInit(ctx, &lockservice.Int{}) },
		"heartbeat":   func(ctx context.Context) (any, error) { return old.Heartbeat(ctx, &lockservice.Heartbeat{ClientId: 1}) },
		"lock_acquire": func(ctx context.Context) (any, error) {
			return old.LockAcquire(ctx, &lockservice.LockArgs{ClientId: 1, RequestId: "x"})
		},
		"getCurrent_lock_holder": func(ctx context.Context) (any, error) {
			return old.GetCurrentLockHolder(ctx, &lockservice.CurrentLockHolder{ClientId: 1})
		},
		"Init": func(ctx context.Context) (any, error) { return api.Init(ctx, &dlmv1.InitRequest{}) },
		"Read": func(ctx context.Context) (any, error) {
			return api.Read(ctx, &dlmv1.ReadRequest{Lock: oneLock, File: "file_0"})
		},
		"Inspect": func(ctx context.Context) (any, error) {
			return api.Inspect(ctx, &dlmv1.InspectRequest{Lock: oneLock})
		},
	} {
		answer, err := call(ctx)
		if code := status.Code(err); code != codes.Unavailable && ctx.Err() == nil {
			s.Errorf("%s without a majority: %v, %v", name, answer, err)
		}
	}
	began := time.Now()
	_, err = old.Ping(ctx, &lockservice.Empty{})
	if took := time.Since(began); status.Code(err) != codes.Unavailable || took < 700*time.Millisecond || took > 3*time.Second {
		if ctx.Err() == nil {
			s.Errorf("Ping without a majority: %v after %v, want UNAVAILABLE after a second", err, took)
		}
	}
}
