package facade_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// raw is a stream without a client library.
type raw struct {
	*testing.T
	stream grpc.BidiStreamingClient[dlmv1.StreamRequest, dlmv1.StreamResponse]
	calls  uint64
	lost   []*dlmv1.Lost // that came beside answers
}

func openRaw(t *testing.T, conn *grpc.ClientConn) *raw {
	t.Helper()
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return &raw{T: t, stream: stream}
}

// ask sends a call and reads on until its answer.
func (r *raw) ask(req *dlmv1.StreamRequest) *dlmv1.StreamResponse {
	r.Helper()
	r.calls++
	req.Call = r.calls
	if err := r.stream.Send(req); err != nil {
		r.Fatal(err)
	}
	for {
		resp, err := r.stream.Recv()
		if err != nil {
			r.Fatal(err)
		}
		if resp.GetCall() == r.calls {
			return resp
		}
		if resp.GetCall() != 0 || resp.GetLost() == nil {
			r.Fatalf("got %v, want an answer to call %d, or a loss", resp, r.calls)
		}
		r.lost = append(r.lost, resp.GetLost())
	}
}

// told is the next loss.
func (r *raw) told() *dlmv1.Lost {
	r.Helper()
	for len(r.lost) == 0 {
		resp, err := r.stream.Recv()
		if err != nil {
			r.Fatal(err)
		}
		if resp.GetCall() != 0 || resp.GetLost() == nil {
			r.Fatalf("got %v, want a loss", resp)
		}
		r.lost = append(r.lost, resp.GetLost())
	}
	lost := r.lost[0]
	r.lost = r.lost[1:]
	return lost
}

func (r *raw) wants(lost *dlmv1.Lost, want *dlmv1.Lost, token int64) {
	r.Helper()
	want.Revision = lost.GetRevision()
	if !proto.Equal(lost, want) || lost.GetRevision() <= token {
		r.Errorf("told %v, want %v, at a revision above %d", lost, want, token)
	}
}

func initRequest(takes bool) *dlmv1.StreamRequest {
	return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Init{
		Init: &dlmv1.InitRequest{Ttl: durationpb.New(time.Minute), TakesLost: takes},
	}}
}

func beatRequest(session string, takes bool) *dlmv1.StreamRequest {
	return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{
		Heartbeat: &dlmv1.HeartbeatRequest{Session: session, TakesLost: takes},
	}}
}

func acquireOf(session, lock, request string) *dlmv1.StreamRequest {
	return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Acquire{
		Acquire: &dlmv1.AcquireRequest{Session: session, Lock: lock, Request: request},
	}}
}

// A client is told what its sessions lose on the streams that it said so on, whichever server the
// loss came from, and nowhere else: a client of before knows no such message.
func TestLossesAreSentToWhoTakesThem(t *testing.T) {
	node := facadetest.Start(t, facadetest.WithFacades(2))
	elsewhere := dlmv1.NewLockServiceClient(node.Dial(1))
	conn := node.Dial(0)
	begun, moved, old, thief := openRaw(t, conn), openRaw(t, conn), openRaw(t, conn), openRaw(t, conn)

	session := begun.ask(initRequest(true)).GetInit()
	if moved.ask(beatRequest(session.GetSession(), true)).GetHeartbeat() == nil {
		t.Fatal("the heartbeat was refused")
	}
	if old.ask(beatRequest(session.GetSession(), false)).GetHeartbeat() == nil {
		t.Fatal("the heartbeat was refused")
	}
	if got := reasonOf(errorOf(thief.ask(beatRequest(session.GetId()+".00000000000000000000000000000000", true)).GetError())); got != "SESSION_EXPIRED" {
		t.Errorf("a heartbeat with a wrong secret: %q", got)
	}
	for i, reason := range []string{"one", "two"} {
		lock, request := fmt.Sprintf("lost/%d", i), strconv.Itoa(i+1)
		token := begun.ask(acquireOf(session.GetSession(), lock, request)).GetAcquire().GetToken()
		evict := &dlmv1.EvictRequest{Lock: lock, Token: token, Reason: reason}
		if _, err := elsewhere.Evict(storetest.Bounded(t), evict); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*raw{begun, moved} {
			r.wants(r.told(), &dlmv1.Lost{Session: session.GetId(), Lock: lock, Request: request, Reason: "evicted: " + reason}, token)
		}
	}
	if _, err := elsewhere.Close(storetest.Bounded(t), &dlmv1.CloseRequest{Session: session.GetSession()}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*raw{begun, moved} {
		r.wants(r.told(), &dlmv1.Lost{Session: session.GetId(), Reason: "its session ended"}, 0)
	}
	for name, r := range map[string]*raw{"a client of before": old, "whoever knows the session's id": thief} {
		if r.ask(initRequest(false)).GetInit() == nil {
			t.Errorf("%s: the stream does not go on", name)
		}
		if len(r.lost) > 0 {
			t.Errorf("%s was told %v", name, r.lost)
		}
	}
}

// telling is a store that has its streams' losses told by the test.
type telling struct {
	scripted
	tells chan func(etcdstore.Loss)
}

func newTelling(s scripted) telling { return telling{s, make(chan func(etcdstore.Loss), 1)} }

func (s telling) NewLink(tell func(etcdstore.Loss)) *etcdstore.Link {
	s.tells <- tell
	return &etcdstore.Link{}
}

// Losses are told while the server drains, as long as a stream stands.
func TestLossesAreSentThroughADrain(t *testing.T) {
	blocked, begun, _, letGo := blocking("Release")
	store := newTelling(blocked)
	server, conn := serve(t, store, nil)
	r := openRaw(t, conn)
	release := &dlmv1.StreamRequest{Call: 1, Request: &dlmv1.StreamRequest_Release{Release: &dlmv1.ReleaseRequest{}}}
	if err := r.stream.Send(release); err != nil {
		t.Fatal(err)
	}
	tell := wait(t, store.tells, "the link")
	wait(t, begun, "the call that blocks")
	ended := make(chan error, 1)
	go func() { ended <- server.Shutdown(storetest.Bounded(t)) }()
	storetest.Eventually(t, "the drain", func() bool {
		_, err := dlmv1.NewLockServiceClient(conn).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{})
		return reasonOf(err) == "SHUTTING_DOWN" || err != nil
	})
	tell(etcdstore.Loss{Session: "s", Lock: "l", Request: "1", Revision: 7, Reason: "why"})
	r.wants(r.told(), &dlmv1.Lost{Session: "s", Lock: "l", Request: "1", Reason: "why"}, 6)
	close(letGo)
	if resp, err := r.stream.Recv(); err != nil || resp.GetRelease() == nil {
		t.Errorf("got %v, %v; want the answer", resp, err)
	}
	if err := wait(t, ended, "the shutdown"); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// stuck is a stream whose client does not read until it is let go.
type stuck struct {
	grpc.ServerStream
	ctx     context.Context
	sending chan struct{}
	letGo   chan struct{}
	over    chan struct{} // the client has no more calls
	sent    []*dlmv1.StreamResponse
}

func (s *stuck) Context() context.Context { return s.ctx }

func (s *stuck) Recv() (*dlmv1.StreamRequest, error) {
	<-s.over
	return nil, io.EOF
}

func (s *stuck) Send(resp *dlmv1.StreamResponse) error {
	select {
	case s.sending <- struct{}{}:
	default:
	}
	<-s.letGo
	s.sent = append(s.sent, resp)
	return nil
}

// A client that does not read holds up nobody, and what it is to be told does not pile up.
func TestSlowReaderIsToldLittle(t *testing.T) {
	stream := &stuck{ctx: t.Context(), sending: make(chan struct{}, 1), letGo: make(chan struct{}), over: make(chan struct{})}
	store := newTelling(scripted{do: func(context.Context, string) error { return nil }})
	ended := make(chan error, 1)
	go func() { ended <- facade.Multiplex(store, stream) }()
	tell := wait(t, store.tells, "the link")
	loss := func(i int, rev int64) etcdstore.Loss {
		return etcdstore.Loss{Session: "s", Lock: "l", Request: strconv.Itoa(i), Revision: rev}
	}
	tell(loss(0, 1))
	wait(t, stream.sending, "the first loss to be sent")
	for rev := range int64(3 * facade.MaxLosses) { // of one acquisition
		tell(loss(1, 1+rev))
	}
	tell(loss(1, 1)) // that was overtaken
	for i := range 3 * facade.MaxLosses {
		tell(loss(2+i, 1))
	}
	close(stream.letGo)
	close(stream.over)
	if err := wait(t, ended, "the stream's end"); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	if got, want := len(stream.sent), 1+facade.MaxLosses; got != want {
		t.Fatalf("%d losses were sent, want %d", got, want)
	}
	if got := stream.sent[1].GetLost(); got.GetRequest() != "1" || got.GetRevision() != 3*facade.MaxLosses {
		t.Errorf("told %v, want the latest of request 1", got)
	}
	tell(loss(1, 1)) // too late
}
