package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// locks takes as many locks as it gets, and gives none of them back.
func locks(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	session, err := f.session(ctx, 10*time.Second)
	return func(ctx context.Context) error {
		f.inOrder(ctx, 1, 50_000, wide, func(call uint64) *dlmv1.StreamRequest {
			return acquire(call, session, fmt.Sprint("flood/", call), nil)
		})
		return nil
	}, err
}

// lists asks for all locks while there are many.
func lists(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	session, err := f.session(ctx, 10*time.Second)
	if err != nil {
		return nil, err
	}
	n := f.smaller(10_000, 2000)
	f.acquireAll(f.api, n, func(call uint64) *dlmv1.StreamRequest { return acquire(call, session, fmt.Sprint("flood/", call), nil) })
	err = f.steady(ctx, n, func() (int, error) { return int(f.tally.answered.Load() + f.tally.refused.Load()), nil })
	message := encode(&dlmv1.ListRequest{})
	return func(ctx context.Context) error {
		f.each(ctx, 2, 4, func(w *wire) error { return w.call(dlmv1.LockService_List_FullMethodName, message) })
		return nil
	}, err
}

// records appends the largest records to sections that it does not end, as many as these take.
func records(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	session, err := f.session(ctx, 10*time.Second)
	if err != nil {
		return nil, err
	}
	held := make([]int64, 8)
	for i := range held {
		got, err := f.api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session, Lock: fmt.Sprint("flood/", i), Request: fmt.Sprint(i)})
		if err != nil {
			return nil, err
		}
		held[i] = got.GetToken()
	}
	data, number := make([]byte, floodSize), atomic.Int64{}
	return func(ctx context.Context) error {
		f.each(ctx, 4, 4, func(w *wire) error {
			n := int(number.Add(1))
			i := n % len(held)
			return w.call(dlmv1.LockService_Append_FullMethodName, encode(&dlmv1.AppendRequest{
				Session: session, Lock: fmt.Sprint("flood/", i), Token: held[i], Request: fmt.Sprint("r", n), File: floodFile, Data: data,
			}))
		})
		return nil
	}, nil
}

// courseworkClients begins clients of the coursework's API.
func courseworkClients(_ context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(&lockservice.Int{})
	return func(ctx context.Context) error {
		f.each(ctx, 50, 20, func(w *wire) error { return w.call(lockservice.LockService_ClientInit_FullMethodName, message) })
		return nil
	}, nil
}

// courseworkAppends sends appends that are too large, whole: they are answered, not refused.
func courseworkAppends(_ context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(&lockservice.FileArgs{Filename: "file_0", Content: make([]byte, largest), ClientId: 1, RequestId: "1-1"})
	return func(ctx context.Context) error {
		f.each(ctx, 4, 16, func(w *wire) error { return w.call(lockservice.LockService_FileAppend_FullMethodName, message) })
		return nil
	}, nil
}

// healthWatches watches the server's health, which no drain and no limit of its calls stops.
func healthWatches(_ context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(&healthpb.HealthCheckRequest{})
	return func(ctx context.Context) error {
		f.never(ctx, 10, 1000, healthpb.Health_Watch_FullMethodName, message)
		return nil
	}, nil
}
