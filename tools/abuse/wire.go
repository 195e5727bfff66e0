package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// tally counts what became of a flood's calls.
type tally struct {
	sent     atomic.Int64 // calls and other things that were begun
	answered atomic.Int64 // calls that succeeded
	refused  atomic.Int64 // RESOURCE_EXHAUSTED
	failed   atomic.Int64 // other errors, resets included
	cut      atomic.Int64 // connections that the server ended
}

// wide is a window for all that a server may want to send, narrow one for nothing.
const (
	wide   = 1<<31 - 1
	narrow = 0
)

// wire is a connection whose frames are ours: it can do what no library for gRPC would. It keeps to
// the server's windows, since whoever does not is cut off.
type wire struct {
	tally *tally
	conn  net.Conn
	ended chan struct{} // closed when nothing can be read any more

	writing sync.Mutex
	out     *bufio.Writer
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	next    uint32

	mu      sync.Mutex
	changed *sync.Cond
	most    int              // calls at a time; 0: any number
	streams map[uint32]int64 // what may be sent on each that is open
	room    int64            // what may be sent on all
	initial int64            // what may be sent on a new one
	owed    []func() error   // acknowledgements to be written
	err     error
}

// dial connects and greets. The connection ends with ctx, which has a deadline. The window is what
// the server may send on each stream before it is read.
func dial(ctx context.Context, addr string, window uint32, t *tally) (*wire, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	w := &wire{
		tally: t, conn: conn, ended: make(chan struct{}), out: bufio.NewWriterSize(conn, 32<<10), next: 1,
		streams: map[uint32]int64{}, room: 65535, initial: 65535,
	}
	w.changed = sync.NewCond(&w.mu)
	w.encoder = hpack.NewEncoder(&w.block)
	w.framer = http2.NewFramer(w.out, bufio.NewReaderSize(conn, 32<<10))
	w.framer.AllowIllegalWrites = true
	w.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.framer.SetReuseFrames()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		defer stop()
		defer close(w.ended)
		w.read(window != narrow)
		if ctx.Err() == nil {
			t.cut.Add(1)
		}
	}()
	return w, w.write(func() error {
		if _, err := w.out.WriteString(http2.ClientPreface); err != nil {
			return err
		}
		if err := w.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil || window == narrow {
			return err
		}
		return w.framer.WriteWindowUpdate(0, wide-65535)
	})
}

// close ends the connection without a word.
func (w *wire) close() {
	w.conn.Close()
	<-w.ended
}

// write writes frames, and before them what is owed. It sends nothing by itself but what does not
// fit its buffer: see flush.
func (w *wire) write(frames func() error) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	owed, err := w.owed, w.err
	w.owed = nil
	w.mu.Unlock()
	for _, ack := range owed {
		err = errors.Join(err, ack())
	}
	if err != nil {
		return err
	}
	return frames()
}

func (w *wire) flush() error { return w.write(w.out.Flush) }

// owe has something written by whoever writes next, at once if nobody does: the reader never waits
// for a writer, which may wait for the server to read.
func (w *wire) owe(frame func() error) {
	w.mu.Lock()
	w.owed = append(w.owed, frame)
	w.mu.Unlock()
	if w.writing.TryLock() {
		w.writing.Unlock()
		_ = w.flush() // the reader notices by itself
	}
}

// open begins a call with its headers.
func (w *wire) open(method string, fields ...hpack.HeaderField) (id uint32, err error) {
	if err := w.slot(); err != nil {
		return 0, err
	}
	err = w.write(func() error {
		id = w.next
		w.next += 2
		w.mu.Lock()
		w.streams[id] = w.initial
		w.mu.Unlock()
		w.block.Reset()
		for _, f := range append([]hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: method}, {Name: ":authority", Value: "dlm"},
			{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
		}, fields...) {
			if err := w.encoder.WriteField(f); err != nil {
				return err
			}
		}
		w.tally.sent.Add(1)
		return w.headers(id)
	})
	return id, err
}

// headers writes the block, in as many frames as it takes.
func (w *wire) headers(id uint32) error {
	const most = 16 << 10
	block := w.block.Bytes()
	first := block[:min(most, len(block))]
	err := w.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block)})
	for block = block[len(first):]; err == nil && len(block) > 0; {
		piece := block[:min(most, len(block))]
		block = block[len(piece):]
		err = w.framer.WriteContinuation(id, len(block) == 0, piece)
	}
	return err
}

// slot waits until another call may be begun.
func (w *wire) slot() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until(func() bool { return w.most == 0 || len(w.streams) < w.most })
}

// until waits, with mu held, until something is so. Before it waits, it sends what was written.
func (w *wire) until(is func() bool) error {
	for !is() {
		if w.err != nil {
			return w.err
		}
		w.mu.Unlock()
		err := w.flush()
		w.mu.Lock()
		if err != nil {
			return err
		}
		if !is() && w.err == nil {
			w.changed.Wait()
		}
	}
	return w.err
}

// send sends a piece of a call's request, as the server has room for it.
func (w *wire) send(id uint32, data []byte, last bool) error {
	const most = 16 << 10
	for {
		n, err := w.allowed(id, min(most, len(data)))
		if err != nil {
			return err
		}
		end := last && n == len(data)
		if err := w.write(func() error { return w.framer.WriteData(id, end, data[:n]) }); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			return nil
		}
	}
}

// errOver: the server has ended the call, or the connection.
var errOver = errors.New("it is over")

// allowed takes what may be sent now, of what is wanted.
func (w *wire) allowed(id uint32, want int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := int64(0)
	err := w.until(func() bool {
		left, is := w.streams[id]
		n = min(int64(want), left, w.room)
		return !is || want == 0 || n > 0
	})
	if err != nil {
		return 0, err
	}
	if _, is := w.streams[id]; !is {
		return 0, errOver
	}
	w.streams[id] -= n
	w.room -= n
	return int(n), nil
}

// call makes a call with one request, and does not wait for its answer.
func (w *wire) call(method string, message []byte, fields ...hpack.HeaderField) error {
	id, err := w.open(method, fields...)
	if err != nil {
		return err
	}
	if err := w.send(id, message, true); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

// reset ends a call without waiting for its answer.
func (w *wire) reset(id uint32) error {
	w.over(id)
	return w.write(func() error { return w.framer.WriteRSTStream(id, http2.ErrCodeCancel) })
}

// over forgets a call, and reports whether it was open.
func (w *wire) over(id uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, was := w.streams[id]
	delete(w.streams, id)
	w.changed.Broadcast()
	return was
}

// hold waits until ctx or the connection ends, and has what was written sent.
func (w *wire) hold(ctx context.Context) error {
	if err := w.flush(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-w.ended:
		return errOver
	}
}

// read reads until the connection ends.
func (w *wire) read(refill bool) {
	unread := int64(0)
	for {
		frame, err := w.framer.ReadFrame()
		if _, bad := errors.AsType[http2.StreamError](err); bad {
			continue
		}
		if err != nil {
			w.mu.Lock()
			w.err = err
			w.changed.Broadcast()
			w.mu.Unlock()
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			w.settings(f)
		case *http2.PingFrame:
			if data := f.Data; !f.IsAck() {
				w.owe(func() error { return w.framer.WritePing(true, data) })
			}
		case *http2.WindowUpdateFrame:
			w.mu.Lock()
			if _, is := w.streams[f.StreamID]; is {
				w.streams[f.StreamID] += int64(f.Increment)
			} else if f.StreamID == 0 {
				w.room += int64(f.Increment)
			}
			w.changed.Broadcast()
			w.mu.Unlock()
		case *http2.DataFrame:
			if unread += int64(f.Length); refill && unread > wide/4 {
				n := uint32(unread)
				unread = 0
				w.owe(func() error { return w.framer.WriteWindowUpdate(0, n) })
			}
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() && w.over(f.StreamID) {
				w.status(f)
			}
		case *http2.RSTStreamFrame:
			if w.over(f.StreamID) {
				w.tally.failed.Add(1)
			}
		}
	}
}

func (w *wire) settings(f *http2.SettingsFrame) {
	if f.IsAck() {
		return
	}
	if size, is := f.Value(http2.SettingInitialWindowSize); is {
		w.mu.Lock()
		for id := range w.streams {
			w.streams[id] += int64(size) - w.initial
		}
		w.initial = int64(size)
		w.changed.Broadcast()
		w.mu.Unlock()
	}
	w.owe(func() error { return w.framer.WriteSettingsAck() })
}

// status counts a call's end.
func (w *wire) status(f *http2.MetaHeadersFrame) {
	for _, field := range f.Fields {
		if field.Name == "grpc-status" {
			w.tally.count(field.Value)
			return
		}
	}
	w.tally.failed.Add(1)
}

// count counts an answer by its code, in decimal.
func (t *tally) count(code string) {
	switch code {
	case "0":
		t.answered.Add(1)
	case "8":
		t.refused.Add(1)
	default:
		t.failed.Add(1)
	}
}

// framed returns a message with gRPC's five bytes before it.
func framed(message []byte, compressed bool) []byte {
	b := make([]byte, 5, 5+len(message))
	if compressed {
		b[0] = 1
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(message)))
	return append(b, message...)
}

// pause waits for a while, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
