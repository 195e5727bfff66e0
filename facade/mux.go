package facade

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/budget"
	"github.com/distributed-lock-manager/dlm/internal/turns"
)

// maxRefusals bounds the calls too many whose answers have not been sent: then no more are read
// from the stream. They are refused, but for those that give back: see reserved.
const maxRefusals = 256

// maxLosses bounds the losses that have not been sent, for a client that does not read: further
// ones are left to its heartbeats. Whoever reads has far fewer, unless all of the locks of several
// sessions are taken away at once.
const maxLosses = 4 * etcdstore.MaxUnfinished

// mux is one multiplexed stream. One goroutine receives and one sends: what is ready it hands over
// without a pause, and gRPC writes it to the connection together. A call has a goroutine only if it
// cannot be started without.
type mux struct {
	service *service
	stream  grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]
	account *budget.Call
	caller  *caller
	link    *etcdstore.Link
	waiting context.Context // of calls that may wait: ends with the drain as well
	broken  chan error      // the sender's error
	unable  bool            // a call that could not be served was refused; the sender's

	mu       sync.Mutex
	room     *sync.Cond // inFlight and bytes have fallen, or closed was set
	more     *sync.Cond // ready or losses have grown, or over was set
	closed   bool       // no more calls are taken
	over     bool       // no more results come
	inFlight int        // calls that were received, and whose answers have not been sent
	bytes    int        // that those hold or will answer with
	ready    []*muxed   // those of them whose results have come

	losses []etcdstore.Loss // to be sent
	lost   map[lostKey]int  // where each is in losses

	running sync.WaitGroup // calls whose results have not come
	workers *turns.Workers // for those of them that neither are started nor give back
}

// muxed is a call of a multiplexed stream.
type muxed struct {
	call
	mux     *mux
	number  uint64 // the client's
	bytes   int    // that it holds, or that its answer will have
	refused error  // it is one too many

	traceparent string // as the client says

	over atomic.Bool // its result has come
	resp any
	err  error
	took time.Duration
}

// Stream serves one multiplexed stream. It returns when:
//
//   - the client has no more calls and has its answers: nil.
//   - the server shuts down and the calls in progress have their answers: ErrClosed.
//   - the stream breaks, so that no answer can be sent: why.
//
// Its calls' contexts end with it.
func (s *service) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	waiting, release := bind(ctx, s.drain.ending)
	defer release()
	tellPeer(stream)
	m := &mux{service: s, stream: stream, account: budget.Of(ctx), caller: callerOf(ctx), waiting: waiting, broken: make(chan error, 1), workers: turns.NewWorkers(atWork, goes)}
	m.room, m.more = sync.NewCond(&m.mu), sync.NewCond(&m.mu)
	m.link = s.store.NewLink(m.tell)
	defer m.link.Close(false) // unless it was closed below
	var sender sync.WaitGroup
	sender.Go(m.send)
	received := make(chan error, 1)
	s.drain.receivers.Go(func() {
		received <- recovered(func() error { return m.receive(ctx) })
	})

	var err error
	select {
	case err = <-received:
	case err = <-m.broken:
	case <-s.drain.ending.Done():
		err = etcdstore.ErrClosed
	case <-ctx.Done(): // nobody is there any more, or may be
		err = context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, etcdstore.ErrClosed) {
		cancel() // nobody is there to wait for an answer
	}
	m.close()
	m.running.Wait()
	m.end()
	sender.Wait()
	if err == nil && len(m.broken) > 0 {
		err = <-m.broken
	}
	m.link.Close(!m.unable && s.closedByPeer(stream.Context(), err))
	return err
}

// receive starts the calls that come in, until the client has no more: nil, or the stream breaks.
// The context of calls is ctx, but for those that may wait.
func (m *mux) receive(ctx context.Context) error {
	for {
		req, err := m.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c := &muxed{
			call:   call{service: m.service, began: time.Now(), ctx: ctx, account: m.account, caller: m.caller},
			mux:    m,
			number: req.GetCall(),
			bytes:  held(req),

			traceparent: traceparentOf(req),
		}
		c.muxed = c
		if !m.take(c) {
			return nil
		}
		if err := recovered(func() error { return c.dispatch(req) }); err != nil {
			c.done(nil, err)
		}
	}
}

// done hands the call's result to the sender, which ends the call. It may be called from any
// goroutine, and by the store's is: all clients' commits wait behind it, so that it neither logs
// nor encodes. Only the first result counts: a start that panicked may have started the call all
// the same.
func (c *muxed) done(resp any, err error) {
	if c.over.Swap(true) {
		return
	}
	c.resp, c.err, c.took = resp, err, time.Since(c.began)
	m := c.mux
	m.mu.Lock()
	m.ready = append(m.ready, c)
	m.mu.Unlock()
	m.more.Signal()
	m.running.Done()
}

// lostKey is what a loss is of.
type lostKey struct{ session, lock, request string }

// tell has the client told of a loss, or that one is near. Like done it is called by the store's
// goroutines. There is one entry for an acquisition, with the latest that is known of it.
func (m *mux) tell(l etcdstore.Loss) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := lostKey{l.Session, l.Lock, l.Request}
	if i, ok := m.lost[key]; ok {
		if l.Revision >= m.losses[i].Revision {
			m.losses[i] = l
		}
		return
	}
	if len(m.losses) >= maxLosses {
		return
	}
	if m.lost == nil {
		m.lost = map[lostKey]int{}
	}
	m.lost[key] = len(m.losses)
	m.losses = append(m.losses, l)
	m.more.Signal()
}

// send ends the calls whose results have come and sends their answers, and what was lost before
// them, until there are no more to come. After an error it only ends them. A log that is slow, or a
// client that does not read, holds up this stream and no other.
func (m *mux) send() {
	var failed error
	attempt := func(message func() *dlmv1.StreamResponse) {
		err := recovered(func() error {
			msg := message()
			if failed != nil {
				return failed
			}
			err := m.stream.Send(msg)
			m.unable = m.unable || err == nil && sendsAway(msg)
			return err
		})
		if failed == nil && err != nil {
			failed = err
			m.broken <- err
		}
	}
	for {
		calls, losses, more := m.next()
		if !more {
			return
		}
		for _, l := range losses {
			attempt(func() *dlmv1.StreamResponse { return encodeLoss(l) })
		}
		for _, c := range calls {
			attempt(func() *dlmv1.StreamResponse {
				return encodeAnswer(c.number, c.resp, c.end(c.resp, c.err, c.took))
			})
			m.mu.Lock()
			m.inFlight--
			m.bytes -= c.bytes
			m.mu.Unlock()
			m.room.Signal()
		}
	}
}

// next waits for something to be sent: results, with the calls that they have come for, and losses.
// It reports whether there was any, for there may be no more to come.
func (m *mux) next() (calls []*muxed, losses []etcdstore.Loss, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ready) == 0 && len(m.losses) == 0 && !m.over {
		m.more.Wait()
	}
	calls, losses = m.ready, m.losses
	m.ready, m.losses, m.lost = nil, nil, nil
	return calls, losses, len(calls) > 0 || len(losses) > 0
}

// end makes send return once it has sent what is ready.
func (m *mux) end() {
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	m.more.Signal()
}

// take counts a call in, once there is room for it, and reports whether it did: the stream may end
// first. A call too many is counted in as well, and marked to be refused.
func (m *mux) take(c *muxed) bool {
	most := m.service.limiter.limits.Calls
	m.mu.Lock()
	defer m.mu.Unlock()
	for (m.bytes > 0 && m.bytes+c.bytes > MaxCallBytes || m.inFlight >= most+maxRefusals) && !m.closed {
		m.room.Wait()
	}
	if m.closed {
		return false
	}
	m.running.Add(1)
	m.inFlight++
	m.bytes += c.bytes
	if m.inFlight > most {
		c.refused = etcdstore.Exceeded(limitCalls, int64(most), "unanswered calls of one stream", callRetry)
	}
	return true
}

// close makes take refuse all calls from now on.
func (m *mux) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.room.Signal()
}

// held returns how many bytes of records and files a call keeps in memory until its answer has been
// sent.
func held(req *dlmv1.StreamRequest) int {
	switch r := req.GetRequest().(type) {
	case *dlmv1.StreamRequest_Append:
		return appendedBytes(r.Append)
	case *dlmv1.StreamRequest_Publish:
		return publishedBytes(r.Publish)
	case *dlmv1.StreamRequest_Read:
		return readBytes(r.Read)
	}
	return 0
}
