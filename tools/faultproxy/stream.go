package faultproxy

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// multiplex is one of dlm.v1's Streams, through the proxy.
type multiplex struct {
	p   *Proxy
	in  *end // towards the client
	out *end // towards the server

	mu    sync.Mutex
	calls map[uint64]string // by number: an error does not say which call it answers
}

// end is one side of a stream: messages may be sent to it at once, and until it is shut.
type end struct {
	mu   sync.Mutex
	send func(any) error
	shut bool
}

var errShut = errors.New("the stream has ended")

func (e *end) deliver(f *frame) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.shut {
		return errShut
	}
	return e.send(f)
}

func (e *end) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shut = true
}

func (p *Proxy) multiplexed(in grpc.ServerStream) error {
	ctx, cancel := p.within(in.Context())
	defer cancel()
	out, err := p.newStream(ctx)
	if err != nil {
		return err
	}
	m := &multiplex{p: p, in: &end{send: in.SendMsg}, out: &end{send: out.SendMsg}, calls: map[uint64]string{}}
	// A handler that has returned must not be sent to.
	defer m.in.close()
	defer m.out.close()
	requests, replies := make(chan error, 1), make(chan error, 1)
	p.running.Go(func() { requests <- m.relay(in.RecvMsg, Request) })
	p.running.Go(func() { replies <- m.relay(out.RecvMsg, Reply) })
	for {
		select {
		case err := <-requests:
			if !errors.Is(err, io.EOF) {
				return err
			}
			requests = nil // the client has said all
			if err := out.CloseSend(); err != nil {
				return err
			}
		case err := <-replies:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// relay passes on one leg's messages.
func (m *multiplex) relay(receive func(any) error, leg Leg) error {
	for {
		f := &frame{}
		if err := receive(f); err != nil {
			return err
		}
		if err := m.pass(f, leg); err != nil {
			return err
		}
	}
}

func (m *multiplex) pass(f *frame, leg Leg) error {
	to := m.out
	if leg == Reply {
		to = m.in
	}
	meeting := m.p.meet(m.method(f, leg), leg)
	finish := meeting.begin()
	defer m.p.settle(meeting)
	defer finish()
	copies := 1
	if meeting.Lost {
		copies = 0
	}
	if meeting.Twice {
		copies++
	}
	if meeting.Again != nil && leg == Request {
		m.late(meeting, meeting.Again, func() { m.p.alone(f) })
	}
	for range copies {
		if meeting.After != nil {
			m.late(meeting, meeting.After, func() {
				if errors.Is(to.deliver(f), errShut) && leg == Request {
					m.p.alone(f)
				}
			})
		} else if err := to.deliver(f); err != nil {
			return err
		}
	}
	if meeting.Break {
		return errBroken
	}
	return nil
}

func (m *multiplex) late(meeting meeting, after <-chan struct{}, deliver func()) {
	finish := meeting.begin()
	m.p.running.Go(func() {
		defer finish()
		if m.p.wait(after) {
			deliver()
		}
	})
}

// method is the call that a message is about.
func (m *multiplex) method(f *frame, leg Leg) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if leg == Request {
		var request dlmv1.StreamRequest
		if proto.Unmarshal(f.data, &request) == nil {
			name := chosen(request.ProtoReflect(), "request")
			m.calls[request.GetCall()] = name
			return name
		}
		return ""
	}
	var response dlmv1.StreamResponse
	if proto.Unmarshal(f.data, &response) != nil {
		return ""
	}
	return m.calls[response.GetCall()]
}

// chosen is the name of the field that a oneof has.
func chosen(m protoreflect.Message, oneof protoreflect.Name) string {
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName(oneof))
	if field == nil {
		return ""
	}
	return string(field.Name())
}

// alone delivers a request on a stream of its own and waits for the answer, which nobody gets.
func (p *Proxy) alone(f *frame) {
	ctx, cancel := p.within(p.ctx)
	defer cancel()
	out, err := p.newStream(ctx)
	if err != nil {
		return
	}
	if err := out.SendMsg(f); err != nil {
		return
	}
	_ = out.RecvMsg(&frame{}) // an error ends the delivery as an answer does
}

func (p *Proxy) newStream(ctx context.Context) (grpc.ClientStream, error) {
	return p.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, dlmv1.LockService_Stream_FullMethodName)
}
