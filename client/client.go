package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// closeTimeout bounds Close. What is not answered by then ends with the session's TTL. If no server
// has answered before, there is less hope.
const (
	closeTimeout = 2 * time.Second
	lastTry      = closeTimeout / 4
)

// Client talks to a cluster of dlm servers. It is safe for concurrent use; one for a process is
// enough.
type Client struct {
	cfg     Config
	journal *journal
	hooking *journal // what the hooks are told, which are as much the user's as the log's handler
	atLoss  func()   // for tests: called when a session is lost, before its holders are told; nil: nothing
	wire    *transport
	lanes   lanes

	closing  chan struct{}  // closed when Close begins
	finished chan struct{}  // closed when it is done
	running  sync.WaitGroup // one for each session

	mu       sync.Mutex
	sessions []*session // that live
	opening  *opening   // the Init that is unanswered; nil: none
	closed   bool
	closeErr error
}

// opening is a session being made, for everybody who needs one.
type opening struct {
	call *call
	done chan struct{}
	err  error
}

// New makes a client of the servers at these endpoints (host:port), with the defaults of [Config].
// It does not connect: the first call does. It fails if an endpoint is malformed.
func New(endpoints ...string) (*Client, error) {
	return Open(Config{Endpoints: endpoints})
}

// Open makes a client. It does not connect: the first call does. It fails if the configuration is
// faulty, and its error names every fault: see [Config.Validate].
func Open(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:      cfg,
		journal:  &journal{log: cfg.Logger, room: journalRoom, what: "log lines"},
		hooking:  &journal{log: cfg.Logger, room: HooksRoom, what: "calls of hooks"},
		closing:  make(chan struct{}),
		finished: make(chan struct{}),
	}
	c.wire = newTransport(cfg, c.journal, c.hooking, c.refresh, c.told, c.ended)
	return c, nil
}

// Close ends the client. Everything it holds is lost, sections that are still open are undone, and
// calls that wait fail with [ErrClosed]. Close waits for releases, commits and discards that are on
// their way, for 2 s in all, or half a second if servers have owed an answer for that long. A
// repeat returns the same error.
//
//   - nil: the servers know that the sessions have ended.
//   - [ErrUnavailable]: no server answered in time. What was held ends with its TTL.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		<-c.finished
		return c.closeErr
	}
	c.closed = true
	close(c.closing)
	sessions := slices.Clone(c.sessions)
	c.mu.Unlock()

	for _, s := range sessions {
		s.lose(ErrClosed)
	}
	limit := closeTimeout
	if since := c.wire.silence(); !since.IsZero() && time.Since(since) >= lastTry {
		limit = lastTry
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, s := range sessions {
		select {
		case <-s.settled:
		case <-ctx.Done():
			c.closeErr = fmt.Errorf("close: %w: the session ends with its TTL", ErrUnavailable)
		}
		if c.closeErr != nil {
			break
		}
	}
	c.wire.close()
	c.running.Wait()
	c.hooking.close(ctx)
	c.journal.close(ctx)
	close(c.finished)
	return c.closeErr
}

// Cluster returns the id of the cluster that the client's first session was begun with. Empty: none
// was begun yet, or its server does not say.
func (c *Client) Cluster() string { return c.wire.seen.id() }

// refresh has every session ask a server that was just reached about what the session holds.
func (c *Client) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		s.refresh()
	}
}

func (c *Client) remove(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions = slices.DeleteFunc(c.sessions, func(o *session) bool { return o == s })
}

// enlist finds room for an acquisition in a session that lives, and makes a session if there is
// none. since is when the caller began to look for a server, b how long it does.
func (c *Client) enlist(ctx context.Context, lock, traceparent string, since time.Time, b bound) (*acquisition, error) {
	for tries := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		for _, s := range c.sessions {
			if a := s.enlist(lock); a != nil {
				c.mu.Unlock()
				return a, nil
			}
		}
		o := c.opening
		own := o == nil
		if own {
			o = c.init(since, b, traceparent)
		}
		c.mu.Unlock()
		if err := c.await(ctx, o, since, b); err != nil {
			return nil, err
		}
		// The Init may have been begun by somebody who had looked for a server long before this
		// caller, and gave up: this caller has time left, and tries again. So it does if the
		// session ended before it had begun, which a server that is slow enough may say.
		late := time.Since(since) >= c.cfg.ConnectTimeout
		switch {
		case o.err == nil, !own && !late && errors.Is(o.err, ErrUnavailable):
		case !own && errors.Is(o.err, ErrLimit): // for which its caller waited less long than this one may
		case late && errors.Is(o.err, ErrSessionExpired):
			return nil, fmt.Errorf("%w: every session ended before it had begun: %w", ErrUnavailable, o.err)
		case errors.Is(o.err, ErrSessionExpired):
			tries++
			select {
			case <-time.After(backoff(tries)):
			case <-ctx.Done():
			case <-c.closing:
			}
		default:
			return nil, o.err
		}
	}
}

// await returns when a session was made, or was not, and fails if the caller's patience ends
// before.
func (c *Client) await(ctx context.Context, o *opening, since time.Time, b bound) error {
	var over <-chan time.Time
	if !b.by.IsZero() {
		timer := time.NewTimer(time.Until(b.by))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return c.wire.orLimit(o.call, ctx.Err())
	case <-c.closing:
		return ErrClosed
	case <-over:
		return c.wire.orLimit(o.call, c.wire.unanswered(since))
	}
}

// init asks for a session. mu is held.
func (c *Client) init(since time.Time, b bound, traceparent string) *opening {
	o := &opening{done: make(chan struct{})}
	c.opening = o
	o.call = &call{
		started: since,
		bound:   b,
		message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Init{
			Init: c.initMessage(),
		}}),
		says:        true,
		traceparent: traceparent,
		done: func(a answer) {
			c.mu.Lock()
			defer c.mu.Unlock()
			m := a.msg.GetInit()
			switch {
			case a.err != nil:
				o.err = a.err
			case m == nil || !lasting(m.GetTtl().AsDuration()):
				o.err = errMalformed
			case c.closed:
				o.err = ErrClosed // nobody uses the session, which ends with its TTL
			default:
				c.sessions = append(c.sessions, c.newSession(m, a))
			}
			c.opening = nil
			close(o.done)
		},
	}
	if err := c.wire.start(o.call); err != nil {
		o.err = err
		c.opening = nil
		close(o.done)
	}
	return o
}

func (c *Client) initMessage() *dlmv1.InitRequest {
	m := &dlmv1.InitRequest{Ttl: durationpb.New(c.cfg.TTL), Label: c.cfg.Label, TakesLost: true, Seen: c.wire.seen.message()}
	if c.cfg.Linger > 0 {
		m.Linger = durationpb.New(c.cfg.Linger)
	}
	return m
}
