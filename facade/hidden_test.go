package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// nosy may see what is open, and alice everything.
const hiding = `
rules:
  - {identity: "spiffe:spiffe://example.org/alice", locks: ["*"], allow: [acquire, append, read, inspect, evict, admin]}
  - {identity: "*", locks: [open], allow: [acquire, append, read, inspect, evict]}
  - {identity: "*", locks: [taken], allow: [acquire, evict]}
`

// learned is all that somebody learns of a call: answer or error, headers and trailers.
func learned(t *testing.T, answer proto.Message, err error, more ...metadata.MD) string {
	t.Helper()
	var all strings.Builder
	if err != nil {
		text, err := prototext.Marshal(status.Convert(err).Proto())
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	} else {
		text, err := prototext.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, md := range more {
		fmt.Fprint(&all, md)
	}
	return strings.ReplaceAll(all.String(), ":  ", ": ") // prototext's spaces are random
}

// A lock that may not be seen looks like one that is not there, byte for byte, whatever is asked
// about it.
func TestHiddenLocksLookAbsent(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, hiding)
	alice := g.api(0, "alice")
	nosys := initiate(t, g.api(1, "nosy")) // before all tokens
	evicted := take(t, alice, "alice", "payroll/2026")
	if _, err := alice.Evict(storetest.Bounded(t), &dlmv1.EvictRequest{Lock: "payroll/2026", Token: evicted.token, Reason: "fraud"}); err != nil {
		t.Fatal(err)
	}
	released := take(t, alice, "alice", "payroll/2026")
	if _, err := alice.Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{
		Session: released.credential, Lock: released.lock, Token: released.token, Appended: true,
	}); err != nil {
		t.Fatal(err)
	}
	for _, lock := range []string{"payroll/2026", "payroll/2027", "payroll/2028", "open/a", "open/b"} {
		take(t, alice, "alice", lock)
	}
	held, err := alice.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: "payroll/2026"})
	if err != nil {
		t.Fatal(err)
	}
	g.settled()

	tokens := map[string]int64{
		"1": 1, "of the holder": held.GetLock().GetHolder().GetToken(), "that was evicted": evicted.token, "that was released": released.token,
		"of now": g.revision(), "of later": 1 << 40,
	}
	session := nosys.GetSession()
	const there, absent = "payroll/2026", "payrolx/2026"
	for i := range 2 {
		conn := g.to(i, "nosy")
		for way, api := range bothWays(t, conn) {
			asks := map[string]func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error){
				"Inspect": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Inspect(ctx, &dlmv1.InspectRequest{Lock: lock}, opts...)
				},
				"Read": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Read(ctx, &dlmv1.ReadRequest{Lock: lock, File: "f"}, opts...)
				},
				"ListFiles": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.ListFiles(ctx, &dlmv1.ListFilesRequest{Lock: lock}, opts...)
				},
				"Acquire": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session, Lock: lock, Request: "1", Wait: durationpb.New(0)}, opts...)
				},
				"Evict": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Evict(ctx, &dlmv1.EvictRequest{Lock: lock, Reason: "r"}, opts...)
				},
				"Cancel": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Cancel(ctx, &dlmv1.CancelRequest{Session: session, Lock: lock, Request: "2"}, opts...)
				},
				"Heartbeat": func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Heartbeat(ctx, &dlmv1.HeartbeatRequest{
						Session: session, HighestRequest: 9, Unfinished: []*dlmv1.Acquisition{{Lock: lock, Request: "1"}},
					}, opts...)
				},
			}
			for n := 1; n < len(there); n++ {
				for _, size := range []int32{0, 1, 2} {
					asks[fmt.Sprintf("List of %d in pages of %d", n, size)] = func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
						return api.List(ctx, &dlmv1.ListRequest{Prefix: lock[:n], PageSize: size}, opts...)
					}
				}
			}
			for name, token := range tokens {
				asks["Append, token "+name] = func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Append(ctx, &dlmv1.AppendRequest{Session: session, Lock: lock, Token: token, Request: "3", File: "f"}, opts...)
				}
				asks["Commit, token "+name] = func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
					return api.Commit(ctx, &dlmv1.CommitRequest{Session: session, Lock: lock, Token: token}, opts...)
				}
				for _, appended := range []bool{false, true} {
					asks[fmt.Sprintf("Release, token %s, %v", name, appended)] = func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
						return api.Release(ctx, &dlmv1.ReleaseRequest{Session: session, Lock: lock, Token: token, Appended: appended}, opts...)
					}
					asks[fmt.Sprintf("Discard, token %s, %v", name, appended)] = func(ctx context.Context, lock string, opts ...grpc.CallOption) (proto.Message, error) {
						return api.Discard(ctx, &dlmv1.DiscardRequest{Session: session, Lock: lock, Token: token, Appended: appended}, opts...)
					}
				}
			}
			g.still(way, func() {
				for name, ask := range asks {
					var answers []string
					for _, lock := range []string{there, absent} {
						var head, tail metadata.MD
						opts := []grpc.CallOption{grpc.Header(&head), grpc.Trailer(&tail)}
						if way == "multiplexed" {
							opts = nil
						}
						answer, err := ask(storetest.Bounded(t), lock, opts...)
						delete(tail, "grpc-status-details-bin") // said already
						answers = append(answers, strings.ReplaceAll(learned(t, answer, err, head, tail), lock, "LOCK"))
					}
					if answers[0] != answers[1] {
						t.Errorf("%s, %s at %d: what is there is told by\n%s\nand what is not by\n%s", name, way, i, answers[0], answers[1])
					}
					if strings.Contains(answers[0], "payroll") || strings.Contains(answers[0], "alice") || strings.Contains(answers[0], "fraud") {
						t.Errorf("%s, %s at %d: it tells %s", name, way, i, answers[0])
					}
				}
			})
		}
	}
}

// Lists have what may be seen, page by page, and so does a watch, from its beginning and later: of
// what is hidden there is not even a message without it.
func TestListsAndWatchesHideLocks(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, hiding+"  - {identity: '*', locks: [payroll/shown, payroll/1/shown, payrolx/shown, zebra/shown], allow: [inspect]}\n")
	alice := g.api(0, "alice")
	for _, lock := range []string{"open/a", "payroll/1", "payroll/2", "open/b", "zebra"} {
		h := take(t, alice, "alice", lock)
		if _, err := alice.Commit(storetest.Bounded(t), &dlmv1.CommitRequest{Session: h.credential, Lock: lock, Token: h.token, Appended: true}); err != nil {
			t.Fatal(err)
		}
	}
	g.settled()
	for i := range 2 {
		for way, api := range bothWays(t, g.to(i, "nosy")) {
			for _, size := range []int32{0, 1, 2, 3} {
				for prefix, want := range map[string]string{"": "open/a open/b", "open/": "open/a open/b", "o": "open/a open/b", "payroll": "", "z": "", "payroll/1": "", "open/a": "open/a"} {
					var seen []string
					for token := ""; ; {
						page, err := api.List(storetest.Bounded(t), &dlmv1.ListRequest{Prefix: prefix, PageSize: size, PageToken: token})
						if err != nil {
							t.Fatal(err)
						}
						for _, lock := range page.GetLocks() {
							seen = append(seen, lock.GetName())
						}
						if token = page.GetNextPageToken(); token == "" {
							break
						}
					}
					if got := strings.Join(seen, " "); got != want {
						t.Errorf("%s at %d: locks with %q in pages of %d: %q, want %q", way, i, prefix, size, got, want)
					}
				}
				var seen []string
				for token := ""; ; {
					page, err := api.ListFiles(storetest.Bounded(t), &dlmv1.ListFilesRequest{PageSize: size, PageToken: token})
					if err != nil {
						t.Fatal(err)
					}
					for _, file := range page.GetFiles() {
						seen = append(seen, file.GetLock())
					}
					if token = page.GetNextPageToken(); token == "" {
						break
					}
				}
				if got := strings.Join(seen, " "); got != "open/a open/b" {
					t.Errorf("%s at %d: files of %q in pages of %d", way, i, got, size)
				}
			}
		}
	}
	type watch struct {
		prefix string
		stream grpc.ServerStreamingClient[dlmv1.WatchResponse]
		seen   []string
	}
	var watches []*watch
	for _, prefix := range []string{"", "o", "payroll", "payroll/1", "payrolx", "zebra"} {
		stream, err := g.api(1, "nosy").Watch(storetest.Bounded(t), &dlmv1.WatchRequest{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		w := &watch{prefix: prefix, stream: stream}
		watches = append(watches, w)
		for revision := int64(0); revision == 0; {
			m, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			w.seen, revision = append(w.seen, locksOf(m)...), m.GetRevision()
			if len(m.GetEvents()) == 0 && revision == 0 {
				t.Errorf("watch of %q: a message with nothing in it", prefix)
			}
		}
	}
	for _, lock := range []string{"payroll/1", "payroll/3", "zebra"} {
		h := initiate(t, alice)
		for range 3 {
			_, err := alice.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: h.GetSession(), Lock: lock, Request: "1", Wait: durationpb.New(time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := alice.Close(storetest.Bounded(t), &dlmv1.CloseRequest{Session: h.GetSession()}); err != nil {
			t.Fatal(err)
		}
	}
	last := take(t, alice, "alice", "open/last")
	for _, w := range watches {
		if strings.HasPrefix("open/last", w.prefix) {
			m, err := w.stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if w.seen = append(w.seen, locksOf(m)...); m.GetRevision() < last.token || len(m.GetEvents()) == 0 {
				t.Errorf("watch of %q: %v, want what happened to open/last", w.prefix, m)
			}
			if got := strings.Join(w.seen, " "); got != "open/a open/b open/last" {
				t.Errorf("watch of %q: locks %s", w.prefix, got)
			}
			continue
		}
		lock := w.prefix + "/shown"
		take(t, alice, "alice", lock)
		if len(w.seen) > 0 {
			t.Errorf("watch of %q: at its beginning %v", w.prefix, w.seen)
		}
		if m, err := w.stream.Recv(); err != nil || strings.Join(locksOf(m), " ") != lock {
			t.Errorf("watch of %q: %v, %v; want nothing before what may be seen", w.prefix, m, err)
		}
	}
}

func locksOf(m *dlmv1.WatchResponse) (locks []string) {
	for _, e := range m.GetEvents() {
		locks = append(locks, e.GetLock())
	}
	return locks
}

// Who may take a lock, or take it away, and not see it, is not told who had it.
func TestHiddenHolders(t *testing.T) {
	t.Parallel()
	g := guard(t, 1, 1, hiding)
	alice, nosy := g.api(0, "alice"), g.api(0, "nosy")
	h := take(t, alice, "alice", "taken")
	session := initiate(t, nosy)
	busy, err := nosy.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: "taken", Request: "1", Wait: durationpb.New(0)})
	if err != nil || busy.GetHolder() != nil || busy.GetOutcome() != dlmv1.AcquireResponse_OUTCOME_BUSY {
		t.Errorf("busy is %v, %v; want no holder", busy, err)
	}
	evicted, err := nosy.Evict(storetest.Bounded(t), &dlmv1.EvictRequest{Lock: "taken", Reason: "to see who it is"})
	if want := (&dlmv1.EvictResponse{Evicted: &dlmv1.Holder{Token: h.token}}); err != nil || !proto.Equal(evicted, want) {
		t.Errorf("evicted is %v, %v; want the token alone", evicted, err)
	}
	lines := g.of("nosy", 3)
	if line := lines[len(lines)-1]; line.Verb != "evict" || line.Session != h.id || line.Token != h.token {
		t.Errorf("it is written: %+v; want whom it was taken from", line)
	}
	h = take(t, alice, "alice", "open")
	if evicted, err = nosy.Evict(storetest.Bounded(t), &dlmv1.EvictRequest{Lock: "open", Reason: "r"}); err != nil || evicted.GetEvicted().GetSession() != h.id {
		t.Errorf("evicted is %v, %v; want the holder, who may be seen", evicted, err)
	}
	tail, err := nosy.Tail(storetest.Bounded(t), &dlmv1.TailRequest{Lock: "taken", File: "f"})
	if err == nil {
		_, err = tail.Recv()
	}
	if _, reason := refusalOf(err); errors.Is(err, io.EOF) || reason != "PERMISSION_DENIED" {
		t.Errorf("a tail of what may not be read: %v", err)
	}
}
