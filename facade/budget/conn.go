package budget

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/internal/frames"
)

// Conn is a connection whose frames are looked at. It lies above what encrypts.
type Conn struct {
	net.Conn
	budget *Budget
	used   atomic.Int64
	debt   atomic.Int64 // nuisances that were not waited for yet

	// The reader's: gRPC has one goroutine that reads.

	in     *frames.Scanner
	pace   *rate.Limiter
	rest   []byte // was read, and not handed on yet
	buffer []byte // what rest lies in
	failed error  // that came with it
	paused bool   // a call's headers have ended

	writing sync.Mutex
	out     *frames.Scanner

	gone   chan struct{} // closed with the connection
	mu     sync.Mutex
	closed bool
	latest uint32
	calls  map[uint32]*Call
}

func newConn(b *Budget, conn net.Conn) *Conn {
	c := &Conn{Conn: conn, budget: b, calls: map[uint32]*Call{}, pace: rate.NewLimiter(nuisances, maxNuisances), gone: make(chan struct{})}
	c.in, c.out = frames.FromClient(received{c}), frames.FromServer(written{c})
	return c
}

// What costs a server much and its client little is a nuisance: to begin a call, or end it early,
// to send what carries no data, and most of all what has to be refused. Of a connection with more
// of it than so many a second, after so many at once, is read more slowly.
const (
	nuisances    = 5000
	maxNuisances = 10_000
	refusal      = 10              // is as bad as so many
	maxPause     = 2 * time.Second // for as many as one read may have
)

// kilobyte is how long a frame is, of headers above all, that is as bad as another one.
const kilobyte = 1 << 10

// Refusal is how much of a nuisance a refused call is.
const Refusal = 10

// slow waits if the connection is a nuisance.
func (c *Conn) slow() {
	debt := min(int(c.debt.Swap(0)), maxNuisances)
	if debt == 0 {
		return
	}
	pause := c.pace.ReserveN(time.Now(), debt).Delay()
	if pause == 0 {
		return
	}
	timer := time.NewTimer(min(pause, maxPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.gone:
	}
}

// Read reads up to the end of a call's headers: see the package's comment.
func (c *Conn) Read(b []byte) (n int, err error) {
	c.slow()
	if len(c.rest) > 0 {
		n = copy(b, c.rest)
	} else if n, err = c.Conn.Read(b); n == 0 {
		return 0, err
	}
	end := c.look(b[:n])
	switch {
	case len(c.rest) > 0:
		c.rest = c.rest[end:]
	case end < n:
		c.buffer = append(c.buffer[:0], b[end:n]...)
		c.rest, c.failed = c.buffer, err
		err = nil
	}
	if len(c.rest) == 0 && c.failed != nil {
		err, c.failed = c.failed, nil
	}
	return end, err
}

// look looks at what has come, and returns how much of it there is up to the end of headers.
func (c *Conn) look(b []byte) (end int) {
	for c.paused = false; end < len(b) && !c.paused; {
		end += c.in.Next(b[end:])
	}
	return end
}

func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	c.out.Pass(b) // before: what is written is gRPC's to keep until it is
	c.writing.Unlock()
	return c.Conn.Write(b)
}

// Close closes the accounts as well.
func (c *Conn) Close() error {
	c.mu.Lock()
	if !c.closed {
		close(c.gone)
	}
	c.closed = true
	for _, call := range c.calls {
		call.end()
	}
	clear(c.calls)
	c.mu.Unlock()
	c.budget.forget(c)
	return c.Conn.Close()
}

// cut closes a connection that costs too much.
func (c *Conn) cut(limit string) {
	c.mu.Lock()
	open := !c.closed
	c.mu.Unlock()
	if !open {
		return
	}
	c.budget.refused(limit)
	c.budget.logger.Warn("closing a connection", "limit", limit, "peer", c.RemoteAddr().String(), "buffered", c.used.Load())
	_ = c.Close() // what it says is of no use to anybody
}

// received is told of what comes, written of what goes.
type (
	received struct{ *Conn }
	written  struct{ *Conn }
)

func (c received) Begin(f frames.Frame) {
	if f.Type != frames.Data && f.Type != frames.WindowUpdate {
		c.debt.Add(1 + int64(f.Length)/kilobyte)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.Type == frames.Headers && f.Stream > c.latest:
		c.latest = f.Stream
		if !c.closed {
			c.calls[f.Stream] = &Call{conn: c.Conn, since: c.budget.now.Load(), ended: f.Flags&frames.EndStream != 0}
		}
	case f.Type == frames.Reset:
		c.end(f.Stream)
	}
}

func (c received) Data(f frames.Frame, b []byte) {
	c.mu.Lock()
	if call := c.calls[f.Stream]; call != nil {
		call.receive(b)
	}
	c.mu.Unlock()
	if c.used.Load() > c.budget.limits.ConnectionBuffer {
		c.cut(LimitConnectionBuffer)
	} else if c.budget.used.Load() > threeQuarters(c.budget.limits.Buffer) {
		c.budget.shrink()
	}
}

func (c received) End(f frames.Frame) {
	if (f.Type == frames.Headers || f.Type == frames.Continuation) && f.Flags&frames.EndHeaders != 0 {
		c.Conn.paused = true
	}
}

func (c written) Begin(f frames.Frame) {
	if f.Type == frames.Reset {
		c.mu.Lock()
		c.end(f.Stream)
		c.mu.Unlock()
	}
}

func (c written) Data(f frames.Frame, b []byte) {
	c.mu.Lock()
	if call := c.calls[f.Stream]; call != nil {
		call.sent(len(b))
	}
	c.mu.Unlock()
}

func (c written) End(f frames.Frame) {
	if (f.Type == frames.Headers || f.Type == frames.Data) && f.Flags&frames.EndStream != 0 {
		c.mu.Lock()
		c.end(f.Stream)
		c.mu.Unlock()
	}
}

// end ends a call's account. mu is held.
func (c *Conn) end(stream uint32) {
	if call := c.calls[stream]; call != nil {
		call.end()
		delete(c.calls, stream)
	}
}

// charge puts bytes on the connection's account; below 0: takes them off.
func (c *Conn) charge(bytes int) {
	c.used.Add(int64(bytes))
	c.budget.used.Add(int64(bytes))
}

// late reports whether a request or an answer takes too long, and which limit that exceeds.
func (c *Conn) late() (limit string, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, limits := c.budget.now.Load(), &c.budget.limits
	for _, call := range c.calls {
		switch {
		case call.awaited() && overdue(now-call.since, int64(limits.Deliver), call.part):
			return LimitDeliver, true
		case call.unsent > 0 && overdue(now-call.pending, int64(limits.Collect), call.written):
			return LimitCollect, true
		}
	}
	return "", false
}

// overdue reports whether something takes too long of which so many bytes have passed.
func overdue(took, most int64, bytes int) bool {
	return took > most+int64(bytes)*int64(1e9)/Pace
}

// Begin is the call whose headers were the last to end, as gRPC's tap asks. endless: it may have
// any number of requests.
func (c *Conn) Begin(endless bool) (*Call, error) {
	c.mu.Lock()
	call := c.calls[c.latest]
	if call == nil { // the connection is being closed
		call = &Call{conn: c, over: true}
	}
	call.endless = endless
	c.mu.Unlock()
	return call, c.room(0)
}

// room is why no more bytes can be kept for the connection; nil: they can. One that keeps little is
// not refused for what others keep, as long as there is any room.
func (c *Conn) room(bytes int) error {
	b, own := c.budget, c.used.Load()+int64(bytes)
	all := b.used.Load() + int64(bytes)
	switch limits := b.limits; {
	case own > threeQuarters(limits.ConnectionBuffer):
		return etcdstore.Exceeded(LimitConnectionBuffer, threeQuarters(limits.ConnectionBuffer), "bytes kept for one connection", retry)
	case own > modest && all > limits.Buffer/2, all > limits.Buffer:
		return etcdstore.Exceeded(LimitBuffer, limits.Buffer/2, "bytes kept for all connections", retry)
	}
	return nil
}

// modest is what a connection may keep in bytes whatever others do.
const modest = 256 << 10
