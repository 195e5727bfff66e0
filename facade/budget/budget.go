package budget

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Limits are what a server keeps at most. Each is positive, but where 0 is named.
type Limits struct {
	Connections int // in all
	PerAddress  int // of them, by the address that they come from; 0: any number

	Buffer           int64 // bytes of all accounts
	ConnectionBuffer int64 // of one connection's

	// How long a request may take to come, and an answer to be read. Each gets a second more for
	// every [Pace] bytes that have passed.
	Deliver, Collect time.Duration
}

// Pace is how many bytes a second are slow, and not too slow.
const Pace = 64 << 10

// The limits' names.
const (
	LimitConnections      = "connections"
	LimitPerAddress       = "connections-per-address"
	LimitBuffer           = "buffer"
	LimitConnectionBuffer = "connection-buffer"
	LimitDeliver          = "deliver"
	LimitCollect          = "collect"
)

const (
	tick  = 250 * time.Millisecond // how exact deadlines are
	retry = 500 * time.Millisecond // what a refused client is asked to wait
)

// Budget is a server's. It is safe for concurrent use.
type Budget struct {
	limits  Limits
	logger  *slog.Logger
	refused func(limit string) // told of what is refused or closed

	used atomic.Int64
	now  atomic.Int64 // nanoseconds; of the last tick

	shrinking sync.Mutex // before mu

	mu    sync.Mutex
	conns map[*Conn]struct{}
}

// New returns a budget, which keeps deadlines while Run runs. refused is told, from any goroutine,
// by which limit something was refused.
func New(limits Limits, logger *slog.Logger, refused func(limit string)) *Budget {
	b := &Budget{limits: limits, logger: logger, refused: refused, conns: map[*Conn]struct{}{}}
	b.now.Store(time.Now().UnixNano())
	return b
}

// Used is how many bytes all accounts have.
func (b *Budget) Used() int64 { return b.used.Load() }

// Run closes connections whose requests or answers take too long, until ctx ends.
func (b *Budget) Run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			b.now.Store(now.UnixNano())
			for _, c := range b.open() {
				if limit, late := c.late(); late {
					c.cut(limit)
				}
			}
		}
	}
}

func (b *Budget) open() []*Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	conns := make([]*Conn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
	}
	return conns
}

// Calls are refused from half of the server's bound on, and connections closed from three quarters
// on. Of a connection's own bound it is three quarters, and all. What is between the two is for
// what comes without being asked for.
func threeQuarters(bound int64) int64 { return bound / 4 * 3 }

// shrink closes the connections that keep the most, until there is room again.
func (b *Budget) shrink() {
	b.shrinking.Lock()
	defer b.shrinking.Unlock()
	left := b.used.Load()
	if left <= threeQuarters(b.limits.Buffer) {
		return // by somebody else
	}
	for left > b.limits.Buffer/2 {
		var most *Conn
		for _, c := range b.open() {
			if most == nil || c.used.Load() > most.used.Load() {
				most = c
			}
		}
		if most == nil || most.used.Load() <= modest {
			return // what is left is held by calls that are under way
		}
		left -= most.used.Load() // some of it goes when its calls have noticed
		most.cut(LimitBuffer)
	}
}

// Conn is a connection whose accounts are kept.
func (b *Budget) Conn(conn net.Conn) *Conn {
	c := newConn(b, conn)
	b.mu.Lock()
	b.conns[c] = struct{}{}
	b.mu.Unlock()
	return c
}

func (b *Budget) forget(c *Conn) {
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
}
