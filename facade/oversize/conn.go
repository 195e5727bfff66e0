package oversize

import (
	"net"

	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/facade/internal/frames"
)

// Limit is the least length in bytes that is too large: the least whose first byte is not 0, so
// that nothing has to be held back until the others are there.
const Limit = 1 << 24

// marker is the content of a message that says that it stands for one which is too large: a number
// in the last field that there can be, which no message has. A client that sends it is refused as
// if it had sent the other.
const marker = "\xf8\xff\xff\xff\x0f\x01"

// Marked reports whether a message stands for one that is too large.
func Marked(m proto.Message) bool { return string(m.ProtoReflect().GetUnknown()) == marker }

// Mark returns a server's connection from which messages that are too large are read as messages
// that say so.
func Mark(conn net.Conn) net.Conn {
	m := &marking{Conn: conn, calls: map[uint32]message{}}
	m.frames = frames.FromClient(m)
	return m
}

type marking struct {
	net.Conn
	frames *frames.Scanner
	last   uint32             // the latest call
	calls  map[uint32]message // those whose first message has yet to begin, or is being written over
}

// message is what has come of a call's first message.
type message struct {
	at     int // bytes
	prefix [5]byte
}

// maxCalls bounds the calls that are looked at. Nearly all have their first message at once; of
// more, that a client might open without one, large messages are left to gRPC.
const maxCalls = 4096

func (c *marking) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.frames.Pass(b[:n])
	return n, err
}

// Begin notes that a call begins or ends.
func (c *marking) Begin(f frames.Frame) {
	switch {
	case f.Type == frames.Headers && f.Stream > c.last:
		c.last = f.Stream
		if f.Flags&frames.EndStream == 0 && len(c.calls) < maxCalls {
			c.calls[f.Stream] = message{}
		}
	case f.Type == frames.Reset:
		delete(c.calls, f.Stream)
	}
}

// Data looks at bytes of a call's messages.
func (c *marking) Data(f frames.Frame, b []byte) {
	m, ok := c.calls[f.Stream]
	if !ok {
		return
	}
	for i := range b {
		if m.write(&b[i]); m.at == len(m.prefix)+len(marker)+len(m.prefix) {
			delete(c.calls, f.Stream)
			return
		}
	}
	c.calls[f.Stream] = m
}

// End is for others.
func (c *marking) End(frames.Frame) {}

// write looks at the next byte, and writes it over if the message is too large. Of one that is
// not, or is compressed, there is nothing more to be seen.
func (m *message) write(b *byte) {
	const prefix = len(m.prefix)
	end := prefix + len(marker) + prefix
	switch at := m.at; {
	case at == 0 && *b != 0, at == 1 && *b == 0:
		m.at = end
		return
	case at < prefix-1:
		m.prefix[at], *b = *b, 0
	case at == prefix-1:
		m.prefix[at], *b = *b, byte(len(marker))
	case at < prefix+len(marker):
		*b = marker[at-prefix]
	default:
		*b = m.prefix[at-prefix-len(marker)]
	}
	m.at++
}
