package facade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// maxRefusals bounds the calls too many whose refusals have not been sent: then no more are read from the stream.
const maxRefusals = 256

// mux is one multiplexed stream. One goroutine receives and one sends: what is ready it hands over without a pause, and
// gRPC writes it to the connection together. A call has a goroutine only if it cannot be started without.
type mux struct {
	service *service
	stream  grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]
	broken  chan error // the sender's error

	mu       sync.Mutex
	room     *sync.Cond // inFlight and bytes have fallen, or closed was set
	more     *sync.Cond // ready has grown, or over was set
	closed   bool       // no more calls are taken
	over     bool       // no more answers come
	inFlight int        // calls that were received and not yet answered
	bytes    int        // that those hold or will answer with
	ready    []answer   // to be sent; there are no more than calls in flight

	running sync.WaitGroup // calls until they have handed over their answers
}

// answer is an answer that is ready, and the bytes its call was counted with.
type answer struct {
	response *dlmv1.StreamResponse
	bytes    int
}

// Stream returns when its calls have been answered and its client wants no more, or when there is no way to answer them.
// Its calls' contexts end with the stream.
func (s *service) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	waiting, release := bind(ctx, s.drain.ending)
	defer release()
	m := &mux{service: s, stream: stream, broken: make(chan error, 1)}
	m.room, m.more = sync.NewCond(&m.mu), sync.NewCond(&m.mu)
	var sender sync.WaitGroup
	sender.Go(m.send)
	received := make(chan error, 1)
	s.drain.receivers.Go(func() {
		received <- recovered(func() error { return m.receive(ctx, waiting) })
	})

	var err error
	select {
	case err = <-received:
	case err = <-m.broken:
	case <-s.drain.ending.Done():
		err = etcdstore.ErrClosed
	}
	if err != nil && !errors.Is(err, etcdstore.ErrClosed) {
		cancel() // nobody is there to be answered
	}
	m.close()
	m.running.Wait()
	m.end()
	sender.Wait()
	if err == nil && len(m.broken) > 0 {
		err = <-m.broken
	}
	return err
}

// receive starts the calls that come in, until the client has no more. The context of those that wait ends with the
// drain.
func (m *mux) receive(ctx, waiting context.Context) error {
	for {
		req, err := m.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		bytes := held(req)
		taken, full := m.take(bytes)
		if !taken {
			return nil
		}
		done := func(resp *dlmv1.StreamResponse) { m.answer(resp, bytes) }
		if full {
			err := fmt.Errorf("%w: %d calls unanswered on one stream", etcdstore.ErrQuota, MaxCalls)
			done(&dlmv1.StreamResponse{Call: req.GetCall(), Response: failure(err)})
			continue
		}
		if !m.service.start(ctx, waiting, req, done) {
			go func() { done(m.service.answer(ctx, req)) }()
		}
	}
}

// answer hands an answer to the sender. It does not block.
func (m *mux) answer(resp *dlmv1.StreamResponse, bytes int) {
	m.mu.Lock()
	m.ready = append(m.ready, answer{resp, bytes})
	m.mu.Unlock()
	m.more.Signal()
	m.running.Done()
}

// send sends what is ready until there is no more to come. After an error it discards.
func (m *mux) send() {
	var failed error
	for {
		answers := m.next()
		if answers == nil {
			return
		}
		for _, a := range answers {
			if failed == nil {
				if failed = recovered(func() error { return m.stream.Send(a.response) }); failed != nil {
					m.broken <- failed
				}
			}
			m.mu.Lock()
			m.inFlight--
			m.bytes -= a.bytes
			m.mu.Unlock()
			m.room.Signal()
		}
	}
}

// next waits for answers; nil: there are no more to come.
func (m *mux) next() []answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ready) == 0 && !m.over {
		m.more.Wait()
	}
	answers := m.ready
	m.ready = nil
	return answers
}

// end says that all answers have been handed over.
func (m *mux) end() {
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	m.more.Signal()
}

// take counts a call in, once there is room for it. Its answer is due to m.answer,
// unless it was not taken because the stream ends. A call too many is taken to be refused.
func (m *mux) take(bytes int) (taken, full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for (m.bytes > 0 && m.bytes+bytes > MaxCallBytes || m.inFlight >= MaxCalls+maxRefusals) && !m.closed {
		m.room.Wait()
	}
	if m.closed {
		return false, false
	}
	m.running.Add(1)
	m.inFlight++
	m.bytes += bytes
	return true, m.inFlight > MaxCalls
}

// close takes no more calls.
func (m *mux) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.room.Signal()
}

// held tells how many bytes of records and files a call keeps in memory until it is answered.
func held(req *dlmv1.StreamRequest) int {
	switch r := req.GetRequest().(type) {
	case *dlmv1.StreamRequest_Append:
		return len(r.Append.GetData())
	case *dlmv1.StreamRequest_Read:
		if limit := int(r.Read.GetLimit()); 0 < limit && limit < etcdstore.MaxRead {
			return limit
		}
		return etcdstore.MaxRead
	}
	return 0
}

// recovered returns a panic of f as an error.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &recovery.PanicError{Panic: p, Stack: debug.Stack()}
		}
	}()
	return f()
}
