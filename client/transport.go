package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// transport carries calls over one stream to one server at a time. When the server fails, is
// silent, or says that it cannot serve, the transport moves to the next one, and sends every
// unanswered call again with the same ids. An answer counts only if it comes on the link that its
// call was last sent on.
//
// It is in seven files: this one keeps the books of the calls, outbox.go what is to be sent,
// link.go one connection, seen.go whether a server is of the client's cluster, limit.go what
// becomes of calls that a limit refuses, failover.go decides when to leave a server, and renew.go
// when to make a new connection to the same one.
type transport struct {
	cfg     Config
	journal *journal
	hooking *journal // for the hooks
	stall   time.Duration
	seen    seen
	onLink  func()                      // called, outside mu, when a link was made, before anything is sent on it
	onTold  func(*dlmv1.StreamResponse) // called, outside mu, with what a server tells without being asked
	onEnded func(*Error)                // called, outside mu, when a server says that it ends the client's sessions

	numbered atomic.Uint64 // the number of the last link
	unclear  atomic.Bool   // there is a link, and it is not known to be straight

	kick    chan struct{} // wakes the manager
	running sync.WaitGroup

	mu       sync.Mutex
	calls    map[*call]struct{}    // unanswered
	attached map[*session]struct{} // those that linger
	kept     []*link               // given up, and open until those are attached elsewhere
	sendings map[uint64]sending    // what was sent on the current link and is unanswered, by number
	queue    []*call               // to be sent on the current link, in order
	number   uint64                // last number given to a message
	order    uint64                // last place given to a call
	link     *link                 // nil: none
	heir     *link                 // the one that is to replace it, while it is made; nil: none
	changed  chan struct{}         // closed and renewed when a link is made or left
	wanted   int                   // how many want a link, though they have no call
	started  bool                  // the manager runs
	asleep   bool                  // the manager waits for a kick and nothing else
	closed   bool
	endpoint int       // index of the one in use, or of the next to be tried
	failures int       // links in a row that were of no use
	retryAt  time.Time // when the next link may be made
	looking  time.Time // since when no server has given an answer; zero: all is well
	lastErr  error     // why the last link ended
	turned   error     // why the last one was refused that was refused for who this client is; nil: one was of use since
	turnedAt time.Time // when

	following *Error    // the limit by which a stream of answers was refused that is opened again; nil: none
	limitTold time.Time // when the log was last told of a limit

	asking  *call           // the question whose cluster a link's server is of, unanswered; nil: none
	foreign map[string]bool // endpoints that said last that they are not of the client's, or went back
}

func newTransport(cfg Config, journal, hooking *journal, onLink func(), onTold func(*dlmv1.StreamResponse), onEnded func(*Error)) *transport {
	return &transport{
		cfg:      cfg,
		journal:  journal,
		hooking:  hooking,
		stall:    cfg.stall(),
		onLink:   onLink,
		onTold:   onTold,
		onEnded:  onEnded,
		kick:     make(chan struct{}, 1),
		calls:    make(map[*call]struct{}),
		attached: make(map[*session]struct{}),
		sendings: make(map[uint64]sending),
		changed:  make(chan struct{}),
	}
}

// start takes a call in charge. With an error it was not taken, and its done will not be called.
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

// want has a link made and kept for whoever wants to be told something, though there be no call: n
// more do, or fewer.
func (t *transport) want(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted += n
	if n > 0 && !t.closed {
		t.ensureManager(time.Now())
	}
}

// ensureManager makes sure that the manager runs and is awake. mu is held.
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

// forget ends a call whose answer nobody wants. It returns whether the call may have reached a
// server. An answer that arrived just before may still be on its way to done.
func (t *transport) forget(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(c)
	return c.sends > 0
}

// drop takes a call off the books, and reports whether it was on them. A call has one end, and
// whoever is told true owns it: nobody else calls done, and the owner does so after it has let mu
// go, unless the call was forgotten. mu is held.
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

// answered passes an answer on to its call, unless it says that the call could not be served.
func (t *transport) answered(l *link, msg *dlmv1.StreamResponse) {
	t.mu.Lock()
	if t.link != l {
		t.mu.Unlock()
		return
	}
	now := time.Now()
	l.received = now
	if msg.GetLost() != nil || msg.GetEnding() != nil {
		t.mu.Unlock()
		t.onTold(msg)
		return
	}
	s, ok := t.sendings[msg.GetCall()]
	if !ok {
		t.mu.Unlock()
		return // the call was forgotten, or answered before, or there was none
	}
	a := answer{msg: msg, sent: s.at, link: l.number}
	var held []*call
	if e := msg.GetError(); e != nil {
		err := streamError(e)
		if err.indeterminate() {
			if err.changedNothing {
				s.call.sends--
			}
			t.repeatRefused(l, s, err, now)
			t.mu.Unlock()
			return
		}
		if err.limited() && t.repeatLimited(l, s, msg.GetCall(), err, now) {
			t.mu.Unlock()
			return
		}
		if errors.Is(err, ErrUnauthenticated) {
			if l.usefulAt.IsZero() {
				l.unable = true
				t.leave(l, err, now)
				t.mu.Unlock()
				return
			}
			t.renewSoon(l, now)
		}
		a = answer{err: err}
		if foreign(err) && t.passOver(l, err, now) {
			t.mu.Unlock()
			return
		}
	} else {
		t.seen.take(msg)
	}
	switch {
	case !foreign(a.err):
		if s.call.says {
			t.recognized(l)
		}
	case !l.recognized:
		held = t.heldBack(l, a.err)
	}
	a.once = s.call.sends == 1
	if errors.Is(a.err, ErrLimit) {
		a.once = s.call.sends == 0
	}
	l.arrivedBytes = max(l.arrivedBytes, s.bytes)
	t.served(l, now)
	if t.drop(s.call) {
		held = append(held, s.call)
	}
	t.mu.Unlock()
	for _, c := range held {
		c.done(a)
	}
}

// current returns a link that is up, for calls outside the stream. It fails with ErrUnavailable if
// there is none until the connect timeout after since, and at once if no server is of the client's
// cluster, or if all turn it away.
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
	began := time.Now()
	for {
		if t.closed {
			return nil, ErrClosed
		}
		if l := t.link; l != nil && l.up && (l.recognized || l.refusal != nil) {
			return l, l.refusal
		}
		if err := t.turnedAway(began); err != nil {
			return nil, err
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
			return nil, t.unavailable(t.cfg.ConnectTimeout)
		case err != nil:
			return nil, err
		}
	}
}

// silence returns since when no server has given an answer that was owed; zero: all is well.
func (t *transport) silence() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.looking
}

// close ends the link, and every call with ErrClosed. It returns when nothing runs any more.
func (t *transport) close() {
	t.mu.Lock()
	t.closed = true
	for _, l := range []*link{t.link, t.heir} {
		if l != nil {
			l.cancel()
		}
	}
	for _, l := range t.kept {
		l.cancel()
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

// wake leaves a note for a goroutine that waits on ch. One note is enough for any number of
// reasons.
func wake(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// unsent notes that a server has not taken a link's stream, so that what was sent on it has changed
// nothing.
func (t *transport) unsent(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.untaken = true
	for c := range t.calls {
		if c.link == l {
			c.sends -= len(c.numbers)
			c.numbers = c.numbers[:0]
		}
	}
}

// sent reports whether a call was sent, or may have been, and may have taken effect.
func (t *transport) sent(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.sends > 0
}
