package facadetest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

// served is one facade with its store.
type served struct {
	log    *slog.Logger
	store  *etcdstore.Store
	server atomic.Pointer[facade.Server] // the store may report on itself before there is one
	ended  chan error
}

func (s *served) onServing(serving bool) {
	if server := s.server.Load(); server != nil {
		server.SetServing(serving)
	}
}

// serve serves cfg.Store, which is s.store or stands in front of it.
func (s *served) serve(l net.Listener, cfg facade.Config, old *coursework.Config) {
	if old != nil {
		cfg.Coursework = coursework.New(coursework.Config{Store: s.store, Logger: s.log, Lock: old.Lock, TTL: old.TTL, Hold: old.Hold})
	}
	server := facade.New(cfg)
	s.server.Store(server)
	server.SetServing(s.store.Serving())
	s.ended = make(chan error, 1)
	go func() { s.ended <- server.Serve(l) }()
}

// stop stops the facade, then the store. A drain that was cut short is no error here: tests leave
// calls open.
func (s *served) stop(ctx context.Context) error {
	err := s.server.Load().Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, <-s.ended, s.store.Close())
}
