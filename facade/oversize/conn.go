package oversize

import (
	"encoding/binary"
	"net"

	"google.golang.org/protobuf/proto"
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
	return &marking{Conn: conn, preface: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), calls: map[uint32]message{}}
}

type marking struct {
	net.Conn
	preface int     // bytes of what a client says first that are still to come
	header  [9]byte // of the frame
	have    int     // bytes of it
	rest    int     // bytes of the frame that are still to come behind its header
	padded  bool    // the next one says how many of them are padding
	padding int
	last    uint32             // the latest call
	calls   map[uint32]message // those whose first message has yet to begin, or is being written over
}

// message is what has come of a call's first message.
type message struct {
	at     int // bytes
	prefix [5]byte
}

// maxCalls bounds the calls that are looked at. Nearly all have their first message at once; of
// more, that a client might open without one, large messages are left to gRPC.
const maxCalls = 4096

// The types of frames that matter here, and their flags.
const (
	frameData    = 0
	frameHeaders = 1
	frameReset   = 3
	endStream    = 0x1
	isPadded     = 0x8
)

func (c *marking) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for part := b[:n]; len(part) > 0; {
		part = part[c.look(part):]
	}
	return n, err
}

// look looks at the next part of what has come, of one kind, and returns how long it is.
func (c *marking) look(b []byte) (n int) {
	switch {
	case c.preface > 0:
		n = min(c.preface, len(b))
		c.preface -= n
		return n
	case c.have < len(c.header):
		n = copy(c.header[c.have:], b)
		if c.have += n; c.have == len(c.header) {
			c.begin()
		}
	case c.padded:
		n, c.padded, c.padding = 1, false, int(b[0])
		c.rest--
	default:
		n = min(c.rest, len(b))
		if c.header[3] == frameData {
			c.data(b[:max(0, min(n, c.rest-c.padding))])
		}
		c.rest -= n
	}
	if c.have == len(c.header) && c.rest == 0 {
		c.have = 0
	}
	return n
}

// begin begins a frame.
func (c *marking) begin() {
	c.rest = int(c.header[0])<<16 | int(c.header[1])<<8 | int(c.header[2])
	c.padding = 0
	kind, flags, call := c.header[3], c.header[4], c.call()
	c.padded = kind == frameData && flags&isPadded != 0 && c.rest > 0
	switch {
	case kind == frameHeaders && call > c.last:
		c.last = call
		if flags&endStream == 0 && len(c.calls) < maxCalls {
			c.calls[call] = message{}
		}
	case kind == frameReset:
		delete(c.calls, call)
	}
}

// call is which call the frame belongs to.
func (c *marking) call() uint32 { return binary.BigEndian.Uint32(c.header[5:]) &^ (1 << 31) }

// data looks at bytes of a call's messages.
func (c *marking) data(b []byte) {
	m, ok := c.calls[c.call()]
	if !ok {
		return
	}
	for i := range b {
		if m.write(&b[i]); m.at == len(m.prefix)+len(marker)+len(m.prefix) {
			delete(c.calls, c.call())
			return
		}
	}
	c.calls[c.call()] = m
}

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
