package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

const (
	pingAfter   = 10 * time.Second // grpc's floor
	pingTimeout = 5 * time.Second
	minDial     = 500 * time.Millisecond

	// What may be on its way from the server, in bytes. gRPC would otherwise measure it with a ping for every other message.
	streamWindow     = 4 << 20
	connectionWindow = 8 << 20
)

// errMoved ends the sender of a link that was given up.
var errMoved = errors.New("moved to another server")

// link is one connection and one stream to one server, for as long as it serves.
type link struct {
	t        *transport
	endpoint string
	ctx      context.Context // ends when the link is given up
	cancel   context.CancelFunc
	wake     chan struct{} // something is to be sent
	conn     *grpc.ClientConn

	// Guarded by the transport's mu.

	up       bool
	upAt     time.Time
	usefulAt time.Time // when it last carried an answer
	refused  bool      // it could not serve a call
	received time.Time // the last message
}

func newLink(t *transport, endpoint string) *link {
	l := &link{t: t, endpoint: endpoint, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// run serves the link until it fails or is given up.
func (l *link) run() {
	err := l.serve()
	l.t.suspect(l, err)
	l.cancel()
}

func (l *link) serve() error {
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connectionWindow),
		grpc.WithDisableRetry(), // the transport is the only layer that retries
		grpc.WithDisableServiceConfig(),
	}, l.t.cfg.DialOptions...)
	conn, err := grpc.NewClient(l.endpoint, options...)
	if err != nil {
		return err
	}
	l.conn = conn
	defer func() { _ = conn.Close() }()

	// A server that cannot be reached must not cost more than one that is silent.
	limit := max(minDial, l.t.stall)
	dialing := time.AfterFunc(limit, l.cancel)
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(l.ctx)
	if !dialing.Stop() {
		return fmt.Errorf("no connection within %v", limit.Round(time.Millisecond))
	}
	if err != nil {
		return rpcError(err)
	}
	l.t.linked(l)

	var sender sync.WaitGroup
	sender.Go(func() { l.send(stream) })
	defer sender.Wait()
	defer l.cancel()
	for {
		msg, err := stream.Recv()
		if err != nil {
			return rpcError(err)
		}
		l.t.answered(l, msg)
	}
}

// send is the only sender of the stream. Its errors show in the receiver as the stream's end.
func (l *link) send(stream dlmv1.LockService_StreamClient) {
	for {
		batch, err := l.t.take(l)
		if err != nil {
			return
		}
		for _, msg := range batch {
			if stream.Send(msg) != nil {
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-l.ctx.Done():
			return
		}
	}
}
