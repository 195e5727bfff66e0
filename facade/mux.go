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

// queuedAnswers is how many answers may be ready before their calls wait for the sender.
const queuedAnswers = 256

// mux is one multiplexed stream. One goroutine receives, each call has its own, and one sends: as long as answers are
// ready it hands them over without a pause, and gRPC writes them to the connection together.
type mux struct {
	service *service
	stream  grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]
	answers chan answer
	broken  chan error // the sender's error

	mu       sync.Mutex
	room     *sync.Cond // bytes has fallen, or closed was set
	closed   bool       // no more calls are taken
	inFlight int        // calls that were received and not yet answered
	bytes    int        // that those hold or will answer with

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
	m := &mux{
		service: s,
		stream:  stream,
		answers: make(chan answer, queuedAnswers),
		broken:  make(chan error, 1),
	}
	m.room = sync.NewCond(&m.mu)
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
	}
	if err != nil && !errors.Is(err, etcdstore.ErrClosed) {
		cancel() // nobody is there to be answered
	}
	m.close()
	m.running.Wait()
	close(m.answers)
	sender.Wait()
	if err == nil && len(m.broken) > 0 {
		err = <-m.broken
	}
	return err
}

// receive starts the calls that come in, until the client has no more.
func (m *mux) receive(ctx context.Context) error {
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
		if full {
			err := fmt.Errorf("%w: %d calls unanswered on one stream", etcdstore.ErrQuota, MaxCalls)
			m.answers <- answer{&dlmv1.StreamResponse{Call: req.GetCall(), Response: failure(err)}, bytes}
			m.running.Done()
			continue
		}
		go func() {
			defer m.running.Done()
			m.answers <- answer{m.service.answer(ctx, req), bytes}
		}()
	}
}

// send sends what is ready until there is no more to come. After an error it discards.
func (m *mux) send() {
	var err error
	for a := range m.answers {
		if err == nil {
			if err = recovered(func() error { return m.stream.Send(a.response) }); err != nil {
				m.broken <- err
			}
		}
		m.mu.Lock()
		m.inFlight--
		m.bytes -= a.bytes
		m.mu.Unlock()
		m.room.Signal()
	}
}

// take counts a call in, once there is room for its bytes. The answer is due to m.answers and then a m.running.Done,
// unless it was not taken because the stream ends. A call too many is taken to be refused.
func (m *mux) take(bytes int) (taken, full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.bytes > 0 && m.bytes+bytes > MaxCallBytes && !m.closed {
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
