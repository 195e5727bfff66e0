package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// transport carries calls over one stream to one server at a time. When the server fails, is silent, or says that it
// cannot serve, the transport moves to the next one and sends every unanswered call again, with the same ids. Answers
// count only when they come on the link that the call was last sent on.
type transport struct {
	cfg    Config
	log    *slog.Logger
	stall  time.Duration
	onLink func() // called, outside mu, when a link was made

	kick    chan struct{} // wakes the manager
	running sync.WaitGroup

	mu       sync.Mutex
	calls    map[*call]struct{} // unanswered
	sendings map[uint64]sending // by number, those of the current link
	queue    []*call            // to be sent on the current link, in order
	number   uint64             // last number given to a message
	order    uint64             // last place given to a call
	link     *link              // nil: none, or being given up
	changed  chan struct{}      // closed and renewed when link goes up or away
	wanted   int                // how many wait for a link without a call
	started  bool               // the manager runs
	asleep   bool               // the manager waits for a kick alone
	closed   bool
	endpoint int       // index of the one in use, or to be tried next
	failures int       // links in a row that were of no use
	retryAt  time.Time // not before this, the next link
	looking  time.Time // since when no server has given an answer; zero: all is well
	lastErr  error     // why the last link ended
}

func newTransport(cfg Config, onLink func()) *transport {
	return &transport{
		cfg:      cfg,
		log:      cfg.Logger,
		stall:    cfg.stall(),
		onLink:   onLink,
		kick:     make(chan struct{}, 1),
		calls:    make(map[*call]struct{}),
		sendings: make(map[uint64]sending),
		changed:  make(chan struct{}),
	}
}

// start takes a call in charge. An error means that it was not taken, and that done will not be called.
func (t *transport) start(c *call) error {
	if c.size = proto.Size(c.message()); c.size > maxMessage {
		return &Error{Reason: "TOO_LARGE", Code: codes.ResourceExhausted, Message: fmt.Sprintf("a call of %d bytes, more than %d", c.size, maxMessage)}
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ErrClosed
	}
	now := time.Now()
	if c.started.IsZero() {
		c.started = now
	}
	t.order++
	c.order = t.order
	t.calls[c] = struct{}{}
	t.line(c)
	t.ensureManager(now)
	l := t.link
	var batch []*dlmv1.StreamRequest
	if l != nil && l.direct() {
		batch = t.next(l)
	} else {
		t.hasten()
	}
	t.mu.Unlock()
	if len(batch) > 0 {
		l.pass(batch)
	}
	return nil
}

// ensureManager makes sure that the manager works. mu is held.
func (t *transport) ensureManager(now time.Time) {
	if !t.started {
		t.started = true
		t.running.Go(t.manage)
	}
	if t.link == nil || !t.link.up {
		if t.looking.IsZero() {
			t.looking = now
		}
	}
	if t.link == nil || t.asleep {
		wake(t.kick)
	}
}

// forget ends a call whose answer nobody wants. It tells whether the call may have reached a server.
func (t *transport) forget(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(c)
	return c.link != nil
}

// drop takes a call off the books and reports whether it was on them: a call has one end, and whoever is told true owns
// it, and calls done unless it was forgotten. mu is held.
func (t *transport) drop(c *call) bool {
	if c.ended {
		return false
	}
	c.ended = true
	delete(t.calls, c)
	for _, n := range c.numbers {
		delete(t.sendings, n)
	}
	return true
}

// answered gives a call its answer. An answer that the call could not be served sends it elsewhere.
func (t *transport) answered(l *link, msg *dlmv1.StreamResponse) {
	t.mu.Lock()
	if t.link != l {
		t.mu.Unlock()
		return
	}
	now := time.Now()
	l.received = now
	s, ok := t.sendings[msg.GetCall()]
	if !ok {
		t.mu.Unlock()
		return // forgotten, or answered before
	}
	a := answer{msg: msg, sent: s.at}
	if e := msg.GetError(); e != nil {
		err := streamError(e)
		if err.indeterminate() {
			t.repeatRefused(l, s, err, now)
			t.mu.Unlock()
			return
		}
		a = answer{err: err}
	}
	l.arrivedBytes = max(l.arrivedBytes, s.bytes)
	t.served(l, now)
	ended := t.drop(s.call)
	t.mu.Unlock()
	if ended {
		s.call.done(a)
	}
}

// current gives a link that is up, for calls outside the stream. It fails with ErrUnavailable when there is none until
// the connect timeout after since.
func (t *transport) current(ctx context.Context, since time.Time) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	timer := time.NewTimer(time.Until(since.Add(t.cfg.ConnectTimeout)))
	defer timer.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted++
	defer func() { t.wanted-- }()
	for {
		if t.closed {
			return nil, ErrClosed
		}
		if t.link != nil && t.link.up {
			return t.link, nil
		}
		t.ensureManager(time.Now())
		changed := t.changed
		t.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			err = ErrUnavailable
		}
		t.mu.Lock()
		switch {
		case errors.Is(err, ErrUnavailable):
			return nil, t.unavailable()
		case err != nil:
			return nil, err
		}
	}
}

// close ends the link and every call with ErrClosed, and returns when nothing runs any more.
func (t *transport) close() {
	t.mu.Lock()
	t.closed = true
	if t.link != nil {
		t.link.cancel()
	}
	var ended []*call
	for c := range t.calls {
		if t.drop(c) {
			ended = append(ended, c)
		}
	}
	t.announce()
	wake(t.kick)
	t.mu.Unlock()
	for _, c := range ended {
		c.done(answer{err: ErrClosed})
	}
	t.running.Wait()
}

// wake leaves a note for a goroutine that waits on ch.
func wake(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
