package client_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// stuck is a log whose reader stands still, until it is released.
type stuck struct {
	slog.Handler
	reached  chan struct{}
	once     sync.Once
	released chan struct{}
}

func (s *stuck) Enabled(context.Context, slog.Level) bool { return true }

func (s *stuck) Handle(context.Context, slog.Record) error {
	s.once.Do(func() { close(s.reached) })
	<-s.released
	return nil
}

// A holder learns in time that it can no longer be certain of its lock, and Close returns, though
// nobody takes the client's log lines off its hands.
func TestStuckLogStopsNobody(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	log := &stuck{Handler: slog.DiscardHandler, reached: make(chan struct{}), released: make(chan struct{})}
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 3 * time.Second, Logger: slog.New(log)})
	t.Cleanup(func() { close(log.released) })
	l := lock(t, c, fresh(t))
	n.Stop()
	select {
	case <-log.reached:
	case <-time.After(patience):
		t.Fatal("the loss of the server is not logged")
	}
	expiry := l.Expiry()
	select {
	case <-l.Context().Done():
		if late := time.Since(expiry); late > 0 {
			t.Errorf("the hold ended %v after its lease may have", late)
		}
	case <-time.After(time.Until(expiry) + time.Second):
		t.Error("the hold goes on behind the end of its lease")
	}
	closed := make(chan struct{})
	go func() {
		_ = c.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("Close does not return")
	}
}
