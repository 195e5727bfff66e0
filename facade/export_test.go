package facade

import (
	"log/slog"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// MaxLosses bounds the losses of a stream that have not been sent.
const MaxLosses = maxLosses

// RefuseCalls makes the server take no more calls, as Shutdown does, and ends none of those in
// progress.
func (s *Server) RefuseCalls() {
	s.drain.mu.Lock()
	defer s.drain.mu.Unlock()
	s.drain.closed = true
}

// Multiplex serves one multiplexed stream on a store.
func Multiplex(store Store, stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	log := slog.New(slog.DiscardHandler)
	cfg := Config{Store: store, Logger: log}
	limiter := newLimiter(cfg)
	s := &service{store: store, logger: log, drain: newDrain(), limiter: limiter, gate: newGate(cfg, limiter)}
	defer s.drain.receivers.Wait()
	return s.Stream(stream)
}
