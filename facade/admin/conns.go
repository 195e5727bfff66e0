package admin

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// conns keeps the connections within a number: one too many takes the place of the one that has
// been without a request for longest, so that whoever opens many and says nothing keeps no probe
// out. If all have requests, it is closed.
type conns struct {
	most int

	mu    sync.Mutex
	quiet map[net.Conn]time.Time // without a request, since when
	busy  map[net.Conn]struct{}
}

func newConns(most int) *conns {
	return &conns{most: most, quiet: map[net.Conn]time.Time{}, busy: map[net.Conn]struct{}{}}
}

// change takes in what has become of a connection.
func (c *conns) change(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.quiet, conn)
	delete(c.busy, conn)
	switch state {
	case http.StateNew:
		c.quiet[conn] = time.Now()
		if len(c.quiet)+len(c.busy) > c.most {
			victim := c.oldest()
			delete(c.quiet, victim)
			if over, is := victim.(*tls.Conn); is {
				victim = over.NetConn() // without a good-bye, which could take long
			}
			_ = victim.Close()
		}
	case http.StateIdle:
		c.quiet[conn] = time.Now()
	case http.StateActive:
		c.busy[conn] = struct{}{}
	case http.StateHijacked, http.StateClosed:
	}
}

// oldest is the connection without a request that has been so for longest. mu is held.
func (c *conns) oldest() (oldest net.Conn) {
	for conn, since := range c.quiet {
		if oldest == nil || since.Before(c.quiet[oldest]) {
			oldest = conn
		}
	}
	return oldest
}
