package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// received is a client's stream whose messages a test sees before the client does, and may change
// or hold up.
type received struct {
	grpc.ClientStream
	see func(*dlmv1.StreamResponse)
}

func (s received) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if r, ok := m.(*dlmv1.StreamResponse); ok && err == nil {
		s.see(r)
	}
	return err
}

// seeing has a client show what it receives.
func seeing(see func(*dlmv1.StreamResponse)) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStreamInterceptor(func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		s, err := next(ctx, desc, cc, method, opts...)
		if err != nil {
			return nil, err
		}
		return received{s, see}, nil
	})}
}

// A call ends once: an answer that arrives when the client has just been closed comes too late.
func TestAnswerAfterClose(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		held func(*dlmv1.StreamResponse) bool
		call func(ctx context.Context, c *client.Client) error
		want error
	}{
		"Init": {
			func(r *dlmv1.StreamResponse) bool { return r.GetInit() != nil },
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Lock(ctx, "a")
				return err
			},
			client.ErrClosed,
		},
		"Read": {
			func(r *dlmv1.StreamResponse) bool { return r.GetRead() != nil },
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Read(ctx, "a", "f")
				return err
			},
			client.ErrClosed,
		},
		"Release": {
			func(r *dlmv1.StreamResponse) bool { return r.GetRelease() != nil },
			func(ctx context.Context, c *client.Client) error {
				return c.Do(ctx, "a", func(context.Context, *client.Lock) error { return nil })
			},
			client.ErrOutcomeUnknown,
		},
		"Close": {
			func(r *dlmv1.StreamResponse) bool { return r.GetClose() != nil },
			func(ctx context.Context, c *client.Client) error {
				l, err := c.Lock(ctx, "a")
				if err != nil {
					return err
				}
				go func() { _ = c.Close() }()
				<-l.Context().Done()
				return context.Cause(l.Context())
			},
			client.ErrClosed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, usually)
			reached, resume := make(chan struct{}), make(chan struct{})
			arrived, goOn := sync.OnceFunc(func() { close(reached) }), sync.OnceFunc(func() { close(resume) })
			c := open(t, client.Config{Endpoints: []string{s.addr}, DialOptions: seeing(func(r *dlmv1.StreamResponse) {
				if tc.held(r) {
					arrived()
					<-resume
				}
			})})
			t.Cleanup(goOn)
			called := make(chan error, 1)
			go func() { called <- tc.call(t.Context(), c) }()
			<-reached
			closed := make(chan error, 1)
			go func() { closed <- c.Close() }()
			// Nobody reads the stream now, so this can only end by the client's own hand.
			section := c.Section("a", "id.secret", 1)
			storetest.Eventually(t, "the end of all calls", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				return errors.Is(section.Append(ctx, "f", nil), client.ErrClosed)
			})
			goOn()
			is(t, <-called, tc.want)
			if err := <-closed; err != nil {
				is(t, err, client.ErrUnavailable) // the session's own end was unanswered
			}
		})
	}
}

// Whatever is going on, and however many goroutines close the client, everything returns.
func TestCloseDuringEverything(t *testing.T) {
	t.Parallel()
	for round := range 30 {
		c := open(t, client.Config{Endpoints: []string{endpoint}})
		var running sync.WaitGroup
		busy := make(chan struct{}, 100)
		for name, op := range operations {
			if name == "Lock" {
				continue // it would keep the others out
			}
			for range 3 {
				running.Go(func() {
					for {
						select {
						case busy <- struct{}{}:
						default:
						}
						if errors.Is(op(t.Context(), c), client.ErrClosed) {
							return
						}
					}
				})
			}
		}
		follow := func(failed error) {
			if failed != nil && !errors.Is(failed, client.ErrClosed) && !errors.Is(failed, client.ErrUnavailable) {
				t.Error(failed)
			}
		}
		running.Go(func() {
			for _, err := range c.Watch(t.Context(), "") {
				follow(err)
			}
		})
		running.Go(func() {
			for _, err := range c.Tail(t.Context(), "a", "f", 0) {
				follow(err)
			}
		})
		for range round { // so that it comes at different moments
			<-busy
		}
		for range 2 {
			running.Go(func() {
				if err := c.Close(); err != nil && !errors.Is(err, client.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		done := make(chan struct{})
		go func() {
			running.Wait()
			close(done)
		}()
		storetest.Await(t, "all calls and Close to return", done)
	}
}
