package etcdstore

import (
	"context"
	"sync"
	"time"
)

// lastWord is how long after an election a call that was made before it may still be answered. What the old leader had handed on
// to others is applied by then; the rest is lost, and etcd would say nothing of it for seconds.
const lastWord = 500 * time.Millisecond

// health is whether the store can commit.
type health struct {
	tell func(bool) // may be nil

	mu     sync.Mutex
	ctx    context.Context // ends when it no longer can
	fail   context.CancelCauseFunc
	term   uint64          // the last leader's; 0: none was heard of
	reign  context.Context // ends with ctx, and lastWord after another leader was heard of
	depose context.CancelCauseFunc
}

func newHealth(tell func(bool)) *health {
	h := &health{tell: tell}
	h.begin()
	h.fail(ErrNoQuorum)
	return h
}

func (h *health) begin() {
	h.ctx, h.fail = context.WithCancelCause(context.Background())
	h.reign, h.depose = context.WithCancelCause(h.ctx)
}

func (h *health) while() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ctx
}

// down is closed while, or as soon as, the store cannot commit.
func (h *health) down() <-chan struct{} { return h.while().Done() }

func (h *health) up() bool { return h.while().Err() == nil }

// bound ends a call of etcd after txnTimeout, and as soon as it is known that there is no quorum to answer it, or that the
// leader is gone who would have.
func (h *health) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	h.mu.Lock()
	reign := h.reign
	h.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(reign, func() { end(ErrNoQuorum) })
	ctx, cancel := context.WithTimeoutCause(ctx, txnTimeout, ErrNoQuorum)
	return ctx, func() {
		stop()
		cancel()
		end(nil)
	}
}

// led says in which term etcd has just answered. A call that is older than a new leader, and that this one knows nothing of, ends
// without an answer.
func (h *health) led(term uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if term <= h.term {
		return
	}
	if h.term > 0 {
		depose := h.depose
		time.AfterFunc(lastWord, func() { depose(ErrNoQuorum) })
		h.reign, h.depose = context.WithCancelCause(h.ctx)
	}
	h.term = term
}

// set is called by one goroutine at a time: Open, then the probe, then Close.
func (h *health) set(up bool) {
	if h.up() == up {
		return
	}
	h.mu.Lock()
	if up {
		h.begin()
	} else {
		h.fail(ErrNoQuorum)
	}
	h.mu.Unlock()
	if h.tell != nil {
		h.tell(up)
	}
}
