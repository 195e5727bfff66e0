package facade

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// client is what one client has of the limits that are each client's own.
type client struct {
	name    string
	calls   *rate.Limiter // nil: any number
	inits   *rate.Limiter
	watches atomic.Int64

	uses int       // connections and calls that are the client's now; the mutex of clients guards it
	last time.Time // when there were none any more
}

// clients are those who are known by an identity, and how many others have been.
type clients struct {
	others atomic.Uint64

	mu    sync.Mutex
	known map[auth.Identity]*client
	swept time.Time
}

// forget is how long what a client without connections and calls has used up is remembered: until
// it would be there again anyway.
const forget = time.Minute

// clientOf is the client of an identity, wherever it calls from; of nobody's, a new one. done is to
// be called when that has ended for which it is asked.
func (l *limiter) clientOf(id auth.Identity) (_ *client, done func()) {
	if id == "" {
		return l.newClient(fmt.Sprint("connection ", l.clients.others.Add(1))), func() {}
	}
	all := &l.clients
	all.mu.Lock()
	defer all.mu.Unlock()
	c := all.known[id]
	if c == nil {
		all.sweep(time.Now())
		c = l.newClient(string(id))
		all.known[id] = c
	}
	c.uses++
	return c, func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		if c.uses--; c.uses == 0 {
			c.last = time.Now()
		}
	}
}

// sweep forgets clients that have not been there for a while. mu is held.
func (all *clients) sweep(now time.Time) {
	if all.known == nil {
		all.known = map[auth.Identity]*client{}
	}
	if now.Sub(all.swept) < forget {
		return
	}
	all.swept = now
	for id, c := range all.known {
		if c.uses == 0 && now.Sub(c.last) >= forget {
			delete(all.known, id)
		}
	}
}

func (l *limiter) newClient(name string) *client {
	c := &client{name: name, inits: rate.NewLimiter(rate.Limit(l.limits.SessionRatePerClient), l.limits.SessionBurst)}
	if most := l.limits.CallRate; most > 0 {
		c.calls = rate.NewLimiter(rate.Limit(most), most)
	}
	return c
}
