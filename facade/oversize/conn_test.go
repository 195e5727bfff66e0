package oversize_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/distributed-lock-manager/dlm/facade/oversize"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is one of HTTP/2.
func frame(kind, flags byte, call uint32, payload []byte) []byte {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, call), payload...)
}

func headers(call uint32) []byte { return frame(1, 4, call, []byte("any")) }

func data(call uint32, payload []byte) []byte { return frame(0, 0, call, payload) }

// padded is a frame of data with padding, which looks like the beginning of a large message.
func padded(call uint32, payload []byte) []byte {
	return frame(0, 8, call, slices.Concat([]byte{6}, payload, []byte{0, 9, 9, 9, 9, 9}))
}

// prefixed is a message that says that it has so many bytes.
func prefixed(flag byte, length uint32, content string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, length), content...)
}

// source is a connection on which bytes come in pieces.
type source struct {
	net.Conn
	from  io.Reader
	piece int
}

func (s *source) Read(b []byte) (int, error) { return s.from.Read(b[:min(len(b), s.piece)]) }

func TestMark(t *testing.T) {
	t.Parallel()
	marker, err := proto.Marshal(marked(t))
	if err != nil {
		t.Fatal(err)
	}
	const content = "some of its content and more of that"
	large := prefixed(0, oversize.Limit, content)
	written := slices.Concat(prefixed(0, uint32(len(marker)), string(marker)), large[:5], large[5+len(marker)+5:])
	least, compressed := prefixed(0, oversize.Limit-1, content), prefixed(1, 1<<30, content)
	many := func(message []byte) (frames []byte) {
		for i := range message {
			frames = append(frames, data(9, message[i:i+1])...)
			frames = append(frames, frame(0, 0, 9, nil)...)
			frames = append(frames, padded(9, nil)...)
			frames = append(frames, frame(4, 0, 0, []byte("settings"))...)
			frames = append(frames, data(7, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})...) // a call that never began
		}
		return frames
	}
	for _, test := range []struct {
		name       string
		came, read []byte
	}{
		{"nothing", nil, nil},
		{"a message within the bound", slices.Concat(headers(1), data(1, least)), nil},
		{"a large one", slices.Concat(headers(1), data(1, large)), slices.Concat(headers(1), data(1, written))},
		{"a large one with padding", slices.Concat(headers(1), padded(1, large)), slices.Concat(headers(1), padded(1, written))},
		{"a large one in pieces, among others", append(headers(9), many(large)...), append(headers(9), many(written)...)},
		{"two calls", slices.Concat(headers(1), headers(3), data(3, least[:2]), data(1, large[:3]), data(3, least[2:]), data(1, large[3:])),
			slices.Concat(headers(1), headers(3), data(3, least[:2]), data(1, written[:3]), data(3, least[2:]), data(1, written[3:]))},
		{"a compressed one", slices.Concat(headers(1), data(1, compressed)), nil},
		{"behind another", slices.Concat(headers(1), data(1, prefixed(0, 1, "x")), data(1, large)), nil},
		{"after a reset", slices.Concat(headers(1), frame(3, 0, 1, []byte("code")), data(1, large)), nil},
		{"after trailers", slices.Concat(headers(3), headers(1), data(1, large)), nil},
		{"without a beginning", data(1, large), nil},
		{"frames that lie about their padding", slices.Concat(headers(1), frame(0, 8, 1, []byte{200, 0, 9}), frame(0, 8, 1, nil), data(1, large)),
			slices.Concat(headers(1), frame(0, 8, 1, []byte{200, 0, 9}), frame(0, 8, 1, nil), data(1, written))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := append([]byte(preface), test.came...)
			if test.read != nil {
				want = append([]byte(preface), test.read...)
			}
			for _, piece := range []int{1, 2, 3, 5, 7, 11, 1 << 20} {
				came := append([]byte(preface), test.came...)
				got, err := io.ReadAll(oversize.Mark(&source{from: bytes.NewReader(came), piece: piece}))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("in pieces of %d: %v\n%q, want\n%q", piece, err, got, want)
				}
			}
		})
	}
}

// Calls that never send anything cost no more than a bound, and those behind them are served.
func TestMarkOfManyCalls(t *testing.T) {
	t.Parallel()
	came := []byte(preface)
	for call := range uint32(100_000) {
		came = append(came, headers(2*call+1)...)
	}
	came = append(came, data(1, prefixed(0, 1<<30, "some of its content"))...)
	got, err := io.ReadAll(oversize.Mark(&source{from: bytes.NewReader(bytes.Clone(came)), piece: 1 << 20}))
	if err != nil || len(got) != len(came) || bytes.Equal(got, came) {
		t.Errorf("%d of %d bytes, %v", len(got), len(came), err)
	}
}

// marked is the message that stands for one that is too large.
func marked(t *testing.T) proto.Message {
	t.Helper()
	came := slices.Concat([]byte(preface), headers(1), data(1, prefixed(0, 1<<30, "any content")))
	read, err := io.ReadAll(oversize.Mark(&source{from: bytes.NewReader(came), piece: 100}))
	if err != nil {
		t.Fatal(err)
	}
	message := read[len(preface)+len(headers(1))+9:]
	n := binary.BigEndian.Uint32(message[1:])
	m := &emptypb.Empty{}
	if err := proto.Unmarshal(message[5:5+n], m); err != nil {
		t.Fatal(err)
	}
	if !oversize.Marked(m) || oversize.Marked(&emptypb.Empty{}) {
		t.Errorf("%v is not told from another", m)
	}
	return m
}

func FuzzMark(f *testing.F) {
	f.Add(slices.Concat(headers(1), data(1, prefixed(0, 1<<30, "content of it"))), 3)
	f.Add(slices.Concat(headers(1), padded(1, prefixed(0, 12, "content of it"))), 1)
	f.Fuzz(func(t *testing.T, came []byte, piece int) {
		if piece <= 0 {
			return
		}
		came = append([]byte(preface), came...)
		whole, err := io.ReadAll(oversize.Mark(&source{from: bytes.NewReader(bytes.Clone(came)), piece: len(came)}))
		if err != nil || len(whole) != len(came) {
			t.Fatalf("%d of %d bytes, %v", len(whole), len(came), err)
		}
		parts, err := io.ReadAll(oversize.Mark(&source{from: bytes.NewReader(bytes.Clone(came)), piece: piece}))
		if err != nil || !bytes.Equal(whole, parts) {
			t.Errorf("in pieces of %d: %v, %q, want %q", piece, err, parts, whole)
		}
	})
}
