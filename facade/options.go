package facade

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/distributed-lock-manager/dlm/facade/oversize"
	"github.com/distributed-lock-manager/dlm/facade/wire"
)

// Limits of one server, and of one connection to it.
const (
	// MaxMessage bounds a request in bytes. It is far above what a record may have, so that a
	// record that is too large is refused with a reason; what is larger still, gRPC refuses by
	// itself, but for the coursework's API, whose clients would send it again for ever.
	MaxMessage = oversize.Limit - 1

	// MaxHeaders bounds a call's headers in bytes.
	MaxHeaders = 16 << 10

	// MaxCallBytes bounds the records and pieces of files in the unanswered calls of one
	// multiplexed stream; further calls are not read from the stream until there is room, as when
	// the network is slow.
	MaxCallBytes = 8 << 20
)

// What may be on its way in and not read yet, in bytes, of one stream and of one connection. gRPC
// would otherwise find out by itself what the network holds, with a ping and its answer for every
// other message.
const (
	streamWindow     = 128 << 10 // a larger message has its own length
	connectionWindow = 2 << 20
)

// Times.
const (
	handshakeTimeout = 5 * time.Second  // for a connection to begin to speak HTTP/2
	callTimeout      = 10 * time.Second // for a call that does not wait
	flushTimeout     = time.Second      // for the last answers to leave, in a shutdown
	ageGrace         = 30 * time.Second // for calls on a connection that has become too old
	stopTimeout      = 5 * time.Second  // for handlers to notice that their calls were cut off

	// A client may ping this often, with and without calls in progress.
	minPing = 5 * time.Second
	// A connection that was silent for pingAfter is asked whether it lives, and closed if nothing
	// comes for pingTimeout: a client whose machine died is noticed even if it waits for a lock.
	pingAfter   = 20 * time.Second
	pingTimeout = 10 * time.Second
)

// options are the gRPC server's, around s.
func options(s *service) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(watching{s.gate.credentials(), s.gate}),
		grpc.InTapHandle(s.limiter.tap),
		grpc.ForceServerCodecV2(wire.New()),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxHeaderListSize(MaxHeaders),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.MaxConcurrentStreams(uint32(s.limiter.limits.Streams)), //nolint:gosec // a small number
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingAfter, Timeout: pingTimeout,
			MaxConnectionIdle: s.limiter.limits.Idle, MaxConnectionAge: s.limiter.limits.Age, MaxConnectionAgeGrace: ageGrace,
		}),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.UnknownServiceHandler(unknown),
		grpc.WaitForHandlers(true),
	}
}
