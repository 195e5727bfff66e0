package facade

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

// Config is what a server is made of.
type Config struct {
	Store  Store        // not closed by the server
	Logger *slog.Logger // one line a call; nil: discards
	// Limits are what the clients may take; the zero Limits: DefaultLimits.
	Limits Limits
	// Refused is told, from any goroutine, why something was refused: a limit's name,
	// UNAUTHENTICATED or PERMISSION_DENIED; nil: nobody is.
	Refused func(why string)
	// Called is told of each call that has ended, from any goroutine, and must not block; nil:
	// nobody is.
	Called func(Called)
	// Tracer makes a span of each call; nil: none is made.
	Tracer trace.Tracer
	// Access says who may call; the zero Access: anybody.
	Access Access
	// NoReflection keeps the server from telling what calls it has.
	NoReflection bool
	// Coursework is served as well, on the same port; nil: it is not.
	Coursework *coursework.Service
}

// Server serves a store over gRPC: dlm.v1.LockService, the coursework's LockService,
// grpc.health.v1.Health and reflection.
type Server struct {
	grpc    *grpc.Server
	health  *health.Server
	service *service
	drain   *drain
	limiter *limiter
	gate    *gate

	services []string // whose health is told, besides that of ""

	giveUp sync.Once
	gaveUp chan struct{} // closed when Shutdown has left handlers behind
}

// New returns a server. Its health is NOT_SERVING until SetServing says otherwise, though it serves
// calls before.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	limiter := newLimiter(cfg)
	service := &service{
		store: cfg.Store, logger: cfg.Logger, drain: newDrain(), limiter: limiter, gate: newGate(cfg, limiter), called: cfg.Called,
		tracer: cfg.Tracer,
	}
	s := &Server{
		grpc: grpc.NewServer(options(service)...), health: health.NewServer(), service: service, drain: service.drain, limiter: limiter, gate: service.gate,
		services: []string{serviceName}, gaveUp: make(chan struct{}),
	}
	dlmv1.RegisterLockServiceServer(s.grpc, service)
	if cfg.Coursework != nil {
		cfg.Coursework.Register(s.grpc)
		s.services = append(s.services, lockservice.LockService_ServiceDesc.ServiceName)
	}
	s.SetServing(false)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	if !cfg.NoReflection {
		reflection.Register(s.grpc) // v1 and, for tools that know no other, v1alpha
	}
	return s
}

// Serve serves calls on a listener until Shutdown, and closes the listener. It returns nil if
// Shutdown ended it, else why the listener failed. It may be called for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { s.limiter.budget.Run(ctx) })
	watching.Go(func() { s.gate.watch(ctx) })
	defer watching.Wait()
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.limiter.budget.Listener(l)) }() // which goes on for as long as any handler does
	select {
	case err := <-served:
		if !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}
	case <-s.gaveUp:
	}
	return nil
}

// SetServing sets the health of "" and of each service that has calls for locks. After Shutdown it
// has no effect.
func (s *Server) SetServing(serving bool) {
	now := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		now = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", now)
	for _, service := range s.services {
		s.health.SetServingStatus(service, now)
	}
}

// Stale returns why what the files have that say who may call cannot be used now, so that what they
// had before counts: for a metric, or an alert. Both are nil if all is well.
func (s *Server) Stale() (certificates, policy error) {
	access := &s.gate.access
	if access.Certificates != nil {
		certificates = access.Certificates.Err()
	}
	if access.Policy != nil {
		policy = access.Policy.Err()
	}
	return certificates, policy
}

// errStuck is that a handler does not end though its call has.
var errStuck = errors.New("calls do not end and were left behind")

// Shutdown stops the server and waits for all that it started:
//
//  1. Health is NOT_SERVING.
//  2. New calls are refused with SHUTTING_DOWN.
//  3. Waits end with SHUTTING_DOWN and keep their place in the queue; so do watches and tails, and
//     multiplexed streams as soon as their other calls have ended.
//  4. The other calls in progress go on to their end.
//  5. Connections are closed once they have carried the last answers.
//
// It returns nil, or the error of ctx if that ended first: then what was left has been cut off. A
// repeat, also during the first, does the same: one whose ctx has ended cuts off at once.
//
// Whatever a handler does, it returns soon after ctx has ended. A handler that goes on though its
// call was cut off is left behind, which is an error of its own.
func (s *Server) Shutdown(ctx context.Context) error {
	var waiting sync.WaitGroup
	done := func(wait func()) <-chan struct{} {
		over := make(chan struct{})
		waiting.Go(func() {
			wait()
			close(over)
		})
		return over
	}

	s.health.Shutdown()
	s.drain.close()
	var cutOff error
	select {
	case <-done(s.drain.calls.Wait):
	case <-ctx.Done():
		cutOff = ctx.Err()
	}
	s.drain.leave()
	if cutOff == nil {
		flush, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		select {
		case <-done(s.grpc.GracefulStop):
		case <-flush.Done(): // a client that does not hang up, or does not read: all calls have ended
			cutOff = ctx.Err()
		}
	}
	stopped := done(s.grpc.Stop)
	ended := make(chan struct{})
	go func() {
		<-stopped
		s.drain.receivers.Wait()
		waiting.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return cutOff
	case <-time.After(stopTimeout):
		s.giveUp.Do(func() { close(s.gaveUp) })
		return errors.Join(errStuck, cutOff)
	}
}
