package frames

import "encoding/binary"

// Type is what a frame is.
type Type uint8

// The types that somebody asks for.
const (
	Data         Type = 0
	Headers      Type = 1
	Reset        Type = 3
	WindowUpdate Type = 8
	Continuation Type = 9
)

// The flags that somebody asks for.
const (
	EndStream  = 0x1
	EndHeaders = 0x4
	Padded     = 0x8
)

// Preface is what a client says before its first frame.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Frame is what a frame's header says.
type Frame struct {
	Type   Type
	Flags  uint8
	Stream uint32
	Length int // of what follows
}

// Visitor is told of what passes.
type Visitor interface {
	// Begin is told of a frame, before its data.
	Begin(Frame)
	// Data is told of a piece of a DATA frame's content, without its padding. It may change it.
	Data(f Frame, b []byte)
	// End is told that all of a frame has passed.
	End(Frame)
}

// Scanner finds the frames in one direction of a connection.
type Scanner struct {
	visitor Visitor
	preface int     // bytes of what a client says first that are still to come
	header  [9]byte // of the frame
	have    int     // bytes of it
	frame   Frame
	rest    int  // bytes of the frame that are still to come behind its header
	padded  bool // the next one says how many of them are padding
	padding int
}

// FromClient returns a scanner of what a client says.
func FromClient(v Visitor) *Scanner { return &Scanner{visitor: v, preface: len(Preface)} }

// FromServer returns a scanner of what a server says.
func FromServer(v Visitor) *Scanner { return &Scanner{visitor: v} }

// Pass takes in the next bytes.
func (s *Scanner) Pass(b []byte) {
	for len(b) > 0 {
		b = b[s.Next(b):]
	}
}

// Next takes in the beginning of the next bytes, at most one frame's, and returns how many these
// are: at least one.
func (s *Scanner) Next(b []byte) (n int) {
	switch {
	case s.preface > 0:
		n = min(s.preface, len(b))
		s.preface -= n
		return n
	case s.have < len(s.header):
		n = copy(s.header[s.have:], b)
		if s.have += n; s.have < len(s.header) {
			return n
		}
		s.begin()
	case s.padded:
		n, s.padded, s.padding = 1, false, int(b[0])
		s.rest--
	default:
		n = min(s.rest, len(b))
		if content := max(0, min(n, s.rest-s.padding)); s.frame.Type == Data && content > 0 {
			s.visitor.Data(s.frame, b[:content])
		}
		s.rest -= n
	}
	if s.rest == 0 {
		s.have = 0
		s.visitor.End(s.frame)
	}
	return n
}

func (s *Scanner) begin() {
	s.frame = Frame{
		Type:   Type(s.header[3]),
		Flags:  s.header[4],
		Stream: binary.BigEndian.Uint32(s.header[5:]) &^ (1 << 31),
		Length: int(s.header[0])<<16 | int(s.header[1])<<8 | int(s.header[2]),
	}
	s.rest, s.padding = s.frame.Length, 0
	s.padded = s.frame.Type == Data && s.frame.Flags&Padded != 0 && s.rest > 0
	s.visitor.Begin(s.frame)
}
