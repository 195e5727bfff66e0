package budget

import (
	"context"
	"encoding/binary"
)

// prefixed is how many bytes gRPC puts before each message.
const prefixed = 5

// Call is the account of one call, or of one multiplexed stream.
type Call struct {
	conn    *Conn
	endless bool

	// The connection's mu guards the rest.

	over  bool // nothing more is counted
	ended bool // no more requests come

	prefix   [prefixed]byte // of the message that is coming
	have     int            // bytes of it
	need     int            // bytes that are to come behind it
	part     int            // bytes that have come of that message
	messages int            // that have come whole
	whole    int            // bytes of those, less what was read
	since    int64          // when that message, or the call, began

	unsent  int   // may be below 0 for a moment: what is written is seen first
	pending int64 // since when the first of it, as far as is known, waits to be written
	waiting int   // bytes that there were then
	written int   // since then
}

// receive counts what has come.
func (c *Call) receive(b []byte) {
	if c.over {
		return
	}
	c.conn.charge(len(b))
	for len(b) > 0 {
		if c.part == 0 && c.messages > 0 {
			c.since = c.conn.budget.now.Load()
		}
		var n int
		if c.have < prefixed {
			n = copy(c.prefix[c.have:], b)
			if c.have += n; c.have == prefixed {
				c.need = int(binary.BigEndian.Uint32(c.prefix[1:]))
			}
		} else {
			n = min(c.need, len(b))
			c.need -= n
		}
		c.part += n
		b = b[n:]
		if c.have == prefixed && c.need == 0 {
			c.whole += c.part
			c.messages++
			c.have, c.part = 0, 0
		}
	}
}

// awaited reports whether some of a request is still to come.
func (c *Call) awaited() bool {
	return c.part > 0 || c.messages == 0 && !c.endless && !c.ended
}

func (c *Call) sent(n int) {
	if c.over {
		return
	}
	c.unsent -= n
	c.conn.charge(-n)
	if c.written += n; c.written >= c.waiting { // what is left came later
		c.wait()
	}
}

// wait notes that what is unsent waits from now on.
func (c *Call) wait() { c.pending, c.waiting, c.written = c.conn.budget.now.Load(), c.unsent, 0 }

// end takes what is left off.
func (c *Call) end() {
	if !c.over {
		c.over = true
		c.conn.charge(-c.part - c.whole - c.unsent)
	}
}

// Read says that the handler has got a message of so many bytes, which it counts itself from now
// on.
func (c *Call) Read(bytes int) {
	if c == nil {
		return
	}
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if !c.over {
		n := min(c.whole, bytes+prefixed) // of a compressed one more was read than had come
		c.whole -= n
		c.conn.charge(-n)
	}
}

// Answer says that the handler has answered with a message of so many bytes.
func (c *Call) Answer(bytes int) {
	if c == nil {
		return
	}
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if c.over {
		return
	}
	first := c.unsent <= 0
	c.unsent += bytes + prefixed
	c.conn.charge(bytes + prefixed)
	if first {
		c.wait()
	}
}

// Hold counts what a handler keeps, until Free. An error is a refusal, and nothing is counted.
func (c *Call) Hold(bytes int) error {
	if c == nil {
		return nil
	}
	if err := c.conn.room(bytes); err != nil {
		return err
	}
	c.conn.charge(bytes)
	return nil
}

// Force is Hold without a refusal: for what frees more than it costs.
func (c *Call) Force(bytes int) {
	if c != nil {
		c.conn.charge(bytes)
	}
}

// Free says that what was counted by Hold or Force is not kept any more.
func (c *Call) Free(bytes int) {
	if c != nil {
		c.conn.charge(-bytes)
	}
}

// Refused says that the call was refused for what it is, and how much of a nuisance that is: up to
// [Refusal].
func (c *Call) Refused(nuisance int) {
	if c != nil && nuisance > 0 {
		c.conn.debt.Add(int64(nuisance))
	}
}

type key struct{}

// With returns a context that has the account.
func (c *Call) With(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, c) }

// Of is the account that a context has; nil, on which every method does nothing: none.
func Of(ctx context.Context) *Call {
	c, _ := ctx.Value(key{}).(*Call)
	return c
}
