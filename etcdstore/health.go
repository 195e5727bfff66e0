package etcdstore

import (
	"context"
	"sync"
)

// health is whether the store can commit.
type health struct {
	tell func(bool) // may be nil

	mu   sync.Mutex
	ctx  context.Context // ends when it no longer can
	fail context.CancelCauseFunc
}

func newHealth(tell func(bool)) *health {
	h := &health{tell: tell}
	h.ctx, h.fail = context.WithCancelCause(context.Background())
	h.fail(ErrNoQuorum)
	return h
}

func (h *health) while() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ctx
}

// down is closed while, or as soon as, the store cannot commit.
func (h *health) down() <-chan struct{} { return h.while().Done() }

func (h *health) up() bool { return h.while().Err() == nil }

// bound ends a call of etcd after txnTimeout, and as soon as it is known that there is no quorum to answer it.
func (h *health) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.while(), func() { end(ErrNoQuorum) })
	ctx, cancel := context.WithTimeoutCause(ctx, txnTimeout, ErrNoQuorum)
	return ctx, func() {
		stop()
		cancel()
		end(nil)
	}
}

// set is called by one goroutine at a time: Open, then the probe, then Close.
func (h *health) set(up bool) {
	if h.up() == up {
		return
	}
	h.mu.Lock()
	if up {
		h.ctx, h.fail = context.WithCancelCause(context.Background())
	} else {
		h.fail(ErrNoQuorum)
	}
	h.mu.Unlock()
	if h.tell != nil {
		h.tell(up)
	}
}
