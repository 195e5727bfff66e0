package budget

import (
	"net"
	"sync"
	"time"
)

// Listener returns a listener that takes no more connections than there may be: one too many is
// closed at once, unless one can go that has no call.
func (b *Budget) Listener(l net.Listener) net.Listener {
	return &listener{Listener: l, budget: b, entries: map[*Entry]struct{}{}, addresses: map[string]int{}}
}

type listener struct {
	net.Listener
	budget *Budget

	mu        sync.Mutex
	entries   map[*Entry]struct{}
	addresses map[string]int
}

// Entry is a connection as it was accepted, below what encrypts it.
type Entry struct {
	net.Conn
	listener *listener
	address  string
	since    time.Time
	once     sync.Once
	conn     *Conn // once it is beyond its handshake; the listener's mu guards it
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if entry := l.take(conn); entry != nil {
			return entry, nil
		}
	}
}

// take counts a connection in, or closes it and returns nil.
func (l *listener) take(conn net.Conn) *Entry {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	e := &Entry{Conn: conn, listener: l, address: host, since: time.Now()}
	l.mu.Lock()
	limit := ""
	switch limits := l.budget.limits; {
	case limits.PerAddress > 0 && l.addresses[host] >= limits.PerAddress:
		limit = LimitPerAddress
	case len(l.entries) >= limits.Connections:
		limit = LimitConnections
	}
	var idle *Entry
	if limit == LimitConnections {
		idle = l.idle()
	}
	if limit == "" || idle != nil {
		l.entries[e] = struct{}{}
		l.addresses[host]++
	}
	l.mu.Unlock()
	if limit == "" {
		return e
	}
	l.budget.refused(limit)
	if idle != nil {
		l.budget.logger.Warn("closing a connection without calls for a new one", "limit", limit, "peer", idle.RemoteAddr().String())
		_ = idle.end()
		return e
	}
	l.budget.logger.Warn("refusing a connection", "limit", limit, "peer", conn.RemoteAddr().String())
	_ = conn.Close()
	return nil
}

// idleLooks bounds how many connections are looked at for one that can go.
const idleLooks = 64

// idle is a connection without calls, of some the one that has been there the longest; nil: none
// was found. mu is held.
func (l *listener) idle() (oldest *Entry) {
	looks := 0
	for e := range l.entries { // in no order
		if looks++; looks > idleLooks {
			break
		}
		if e.calls() == 0 && (oldest == nil || e.since.Before(oldest.since)) {
			oldest = e
		}
	}
	if oldest != nil && time.Since(oldest.since) < newcomer {
		return nil
	}
	return oldest
}

// newcomer is how long a connection may be without a call before another may take its place.
const newcomer = time.Second

func (e *Entry) calls() int {
	if e.conn == nil {
		return 0
	}
	e.conn.mu.Lock()
	defer e.conn.mu.Unlock()
	return len(e.conn.calls)
}

// Above notes the connection that lies above an accepted one.
func (e *Entry) Above(c *Conn) {
	e.listener.mu.Lock()
	e.conn = c
	e.listener.mu.Unlock()
}

// Close counts it out.
func (e *Entry) Close() error {
	e.once.Do(func() {
		e.listener.mu.Lock()
		delete(e.listener.entries, e)
		if e.listener.addresses[e.address]--; e.listener.addresses[e.address] <= 0 {
			delete(e.listener.addresses, e.address)
		}
		e.listener.mu.Unlock()
	})
	return e.Conn.Close()
}

// end closes it for another one's sake: as the server's own end, if gRPC has it already.
func (e *Entry) end() error {
	e.listener.mu.Lock()
	above := e.conn
	e.listener.mu.Unlock()
	if above != nil {
		return above.Close()
	}
	return e.Close()
}
