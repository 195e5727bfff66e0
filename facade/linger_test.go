package facade_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// unservedStore is a store that cannot say how a lock is.
type unservedStore struct{ facade.Store }

func (s unservedStore) Inspect(context.Context, string) (etcdstore.LockInfo, error) {
	return etcdstore.LockInfo{}, etcdstore.ErrNoQuorum
}

// A stream whose client has closed it ends the sessions that are attached to it, but for one on
// which the client was told to look elsewhere. A stream that only carried calls ends none, nor does
// a session that was begun by a call of its own.
func TestRefusedStreamEndsNoSession(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithStore(func(s facade.Store) facade.Store { return unservedStore{s} }))
	ctx := storetest.Bounded(t)
	init := func(api dlmv1.LockServiceClient) *dlmv1.InitResponse {
		t.Helper()
		m, err := api.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(time.Minute), Linger: durationpb.New(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	unary := dlmv1.NewLockServiceClient(n.Dial(0))
	beat := func(api dlmv1.LockServiceClient, session string, attachment, want uint64) {
		t.Helper()
		m, err := api.Heartbeat(ctx, &dlmv1.HeartbeatRequest{Session: session, Attachment: attachment})
		if err != nil || m.GetAttachment() != want {
			t.Fatalf("heartbeat: attachment %d, %v; want %d", m.GetAttachment(), err, want)
		}
	}
	alive := func(m *dlmv1.InitResponse) bool {
		t.Helper()
		resp, err := n.Etcd().Get(ctx, "/dlm/sessions/"+m.GetId())
		if err != nil {
			t.Fatal(err)
		}
		return len(resp.Kvs) == 1
	}

	left, refused, carrying, moved := openMux(t, n.Dial(0)), openMux(t, n.Dial(0)), openMux(t, n.Dial(0)), openMux(t, n.Dial(0))
	gone, sentAway := init(dlmv1.NewLockServiceClient(left)), init(dlmv1.NewLockServiceClient(refused))
	own, elsewhere := init(unary), init(dlmv1.NewLockServiceClient(left))
	beat(dlmv1.NewLockServiceClient(carrying), own.GetSession(), 0, 1)
	beat(dlmv1.NewLockServiceClient(moved), elsewhere.GetSession(), 2, 2)
	if _, err := dlmv1.NewLockServiceClient(refused).Inspect(ctx, &dlmv1.InspectRequest{Lock: "a"}); reasonOf(err) != "NO_QUORUM" {
		t.Fatalf("Inspect: %v", err)
	}
	for _, m := range []*muxConn{refused, carrying, left} {
		if err := m.conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Eventually(t, "the session's end", func() bool { return !alive(gone) })
	for what, m := range map[string]*dlmv1.InitResponse{
		"was sent away": sentAway, "has no stream": own, "has moved": elsewhere,
	} {
		if !alive(m) {
			t.Errorf("the session of a client that %s has ended", what)
		}
	}
	if err := moved.conn.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the session's end after its move", func() bool { return !alive(elsewhere) })
}

func TestLingerIsDecoded(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, scripted{do: func(context.Context, string) error { return nil }}, nil)
	for _, linger := range []*durationpb.Duration{{}, {Seconds: 1, Nanos: -1}} {
		_, err := dlmv1.NewLockServiceClient(conn).Init(storetest.Bounded(t), &dlmv1.InitRequest{Linger: linger})
		if got := reasonOf(err); got != "INVALID_ARGUMENT" {
			t.Errorf("linger %v: reason %q (%v)", linger, got, err)
		}
	}
}
