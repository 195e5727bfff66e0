package facade

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/budget"
	"github.com/distributed-lock-manager/dlm/facade/oversize"
	"github.com/distributed-lock-manager/dlm/internal/certs"
)

// A session lingers if its client's side has closed its stream, and only then. gRPC does not tell:
// a stream whose client has cancelled it, one whose connection was closed, and one whose connection
// this server gave up, all end with the same error. So each connection notes how it came to its
// end, and a stream finds its connection by the peer's address, which gRPC hands to it.
//
//	what has happened                         what is noted of the connection   closed by the peer
//	the stream is cancelled or half-closed    nothing: it stands                yes
//	the client closes, exits or is killed     a read ends with EOF or a reset   yes
//	no answer to a keepalive ping             this side closes it               no
//	what was sent is not confirmed in time    a read, or a write, times out     no
//	GOAWAY, a drain, the server's own end     this side closes it               no
//	anything else                                                               no
//
// After a drain has begun nothing counts, nor after a call was refused that could not be served:
// then clients close their streams because they were told to look elsewhere.

// watching are the transport credentials of a server, whose connections are watched. What encrypts
// them lies above what is watched.
type watching struct {
	credentials.TransportCredentials
	gate *gate
}

func (w watching) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	watched := &watchedConn{Conn: conn, gate: w.gate}
	above, info, err := w.TransportCredentials.ServerHandshake(watched)
	switch {
	case err != nil:
		if !errors.Is(err, io.EOF) { // as of whoever looks only whether the port is open
			w.gate.logger.Info("a handshake failed", "peer", conn.RemoteAddr().String(), "err", err)
		}
		return above, info, err
	case above != net.Conn(watched):
		above = farewell{above, watched}
	}
	watched.account = w.gate.limiter.budget.Conn(above)
	w.gate.join(watched, info)
	if entry, ok := conn.(*budget.Entry); ok {
		entry.Above(watched.account)
	}
	return oversize.Mark(watched.account), info, nil
}

// farewell is a connection with something above what is watched, which says good-bye before it
// closes that. The peer may answer by closing, and is not to be taken for the first to do so.
type farewell struct {
	net.Conn
	watched *watchedConn
}

func (f farewell) Close() error {
	f.watched.leaving.Store(true)
	return f.Conn.Close()
}

func (w watching) Clone() credentials.TransportCredentials {
	return watching{w.TransportCredentials.Clone(), w.gate}
}

// watchedConn is a connection that notes why it ended.
type watchedConn struct {
	net.Conn
	gate     *gate
	caller   *caller             // once it is beyond its handshake
	done     func()              // frees what the caller has of the limits
	chain    []*x509.Certificate // that its caller has shown; none: no certificate
	verified *certs.Set          // by which that was good last; the review's
	account  *budget.Conn
	leaving  atomic.Bool // this side has begun to close it

	writing sync.Mutex // held while something is written

	mu      sync.Mutex
	ended   bool // a read has failed: no more comes
	byPeer  bool // because the peer has closed
	faulted bool // a write has failed, and not because of that
}

// watchedAddr is the address of a watched connection's peer, and so of each of its streams.
type watchedAddr struct {
	net.Addr
	conn *watchedConn
}

func (c *watchedConn) RemoteAddr() net.Addr { return watchedAddr{c.Conn.RemoteAddr(), c} }

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.mu.Lock()
		if !c.ended {
			c.ended = true
			c.byPeer = !c.leaving.Load() && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET))
		}
		c.mu.Unlock()
	}
	return n, err
}

// Write notes failures that say that the peer cannot be reached. The kernel tells them once: a read
// that comes after it sees an end like any other.
func (c *watchedConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Conn.Write(b)
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, net.ErrClosed) {
		c.mu.Lock()
		c.faulted = true
		c.mu.Unlock()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.leaving.Store(true)
	c.gate.part(c)
	return c.Conn.Close()
}

// closedByPeer reports whether the peer has closed the connection. stands: nobody has.
func (c *watchedConn) closedByPeer() (byPeer, stands bool) {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if !ended {
		return false, !c.leaving.Load()
	}
	// gRPC closes what can be read no more, so a write that is under way returns, and says why.
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byPeer && !c.faulted, false
}

// watchedOf is the connection of a call; nil: it is not watched.
func watchedOf(ctx context.Context) *watchedConn {
	if p, ok := peer.FromContext(ctx); ok {
		if addr, ok := p.Addr.(watchedAddr); ok {
			return addr.conn
		}
	}
	return nil
}

// peerHeader is the header by which a stream's client learns what address it is seen under. If that
// is its own, nothing between them ends connections of its own accord, as a proxy may.
const peerHeader = "dlm-peer"

// tellPeer sends the header, before any answer: a client that waits for one should know.
func tellPeer(stream grpc.ServerStream) {
	if p, ok := peer.FromContext(stream.Context()); ok {
		_ = stream.SendHeader(metadata.Pairs(peerHeader, p.Addr.String())) // fails if the stream has ended
	}
}

// closedByPeer reports whether a multiplexed stream has ended because the client's side has closed
// it. err is what it was ended with, nil after a half-close; ctx is gRPC's own for the stream. gRPC
// also cancels that after a message that it refuses to read, which err tells apart.
func (s *service) closedByPeer(ctx context.Context, err error) bool {
	conn := watchedOf(ctx)
	if conn == nil || s.drain.ending.Err() != nil {
		return false
	}
	byPeer, stands := conn.closedByPeer()
	cancelled := errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
	return byPeer || stands && (err == nil || cancelled)
}

// sendsAway reports whether an answer tells its client to look for another server.
func sendsAway(answer *dlmv1.StreamResponse) bool {
	switch codes.Code(answer.GetError().GetCode()) { //nolint:gosec // it was one
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}
