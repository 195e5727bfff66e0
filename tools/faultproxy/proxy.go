package faultproxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// maxMessage is more than a server sends or receives, in bytes.
const maxMessage = 64 << 20

// redial is the pause before a server that was gone is tried again.
const redial = 50 * time.Millisecond

// errBroken is what a caller sees of a connection that breaks.
var errBroken = status.Error(codes.Unavailable, "the connection broke")

// Proxy stands between clients and one server. It is safe for concurrent use.
type Proxy struct {
	fates
	listener net.Listener
	server   *grpc.Server
	conn     *grpc.ClientConn
	served   chan error
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup // deliveries
	once     sync.Once
	err      error
}

// Start begins to pass on to target, host:port, what comes to a port of its own on the loopback
// interface. The target need not run yet. To be closed.
func Start(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: redial, Multiplier: 1, MaxDelay: redial}}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	p := &Proxy{listener: listener, conn: conn, served: make(chan error, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.server = grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(p.handle),
		grpc.MaxRecvMsgSize(maxMessage), grpc.WaitForHandlers(true))
	go func() { p.served <- p.server.Serve(listener) }()
	return p, nil
}

// Addr is where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close cuts every call off and waits for all that the proxy started. A repeat returns the same.
func (p *Proxy) Close() error {
	p.once.Do(func() {
		p.cancel()
		p.server.Stop()
		p.err = <-p.served
		p.running.Wait()
		p.err = errors.Join(p.err, p.conn.Close())
	})
	return p.err
}

// Next says what becomes of the next message of a method and leg. An empty method is any. Rules are
// looked at in the order in which they were given.
func (p *Proxy) Next(method string, leg Leg, fate Fate) Met {
	return p.add(&rule{method: method, leg: leg, fate: fate})
}

// Every says what becomes of each message of a method and leg from now on; if it is delayed or
// repeated, until that ends.
func (p *Proxy) Every(method string, leg Leg, fate Fate) Met {
	return p.add(&rule{method: method, leg: leg, fate: fate, every: true})
}

// SetRates draws the fate of each message that no rule is for, from a seed.
func (p *Proxy) SetRates(rates Rates, seed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rates = rates
	p.rnd = rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // to be repeated, not to be secret
}

// Counts returns what was done so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// settle watches over the deliveries of a rule's first message, all of which have begun.
func (p *Proxy) settle(m meeting) {
	if m.first == nil {
		return
	}
	p.running.Go(func() {
		m.first.parts.running.Wait()
		close(m.first.settled)
	})
}

// wait waits for a delay's end, and reports whether it came before the proxy's.
func (p *Proxy) wait(until <-chan struct{}) bool {
	if until == nil {
		return true
	}
	select {
	case <-until:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *Proxy) handle(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	switch method {
	case dlmv1.LockService_Stream_FullMethodName:
		return p.multiplexed(in)
	case dlmv1.LockService_Tail_FullMethodName, dlmv1.LockService_Watch_FullMethodName:
		return p.untouched(method, in)
	}
	return p.unary(method, in)
}

// answer is what the server said.
type answer struct {
	frame frame
	err   error
}

func (p *Proxy) unary(method string, in grpc.ServerStream) error {
	var request frame
	if err := in.RecvMsg(&request); err != nil {
		return err
	}
	name := path.Base(method)
	m := p.meet(name, Request)
	answers := make(chan answer, 3) // as many as there may be deliveries
	deliver := func(ctx context.Context, after <-chan struct{}) {
		end := m.begin()
		p.running.Go(func() {
			defer end()
			if !p.wait(after) {
				return
			}
			var a answer
			a.err = p.conn.Invoke(ctx, method, &request, &a.frame)
			answers <- a
		})
	}
	switch {
	case m.Lost:
	case m.After != nil:
		deliver(p.ctx, m.After)
	default:
		deliver(in.Context(), nil) // a caller that hangs up takes its call along
	}
	if m.Twice {
		deliver(p.ctx, m.After)
	}
	if m.Again != nil {
		deliver(p.ctx, m.Again)
	}
	p.settle(m)
	if m.Break {
		return errBroken
	}
	select {
	case a := <-answers:
		return p.reply(name, in, a)
	case <-in.Context().Done():
		return in.Context().Err()
	case <-p.ctx.Done():
		return errBroken
	}
}

func (p *Proxy) reply(name string, in grpc.ServerStream, a answer) error {
	m := p.meet(name, Reply)
	end := m.begin()
	p.settle(m)
	defer end()
	switch {
	case m.Break:
		return errBroken
	case m.Lost:
		select {
		case <-in.Context().Done():
			return in.Context().Err() // what the caller's own clock says a moment sooner or later
		case <-p.ctx.Done():
			return errBroken
		}
	case m.After != nil:
		select {
		case <-m.After:
		case <-in.Context().Done():
		case <-p.ctx.Done():
		}
	}
	if a.err != nil {
		return a.err
	}
	return in.SendMsg(&a.frame)
}

// untouched passes on a call with one request and many replies.
func (p *Proxy) untouched(method string, in grpc.ServerStream) error {
	var request frame
	if err := in.RecvMsg(&request); err != nil {
		return err
	}
	ctx, cancel := p.within(in.Context())
	defer cancel()
	out, err := p.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := errors.Join(out.SendMsg(&request), out.CloseSend()); err != nil {
		return err
	}
	for {
		var reply frame
		err := out.RecvMsg(&reply)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = in.SendMsg(&reply)
		}
		if err != nil {
			return err
		}
	}
}

// within returns a call's context that ends with the proxy as well.
func (p *Proxy) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
