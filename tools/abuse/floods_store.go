package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// manySessions is how many are begun at most. Those of a server without limits are made in seconds.
const manySessions = 20_000

func sessions(_ context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(&dlmv1.InitRequest{Ttl: durationpb.New(2 * time.Second), Label: "abandoned"})
	return func(ctx context.Context) error {
		ctx, enough := context.WithCancel(ctx)
		defer enough()
		f.each(ctx, 50, 20, func(w *wire) error {
			if f.tally.answered.Load() >= manySessions {
				enough()
			}
			return w.call(dlmv1.LockService_Init_FullMethodName, message)
		})
		return nil
	}, nil
}

func cancels(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	session, err := f.session(ctx, 10*time.Second)
	return func(ctx context.Context) error {
		f.streams(ctx, 4, wide, func(w *wire, id uint32) error {
			for call := uint64(1); ctx.Err() == nil; call++ {
				f.tally.sent.Add(1)
				if err := w.send(id, encode(&dlmv1.StreamRequest{Call: call, Request: &dlmv1.StreamRequest_Cancel{Cancel: &dlmv1.CancelRequest{
					Session: session, Lock: fmt.Sprint("none/", call), Request: "1",
				}}}), false); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	}, err
}

// timeouts prepares waits that all end a second after the flood begins.
func timeouts(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	// As long as a server without limits needs to queue them.
	end := time.Now().Add(time.Duration(f.smaller(30, 5)) * time.Second)
	err := f.queue(ctx, "flood/waits", f.smaller(40_000, 4000), func() *durationpb.Duration { return durationpb.New(max(0, time.Until(end))) })
	pause(ctx, time.Until(end.Add(-time.Second)))
	return func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}, err
}

func inspects(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	const lock = "flood/queue"
	message := encode(&dlmv1.InspectRequest{Lock: lock})
	return func(ctx context.Context) error {
		f.each(ctx, 2, 4, func(w *wire) error { return w.call(dlmv1.LockService_Inspect_FullMethodName, message) })
		return nil
	}, f.queue(ctx, lock, f.smaller(10_000, 2000), func() *durationpb.Duration { return nil })
}

// tokens asks for what is not the caller's: with a credential that is none, with one of a session
// that is not there, and with its own for what it does not hold.
func tokens(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	session, err := f.session(ctx, 10*time.Second)
	var messages [][]byte
	for _, credential := range []string{"nobody", "00000000000000aa.0123456789abcdef0123456789abcdef", session} {
		messages = append(messages, encode(&dlmv1.ReleaseRequest{Session: credential, Lock: honestLock, Token: 1}))
	}
	return func(ctx context.Context) error {
		f.each(ctx, 4, 50, func(w *wire) error {
			for _, m := range messages {
				if err := w.call(dlmv1.LockService_Release_FullMethodName, m); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	}, err
}

// watchers watches, and reads what it is told.
func watchers(n int, prefix string) func(context.Context, *flooder) (func(context.Context) error, error) {
	const each = 50
	return func(_ context.Context, f *flooder) (func(context.Context) error, error) {
		message := encode(&dlmv1.WatchRequest{Prefix: prefix})
		return func(ctx context.Context) error {
			f.connections(ctx, n/each, wide, func(ctx context.Context, w *wire) error {
				for range each {
					if err := w.call(dlmv1.LockService_Watch_FullMethodName, message); err != nil {
						return err
					}
				}
				return w.hold(ctx)
			})
			return nil
		}, nil
	}
}

// cutWatchers opens watches and tails, and cuts their connections as soon as there is something to
// be told.
func cutWatchers(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	watch := encode(&dlmv1.WatchRequest{})
	tail := encode(&dlmv1.TailRequest{Lock: floodLock, File: floodFile})
	if err := f.publish(ctx, floodLock, floodFile, 1); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		f.connections(ctx, 10, wide, func(ctx context.Context, w *wire) error {
			for i := range 70 {
				var err error
				if i < 20 {
					err = w.call(dlmv1.LockService_Watch_FullMethodName, watch)
				} else {
					err = w.call(dlmv1.LockService_Tail_FullMethodName, tail)
				}
				if err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			return w.hold(ctx)
		})
		return nil
	}, f.traffic(ctx, "traffic/", 4)
}
