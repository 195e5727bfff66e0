package facade_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// limitOf is the limit that an error names, and when it asks to be asked again.
func limitOf(err error) (limit string, retry time.Duration) {
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetReason() == "LIMIT" {
				limit = d.GetMetadata()["limit"]
			}
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	return limit, retry
}

// refusals collects the limits that a server refuses by.
type refusals struct {
	mu    sync.Mutex
	named []string
}

func (r *refusals) note(limit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.named = append(r.named, limit)
}

func (r *refusals) has(limit string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.named, limit)
}

// limited serves a store that does nothing at once, with some limits changed.
func limited(t *testing.T, store facade.Store, change func(*facade.Limits)) (conn *grpc.ClientConn, refused *refusals) {
	t.Helper()
	limits := facade.DefaultLimits()
	change(&limits)
	refused = &refusals{}
	_, conn = serveConfig(t, facade.Config{Store: store, Limits: limits, Refused: refused.note})
	return conn, refused
}

func nothing(context.Context, string) error { return nil }

// frameConn is a connection that speaks HTTP/2 frame by frame.
type frameConn struct {
	*http2.Framer
	t      *testing.T
	conn   net.Conn
	stream uint32
}

func dialFrames(t *testing.T, conn *grpc.ClientConn, settings ...http2.Setting) *frameConn {
	t.Helper()
	addr := conn.Target()[len("passthrough:///"):]
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := &frameConn{Framer: http2.NewFramer(c, c), t: t, conn: c}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return r
}

// call begins a call, and returns its stream; an error: the connection is closed.
func (r *frameConn) call(method string) (stream uint32, err error) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "test"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			r.t.Fatal(err)
		}
	}
	if r.stream == 0 {
		r.stream = 1
	} else {
		r.stream += 2
	}
	return r.stream, r.WriteHeaders(http2.HeadersFrameParam{StreamID: r.stream, BlockFragment: block.Bytes(), EndHeaders: true})
}

// framed is a message with its prefix.
func framed(t *testing.T, m proto.Message) []byte {
	t.Helper()
	message, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// answered waits until the answer to a call begins; an error: the connection is closed.
func (r *frameConn) answered(stream uint32) error {
	for {
		if err := r.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		f, err := r.ReadFrame()
		if err != nil {
			return err
		}
		if h := f.Header(); h.Type == http2.FrameHeaders && h.StreamID == stream {
			return r.conn.SetReadDeadline(time.Time{})
		}
	}
}

// closed waits until the server closes the connection.
func (r *frameConn) closed(what string) {
	r.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, r.conn)
	}()
	await.Receive(r.t, patience, what, ended)
}

// Messages of few bytes that would take many are refused before they are decoded; so are many at
// once of those that are large.
func TestUnaryMessagesAreWeighed(t *testing.T) {
	conn, _ := limited(t, scripted{do: nothing}, func(*facade.Limits) {})
	bomb := bytes.Repeat([]byte{0x1a, 0}, 200_000)
	var answer []byte
	err := conn.Invoke(storetest.Bounded(t), dlmv1.LockService_Heartbeat_FullMethodName, &bomb, &answer, grpc.ForceCodec(rawCodec{}))
	if reasonOf(err) != "TOO_LARGE" {
		t.Errorf("200,000 empty acquisitions: %v, want TOO_LARGE", err)
	}
	heartbeat := &dlmv1.HeartbeatRequest{Session: credential}
	for range etcdstore.MaxUnfinished {
		heartbeat.Unfinished = append(heartbeat.Unfinished, &dlmv1.Acquisition{
			Lock: string(bytes.Repeat([]byte("l"), 255)), Request: string(bytes.Repeat([]byte("r"), 64)),
		})
	}
	if _, err := dlmv1.NewLockServiceClient(conn).Heartbeat(storetest.Bounded(t), heartbeat); err != nil {
		t.Errorf("as many acquisitions as there may be, with the longest names: %v", err)
	}
}

func TestCompressedRequestsAreRefused(t *testing.T) {
	conn, _ := limited(t, scripted{do: nothing}, func(*facade.Limits) {})
	_, err := dlmv1.NewLockServiceClient(conn).Close(storetest.Bounded(t), &dlmv1.CloseRequest{Session: credential}, grpc.UseCompressor(gzip.Name))
	if status.Code(err) == codes.OK {
		t.Error("a compressed request was taken")
	}
}

// What has come of requests that never come to their end is bounded: the connection that has the
// most is closed, and others go on.
func TestUnfinishedRequestsAreBounded(t *testing.T) {
	conn, refused := limited(t, scripted{do: nothing}, func(l *facade.Limits) {
		l.Buffer, l.ConnectionBuffer = 4<<20, 2<<20
	})
	r := dialFrames(t, conn)
	piece := make([]byte, 16<<10)
	copy(piece, []byte{0, 0, 0xe0, 0, 0}) // of 14 MiB
	go func() {
		for {
			stream, err := r.call(dlmv1.LockService_Append_FullMethodName)
			for range 4 {
				if err == nil {
					err = r.WriteData(stream, false, piece)
				}
			}
			if err != nil {
				return
			}
		}
	}()
	r.closed("the end of a connection with too much that is unfinished")
	if !refused.has("connection-buffer") {
		t.Errorf("refused by %q, want connection-buffer", refused.named)
	}
	if _, err := dlmv1.NewLockServiceClient(conn).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{}); err != nil {
		t.Errorf("a call of another connection: %v", err)
	}
}

func TestSlowRequestsEnd(t *testing.T) {
	conn, refused := limited(t, scripted{do: nothing}, func(l *facade.Limits) { l.Deliver = 500 * time.Millisecond })
	// A multiplexed stream may be silent for longer than all of these together.
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, begin := range map[string]func(*frameConn) error{
		"no request": func(r *frameConn) error {
			_, err := r.call(dlmv1.LockService_Inspect_FullMethodName)
			return err
		},
		"the beginning of one": func(r *frameConn) error {
			stream, err := r.call(dlmv1.LockService_Append_FullMethodName)
			if err == nil {
				err = r.WriteData(stream, false, []byte{0, 0, 1, 0, 0, 1})
			}
			return err
		},
		"the beginning of a later one": func(r *frameConn) error {
			stream, err := r.call(dlmv1.LockService_Stream_FullMethodName)
			whole := framed(r.t, &dlmv1.StreamRequest{Call: 1})
			if err == nil {
				err = r.WriteData(stream, false, append(whole, whole[:6]...))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := dialFrames(t, conn)
			if err := begin(r); err != nil {
				t.Fatal(err)
			}
			r.closed("the end of its connection")
		})
	}
	if !refused.has("deliver") {
		t.Errorf("refused by %q, want deliver", refused.named)
	}
	if err := stream.Send(&dlmv1.StreamRequest{Call: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("a stream that was silent: %v", err)
	}
}

// Answers that are never read do not pile up: calls are refused, and the connection is closed. The
// calls are made one after the other, since many at once may be let in before the first is answered:
// then the connection is closed for what it keeps, and not for what it does not collect.
func TestUnreadAnswersAreBounded(t *testing.T) {
	store := scripted{do: nothing, read: etcdstore.Piece{Data: make([]byte, etcdstore.MaxRead)}}
	conn, refused := limited(t, store, func(l *facade.Limits) {
		l.Buffer, l.ConnectionBuffer, l.Collect = 64<<20, 16<<20, 3*time.Second
	})
	r := dialFrames(t, conn, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	read := framed(t, &dlmv1.ReadRequest{Lock: "l", File: "f"})
	for range 100 {
		stream, err := r.call(dlmv1.LockService_Read_FullMethodName)
		if err == nil {
			err = r.WriteData(stream, true, read)
		}
		if err == nil {
			err = r.answered(stream)
		}
		if err != nil {
			break // closed
		}
	}
	r.closed("the end of a connection that reads nothing")
	if !refused.has("connection-buffer") || !refused.has("collect") {
		t.Errorf("refused by %q, want connection-buffer and collect", refused.named)
	}
	for range 100 { // those that are read go on
		if _, err := dlmv1.NewLockServiceClient(conn).Read(storetest.Bounded(t), &dlmv1.ReadRequest{Lock: "l", File: "f"}); err != nil {
			t.Fatalf("a read of another connection: %v", err)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	conn, _ := limited(t, scripted{do: nothing}, func(l *facade.Limits) { l.SessionRatePerClient, l.SessionBurst = 1, 3 })
	client := dlmv1.NewLockServiceClient(conn)
	mux := dlmv1.NewLockServiceClient(openMux(t, conn))
	for i := range 3 {
		if _, err := client.Init(storetest.Bounded(t), &dlmv1.InitRequest{}); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
	}
	for _, c := range []dlmv1.LockServiceClient{client, mux} {
		_, err := c.Init(storetest.Bounded(t), &dlmv1.InitRequest{})
		if limit, retry := limitOf(err); limit != "session-rate-per-client" || retry <= 0 {
			t.Errorf("a session too many: %v, want LIMIT with session-rate-per-client, and when to try again", err)
		}
	}
	storetest.Eventually(t, "another session", func() bool {
		_, err := client.Init(storetest.Bounded(t), &dlmv1.InitRequest{})
		return err == nil
	})
}

func TestCallsAreBounded(t *testing.T) {
	conn, _ := limited(t, scripted{do: nothing}, func(l *facade.Limits) { l.CallRate = 3 })
	for by, client := range map[string]dlmv1.LockServiceClient{
		"unary": dlmv1.NewLockServiceClient(conn), "mux": dlmv1.NewLockServiceClient(openMux(t, conn)),
	} {
		storetest.Eventually(t, by+": a call too many", func() bool {
			_, err := client.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
			limit, retry := limitOf(err)
			return limit == "call-rate" && retry > 0
		})
		if _, err := client.Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{}); err != nil {
			t.Errorf("%s: a release: %v", by, err)
		}
		storetest.Eventually(t, by+": another call", func() bool {
			_, err := client.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
			return err == nil
		})
	}
}

// Somebody's evictions from a page count with the same one's calls.
func TestVisitorsAreBounded(t *testing.T) {
	limits := facade.DefaultLimits()
	limits.CallRate = 1
	access := facade.Access{Bearers: tokens{"alice": time.Now().Add(time.Hour), "bob": time.Now().Add(time.Hour)}}
	server, conn := serveConfig(t, facade.Config{Store: scripted{do: nothing}, Limits: limits, Access: access})
	evict := func(who string) error {
		by, from := facade.Shown{Authorization: []string{"Bearer " + who}}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
		_, err := server.Evict(storetest.Bounded(t), by, from, "l", 1, "reason")
		return err
	}
	storetest.Eventually(t, "an eviction too many", func() bool { return errors.Is(evict("alice"), etcdstore.ErrLimit) })
	if err := evict("bob"); err != nil {
		t.Errorf("another's: %v", err)
	}
	client := dlmv1.NewLockServiceClient(conn)
	storetest.Eventually(t, "a call too many", func() bool {
		evicted := evict("alice")
		_, err := client.Inspect(withToken(storetest.Bounded(t), "alice"), &dlmv1.InspectRequest{})
		limit, _ := limitOf(err)
		return evicted == nil && limit == "call-rate"
	})
}

// A connection that is too old is closed, and what its client asks then goes over another one.
func TestOldConnectionsAreClosed(t *testing.T) {
	conn, _ := limited(t, scripted{do: nothing}, func(l *facade.Limits) { l.Age = 200 * time.Millisecond })
	old := dialFrames(t, conn)
	old.closed("the end of an old connection")
	if _, err := dlmv1.NewLockServiceClient(conn).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{}); err != nil {
		t.Errorf("a call after that: %v", err)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	store, begun, _, letGo := blocking("Watch")
	conn, _ := limited(t, store, func(l *facade.Limits) { l.WatchesPerClient = 2 })
	client := dlmv1.NewLockServiceClient(conn)
	for range 2 {
		if _, err := client.Watch(storetest.Bounded(t), &dlmv1.WatchRequest{}); err != nil {
			t.Fatal(err)
		}
		wait(t, begun, "a watch")
	}
	for _, follow := range []func() error{
		func() error {
			stream, err := client.Watch(storetest.Bounded(t), &dlmv1.WatchRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		func() error {
			stream, err := client.Tail(storetest.Bounded(t), &dlmv1.TailRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		if limit, _ := limitOf(follow()); limit != "watches-per-client" {
			t.Errorf("one too many: limit %q, want watches-per-client", limit)
		}
	}
	close(letGo)
}

func TestConnectionsAreBounded(t *testing.T) {
	conn, refused := limited(t, scripted{do: nothing}, func(l *facade.Limits) { l.Connections = 3 })
	client := dlmv1.NewLockServiceClient(conn)
	stream, err := client.Stream(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&dlmv1.StreamRequest{Call: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		idle, err := new(net.Dialer).DialContext(t.Context(), "tcp", conn.Target()[len("passthrough:///"):])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = idle.Close() })
	}
	// One with a call stays, and a newcomer gets in once others have been idle for long enough.
	storetest.Eventually(t, "a newcomer's call", func() bool {
		late, err := grpc.NewClient(conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = late.Close() }()
		_, err = dlmv1.NewLockServiceClient(late).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
		return err == nil
	})
	if err := stream.Send(&dlmv1.StreamRequest{Call: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("the connection with a stream: %v", err)
	}
	if !refused.has("connections") {
		t.Errorf("refused by %q, want connections", refused.named)
	}
}
