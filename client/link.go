package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

const (
	pingAfter   = 10 * time.Second // grpc's floor
	pingTimeout = 5 * time.Second
	minDial     = 500 * time.Millisecond

	// What may be on its way from the server, in bytes. Left to itself, gRPC would measure that,
	// with a ping for every other message.
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
	conn     *dial.Conn
	stream   dlmv1.LockService_StreamClient
	replaces *link // the one whose place this one is to take; nil: none

	// Guarded by the transport's mu.

	recognized bool  // its server is of the client's cluster, as far as that is known
	refusal    error // its server's word that it is not, which stands, as that of all others; nil: none

	up       bool
	openedAt time.Time
	limit    time.Duration // for the connection to be made
	number   uint64        // of those that were up, from 1
	straight bool          // nothing between here and the server ends connections
	bent     bool          // it is known not to be straight
	ended    bool          // its stream has, and was not given up before
	upAt     time.Time
	usefulAt time.Time // when it last carried an answer
	untaken  bool      // its server has refused the stream
	unable   bool      // it could not serve a call
	received time.Time // the last message
	asked    bool      // a sign of life is owed
	signed   time.Time // the last sign of life

	renewAt   time.Time // when it is to be replaced; zero: not yet
	renewedAt time.Time // when that was last tried
	refused   bool      // after it had served, its server has refused what it was shown

	sending      bool // somebody has messages that have not all been passed to gRPC
	sentBytes    int  // of the messages that were taken to be sent
	arrivedBytes int  // of those that have arrived for certain: up to the last one that was answered
}

// direct reports whether whoever has just put a single message in line may pass it to gRPC by
// itself, which spares the way over the sender's goroutine. It may while so little is on its way
// that Send does not block: gRPC holds back up to 64 KB of a stream before it makes a sender wait.
// The transport's mu is held.
func (l *link) direct() bool {
	const little = 16 << 10
	return l.up && l.recognized && !l.sending && len(l.t.queue) == 1 && l.sentBytes-l.arrivedBytes+l.t.queue[0].size <= little
}

func newLink(t *transport, endpoint string) *link {
	l := &link{t: t, endpoint: endpoint, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// run serves the link until it fails or is given up.
func (l *link) run() {
	err := l.serve()
	l.t.broken(l, err)
	if e, ok := errors.AsType[*Error](err); ok && e.sessionsEnd {
		l.t.onEnded(e)
	}
	l.cancel()
}

func (l *link) serve() error {
	options := []grpc.DialOption{
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connectionWindow),
		grpc.WithDisableRetry(), // the transport is the only layer that retries
		grpc.WithDisableServiceConfig(),
	}
	cfg := l.t.cfg
	how := dial.Config{TLS: cfg.TLS, BearerFile: cfg.BearerFile, Proxy: cfg.Proxy}
	conn, err := how.Server(l.endpoint, append(options, cfg.DialOptions...)...)
	if err != nil {
		return err
	}
	l.conn = conn
	defer func() { _ = conn.Close() }()

	stream, err := l.establish()
	if err != nil {
		return err
	}
	l.stream = stream
	l.t.linked(l)

	var sender sync.WaitGroup
	sender.Go(l.send)
	defer sender.Wait()
	defer l.cancel()
	l.t.reached(l, straight(stream))
	for first := true; ; first = false {
		msg, err := stream.Recv()
		if err != nil {
			err := rpcError(err)
			if first && err.Reason == "UNAUTHENTICATED" && !accepted(stream) {
				l.t.unsent(l)
			}
			return err
		}
		l.t.answered(l, msg)
	}
}

// send sends what others do not send by themselves.
func (l *link) send() {
	for {
		batch, err := l.t.take(l)
		if err != nil {
			return
		}
		if len(batch) > 0 {
			l.pass(batch)
			continue
		}
		select {
		case <-l.wake:
		case <-l.ctx.Done():
			return
		}
	}
}

// pass hands messages that were taken to gRPC. An error shows in the receiver too, as the stream's
// end.
func (l *link) pass(batch []*dlmv1.StreamRequest) {
	for _, msg := range batch {
		if l.stream.Send(msg) != nil {
			break
		}
	}
	l.t.passed(l)
}
