package commit

import (
	"context"
	"sync"
	"time"
)

// Timeout bounds one call of etcd: long enough for an election and a slow disk, short enough to
// tell a client to look elsewhere.
const Timeout = 5 * time.Second

// lastWord is how long after an election a call that was made before it may still be answered. What
// the old leader had handed on to others is nearly always applied by then; the rest is lost, and
// etcd would say nothing of it for seconds. To be told too early is no harm but a repeat.
const lastWord = 200 * time.Millisecond

// Health is whether etcd can commit, as far as is known: somebody else finds out, and sets it.
type Health struct {
	tell func(up bool) // may be nil

	mu     sync.Mutex
	ctx    context.Context // ends when it no longer can
	fail   context.CancelCauseFunc
	term   uint64          // the last leader's; 0: none was heard of
	reign  context.Context // ends with ctx, and lastWord after another leader was heard of
	depose context.CancelCauseFunc
}

// NewHealth is one that begins with not being able to. tell hears of each change, and may be nil.
func NewHealth(tell func(up bool)) *Health {
	h := &Health{tell: tell}
	h.begin()
	h.fail(ErrNoQuorum)
	return h
}

func (h *Health) begin() {
	h.ctx, h.fail = context.WithCancelCause(context.Background())
	h.reign, h.depose = context.WithCancelCause(h.ctx)
}

func (h *Health) while() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ctx
}

// Down returns a channel that is closed while, or as soon as, etcd cannot commit.
func (h *Health) Down() <-chan struct{} { return h.while().Done() }

// Up reports whether etcd can commit.
func (h *Health) Up() bool { return h.while().Err() == nil }

// Bound ends a call of etcd after Timeout, and as soon as it is known that there is no quorum to
// answer it, or that the leader is gone who would have.
func (h *Health) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	h.mu.Lock()
	reign := h.reign
	h.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(reign, func() { end(ErrNoQuorum) })
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, ErrNoQuorum)
	return ctx, func() {
		stop()
		cancel()
		end(nil)
	}
}

// Led notes in which term etcd has just answered. A call that is older than a new leader, and that
// this one knows nothing of, ends without an answer.
func (h *Health) Led(term uint64) {
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

// Set is called by one goroutine at a time.
func (h *Health) Set(up bool) {
	if h.Up() == up {
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
