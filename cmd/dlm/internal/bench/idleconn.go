package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// idleCalls is how many Inits, or Closes, all connections together have unanswered.
const idleCalls = 256

// idleConn is one connection with its share of the sessions. It speaks the API's stream itself: the
// SDK makes a session only where it needs one.
type idleConn struct {
	grpc   *dial.Conn
	ttl    time.Duration
	room   int // Inits, or Closes, that may be unanswered
	meter  *load.Meter
	counts atomic.Bool   // the clock runs
	news   chan struct{} // something was answered

	mu       sync.Mutex
	want     int                 // sessions
	asked    int                 // Inits sent
	made     int                 // Inits answered
	calls    map[uint64]idleCall // unanswered
	number   uint64              // of the last call
	sessions []idleSession       // that no call is about; the next to renew first
	finished bool                // all sessions have ended
	err      error               // why the stream is of no use
}

// idleCall is a call and what it is about.
type idleCall struct {
	sent       time.Time
	credential string // empty: an Init
}

type idleSession struct {
	credential string
	due        time.Time // its next heartbeat
}

func dialIdle(endpoint string, way dial.Config, sessions, room int, ttl time.Duration, meter *load.Meter) (*idleConn, error) {
	conn, err := way.Server(endpoint)
	if err != nil {
		return nil, fmt.Errorf("connect to %q: %w", endpoint, err)
	}
	return &idleConn{
		grpc:  conn,
		ttl:   ttl,
		room:  room,
		meter: meter,
		news:  make(chan struct{}, 1),
		want:  sessions,
		calls: make(map[uint64]idleCall),
	}, nil
}

// run makes the sessions, calls made, keeps them alive until ending is closed, and ends them. made
// is called in any case.
func (c *idleConn) run(ctx context.Context, made func(), ending <-chan struct{}) error {
	made = sync.OnceFunc(made)
	defer made()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := dlmv1.NewLockServiceClient(c.grpc).Stream(ctx)
	if err != nil {
		return err
	}
	var receiving sync.WaitGroup
	receiving.Go(func() {
		defer cancel()
		for {
			resp, err := stream.Recv()
			if err == nil {
				err = c.answered(resp)
			}
			if err != nil {
				c.ended(ctx, err)
				return
			}
		}
	})
	err = c.send(ctx, stream, made, ending)
	if err != nil && !errors.Is(err, io.EOF) { // by which gRPC says that the receiver knows why
		cancel()
	}
	receiving.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return err
}

// send is the only sender of the stream.
func (c *idleConn) send(ctx context.Context, stream dlmv1.LockService_StreamClient, made func(), ending <-chan struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	end := false
	for {
		req, next := c.next(end)
		if req != nil {
			if err := stream.Send(req); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			continue
		}
		allMade, allEnded := c.state()
		if allMade {
			made()
		}
		if end && allEnded {
			return stream.CloseSend()
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-c.news:
		case <-ending:
			end, ending = true, nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next takes the call that is to be sent now, or returns when there may be one: a heartbeat that is
// due, an Init while sessions are missing, and at the end a Close for each.
func (c *idleConn) next(end bool) (*dlmv1.StreamRequest, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	later := now.Add(c.ttl)
	room := len(c.calls) < c.room
	if len(c.sessions) > 0 {
		s := c.sessions[0]
		later = s.due
		switch {
		case !now.Before(s.due):
			c.sessions = c.sessions[1:]
			return c.call(now, s.credential, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{
				Heartbeat: &dlmv1.HeartbeatRequest{Session: s.credential},
			}}), now
		case end && room:
			c.sessions = c.sessions[1:]
			return c.call(now, s.credential, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Close{
				Close: &dlmv1.CloseRequest{Session: s.credential},
			}}), now
		}
	}
	if c.asked < c.want && !end && room {
		c.asked++
		return c.call(now, "", &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Init{
			Init: &dlmv1.InitRequest{Ttl: durationpb.New(c.ttl), Label: "dlm bench"},
		}}), now
	}
	return nil, later
}

// call numbers a call. mu is held.
func (c *idleConn) call(now time.Time, credential string, req *dlmv1.StreamRequest) *dlmv1.StreamRequest {
	c.number++
	req.Call = c.number
	c.calls[req.Call] = idleCall{sent: now, credential: credential}
	return req
}

// state reports whether all sessions are there, and whether none is any more.
func (c *idleConn) state() (made, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished = len(c.sessions) == 0 && len(c.calls) == 0
	return c.made == c.want, c.finished
}

// answered takes an answer.
func (c *idleConn) answered(resp *dlmv1.StreamResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	call, ok := c.calls[resp.GetCall()]
	if !ok {
		return fmt.Errorf("an answer to call %d, which was not made", resp.GetCall())
	}
	delete(c.calls, resp.GetCall())
	beat := c.ttl / 3
	due := call.sent.Add(beat)
	switch r := resp.GetResponse().(type) {
	case *dlmv1.StreamResponse_Init:
		c.made++
		// As if the sessions had come one by one, and not all at once.
		due = call.sent.Add(beat * time.Duration(c.made) / time.Duration(c.want))
		c.lives(idleSession{r.Init.GetSession(), due})
	case *dlmv1.StreamResponse_Heartbeat:
		if c.counts.Load() {
			c.meter.Add(time.Since(call.sent))
		}
		c.lives(idleSession{call.credential, due})
	case *dlmv1.StreamResponse_Close:
	case *dlmv1.StreamResponse_Error:
		return errors.New(r.Error.GetMessage())
	default:
		return fmt.Errorf("an answer of type %T", r)
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
	return nil
}

// lives gives a session its place among those that are to be renewed. mu is held.
func (c *idleConn) lives(s idleSession) {
	at, _ := slices.BinarySearchFunc(c.sessions, s.due, func(o idleSession, due time.Time) int { return o.due.Compare(due) })
	c.sessions = slices.Insert(c.sessions, at, s)
}

// ended notes why the stream ended, unless it was meant to.
func (c *idleConn) ended(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished && errors.Is(err, io.EOF) || ctx.Err() != nil {
		return
	}
	c.err = fmt.Errorf("the stream ended: %w", err)
}
