package facade_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// hold is a lock in somebody's hands.
type hold struct {
	owner, credential, id, lock, request string
	token                                int64
}

var minute = durationpb.New(time.Minute)

// initiate begins a session.
func initiate(t *testing.T, api dlmv1.LockServiceClient) *dlmv1.InitResponse {
	t.Helper()
	session, err := api.Init(storetest.Bounded(t), &dlmv1.InitRequest{Ttl: minute})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// take takes a lock in a session of its own, and stages a record.
func take(t *testing.T, api dlmv1.LockServiceClient, owner, lock string) *hold {
	t.Helper()
	session := initiate(t, api)
	h := &hold{owner: owner, credential: session.GetSession(), id: session.GetId(), lock: lock, request: "1"}
	granted, err := api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: h.credential, Lock: lock, Request: h.request})
	if err != nil || granted.GetToken() == 0 {
		t.Fatalf("%s is not granted: %v, %v", lock, granted, err)
	}
	h.token = granted.GetToken()
	_, err = api.Append(storetest.Bounded(t), &dlmv1.AppendRequest{
		Session: h.credential, Lock: lock, Token: h.token, Request: "2", File: "f", Data: []byte("own;"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// attempt is a call in somebody else's name.
type attempt struct {
	name string
	call func(ctx context.Context, api dlmv1.LockServiceClient) error
}

// attempts are all calls that take a credential, as of a hold.
func (h *hold) attempts(credential string) []attempt {
	return []attempt{
		{"Heartbeat", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Heartbeat(ctx, &dlmv1.HeartbeatRequest{Session: credential}))
		}},
		{"Heartbeat that ends what it does not name", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Heartbeat(ctx, &dlmv1.HeartbeatRequest{Session: credential, HighestRequest: 1_000_000}))
		}},
		{"Heartbeat that attaches", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Heartbeat(ctx, &dlmv1.HeartbeatRequest{
				Session: credential, Attachment: 99, TakesLost: true, Unfinished: []*dlmv1.Acquisition{{Lock: h.lock, Request: h.request}},
			}))
		}},
		{"Acquire", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Acquire(ctx, &dlmv1.AcquireRequest{Session: credential, Lock: "another", Request: "3"}))
		}},
		{"Acquire, repeated", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Acquire(ctx, &dlmv1.AcquireRequest{Session: credential, Lock: h.lock, Request: h.request}))
		}},
		{"Acquire, in vain", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Acquire(ctx, &dlmv1.AcquireRequest{Session: credential, Lock: "busy", Request: "4", Wait: durationpb.New(time.Millisecond)}))
		}},
		{"Cancel", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Cancel(ctx, &dlmv1.CancelRequest{Session: credential, Lock: h.lock, Request: h.request}))
		}},
		{"Append", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Append(ctx, &dlmv1.AppendRequest{
				Session: credential, Lock: h.lock, Token: h.token, Request: "5", File: "f", Data: []byte("another's;"),
			}))
		}},
		{"Append, repeated", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Append(ctx, &dlmv1.AppendRequest{
				Session: credential, Lock: h.lock, Token: h.token, Request: "2", File: "f", Data: []byte("own;"),
			}))
		}},
		{"Release", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Release(ctx, &dlmv1.ReleaseRequest{Session: credential, Lock: h.lock, Token: h.token}))
		}},
		{"Release that publishes", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Release(ctx, &dlmv1.ReleaseRequest{Session: credential, Lock: h.lock, Token: h.token, Appended: true, Last: []string{"2"}}))
		}},
		{"Commit", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Commit(ctx, &dlmv1.CommitRequest{Session: credential, Lock: h.lock, Token: h.token, Appended: true}))
		}},
		{"Discard", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Discard(ctx, &dlmv1.DiscardRequest{Session: credential, Lock: h.lock, Token: h.token}))
		}},
		{"Discard of records", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Discard(ctx, &dlmv1.DiscardRequest{Session: credential, Lock: h.lock, Token: h.token, Appended: true}))
		}},
		{"Close", func(ctx context.Context, api dlmv1.LockServiceClient) error {
			return second(api.Close(ctx, &dlmv1.CloseRequest{Session: credential}))
		}},
	}
}

// What somebody was given, nobody else can use: neither a credential nor its parts, whichever
// server is asked, by whichever way, while the session lives and after it has ended. Nothing is
// changed by such an attempt, and each is written down once.
func TestWhatIsStolenIsOfNoUse(t *testing.T) {
	t.Parallel()
	const open = 2
	g := guard(t, 3, open, everything)
	busy := take(t, g.api(0, "bystander"), "bystander", "busy")
	mallorys := initiate(t, g.api(0, "mallory"))
	tries := 0 // of mallory that are to be written down
	ways := 0
	server := func(owner string) int {
		if owner == "" {
			return open
		}
		return 0
	}
	check := func(when string, h *hold, alive bool) {
		t.Helper()
		parts := strings.Split(h.credential, ".")
		bare := parts[0] + "." + parts[1]
		his := strings.Split(mallorys.GetSession(), ".")
		forms := map[string]struct {
			credential string
			alive      codes.Code // while the session lives
			past       codes.Code
		}{
			"as it is":                  {h.credential, codes.PermissionDenied, codes.PermissionDenied},
			"without a tag":             {bare, codes.PermissionDenied, codes.PermissionDenied},
			"with another's tag":        {bare + "." + his[2], codes.PermissionDenied, codes.PermissionDenied},
			"with a tag made up":        {bare + "." + strings.Repeat("0", 32), codes.PermissionDenied, codes.PermissionDenied},
			"with another's secret":     {parts[0] + "." + his[1] + "." + his[2], codes.FailedPrecondition, codes.PermissionDenied},
			"with a secret made up":     {parts[0] + "." + strings.Repeat("0", 32), codes.FailedPrecondition, codes.PermissionDenied},
			"with the id in capitals":   {strings.ToUpper(parts[0]) + h.credential[16:], codes.InvalidArgument, codes.InvalidArgument},
			"with a secret in capitals": {parts[0] + "." + strings.ToUpper(parts[1]), codes.InvalidArgument, codes.InvalidArgument},
			"with two tags":             {bare + "." + his[2] + "." + his[2], codes.InvalidArgument, codes.InvalidArgument},
			"with spaces":               {" " + h.credential, codes.InvalidArgument, codes.InvalidArgument},
			"the id alone":              {parts[0], codes.InvalidArgument, codes.InvalidArgument},
			"none":                      {"", codes.InvalidArgument, codes.InvalidArgument},
		}
		g.still(when, func() {
			for i, thief := range []string{"mallory", "mallory", ""} {
				if thief == h.owner {
					continue
				}
				for way, api := range bothWays(t, g.to(i, thief)) {
					for form, f := range forms {
						if ways++; testing.Short() && ways%3 > 0 {
							continue
						}
						if thief == "" && form != "as it is" && !alive {
							continue // nobody asks, and nobody's is looked at: a server that lets anybody do everything tells of the past
						}
						want := f.past
						if alive {
							want = f.alive
						}
						for _, try := range h.attempts(f.credential) {
							if thief != "" && (want == codes.PermissionDenied || !strings.HasPrefix(try.name, "Heartbeat")) {
								tries++
							}
							err := try.call(storetest.Bounded(t), api)
							if code, reason := refusalOf(err); code != want || reason == "" {
								t.Errorf("%s: %s by %q, %s at %d, %s: %v; want %v", when, try.name, thief, way, i, form, err, want)
							}
						}
					}
				}
			}
		})
	}
	// own ends a hold as its owner does.
	own := func(when string, h *hold, i int, alive bool) {
		t.Helper()
		api := g.api(i, h.owner)
		release := &dlmv1.ReleaseRequest{Session: h.credential, Lock: h.lock, Token: h.token, Appended: true, Last: []string{"2"}}
		if !alive {
			if _, err := api.Release(storetest.Bounded(t), release); reasonOf(err) != "LOCK_EXPIRED" && reasonOf(err) != "OUTCOME_UNKNOWN" {
				t.Errorf("%s: its owner is told %v", when, err)
			}
			return
		}
		held, err := api.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: h.lock})
		holder := held.GetLock().GetHolder()
		if err != nil || holder.GetToken() != h.token || holder.GetIdentity() != identityOf(h.owner) || held.GetLock().GetStagedRecords() != 1 {
			t.Errorf("%s: the lock is %v, %v; want it held as it was", when, held, err)
		}
		beat := &dlmv1.HeartbeatRequest{Session: h.credential, Unfinished: []*dlmv1.Acquisition{{Lock: h.lock, Request: h.request}}}
		if state, err := api.Heartbeat(storetest.Bounded(t), beat); err != nil || state.GetStates()[0].GetToken() != h.token {
			t.Errorf("%s: the owner's heartbeat: %v, %v", when, state, err)
		}
		if _, err := api.Release(storetest.Bounded(t), release); err != nil {
			t.Errorf("%s: the owner's release: %v", when, err)
		}
		if got, err := api.Read(storetest.Bounded(t), &dlmv1.ReadRequest{Lock: h.lock, File: "f"}); err != nil || string(got.GetData()) != "own;" {
			t.Errorf("%s: the file is %q, %v", when, got.GetData(), err)
		}
	}
	elsewhere := map[string]int{"alice": 1, "": open}
	var kept []*hold
	for _, owner := range []string{"alice", ""} {
		api := g.api(server(owner), owner)
		name := fmt.Sprintf("of %q, ", owner)
		h := take(t, api, owner, "alive"+owner)
		check(name+"alive", h, true)
		own(name+"alive", h, elsewhere[owner], true)
		check(name+"released", h, true)

		ended := take(t, api, owner, "ended"+owner)
		if _, err := api.Close(storetest.Bounded(t), &dlmv1.CloseRequest{Session: ended.credential}); err != nil {
			t.Fatal(err)
		}
		check(name+"ended", ended, false)
		own(name+"ended", ended, elsewhere[owner], false)
		kept = append(kept, take(t, api, owner, "kept"+owner), ended)
	}
	g.settled()
	if _, err := g.Etcd().Compact(storetest.Bounded(t), g.revision(), clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	check("compacted", kept[1], false)
	g.Restart()
	for i, h := range kept {
		check(fmt.Sprintf("of %q, after a restart", h.owner), h, i%2 == 0)
		own(fmt.Sprintf("of %q, after a restart", h.owner), h, elsewhere[h.owner], i%2 == 0)
	}
	own("busy", busy, 1, true)

	lines := g.of("mallory", tries+1) // and his Init
	for _, line := range lines {
		if line.Outcome == "OK" && line.Method != "Init" {
			t.Errorf("it is written that mallory did something: %+v", line)
		}
	}
	if len(lines) != tries+1 {
		t.Errorf("%d lines are written of mallory's %d attempts", len(lines)-1, tries)
	}
}

// What is seen of a hold is of no use in a session of one's own: its token, its request, its
// session's id. What the owner has is as it was.
func TestWhatIsSeenIsOfNoUse(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, everything)
	alice := g.api(0, "alice")
	h := take(t, alice, "alice", "jobs")
	waits := make(chan error, 1)
	waiter := initiate(t, g.api(1, "waiter"))
	go func() {
		granted, err := g.api(1, "waiter").Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: waiter.GetSession(), Lock: "jobs", Request: "1"})
		if err == nil && granted.GetToken() == 0 {
			err = fmt.Errorf("it is %v", granted)
		}
		waits <- err
	}()
	storetest.Eventually(t, "a waiter", func() bool {
		lock, err := alice.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: "jobs"})
		return err == nil && lock.GetLock().GetQueueLength() == 1
	})
	for i := range 2 {
		for way, api := range bothWays(t, g.to(i, "mallory")) {
			thief := initiate(t, api)
			g.still(way, func() {
				busy, err := api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{
					Session: thief.GetSession(), Lock: "jobs", Request: h.request, Wait: durationpb.New(0),
				})
				if err != nil || busy.GetOutcome() != dlmv1.AcquireResponse_OUTCOME_BUSY || busy.GetToken() != 0 {
					t.Errorf("the request of the holder, %s at %d: %v, %v", way, i, busy, err)
				}
				for _, try := range h.attempts(thief.GetSession()) {
					want := ""
					switch try.name {
					case "Append", "Append, repeated", "Release", "Release that publishes", "Commit":
						want = "LOCK_EXPIRED"
					case "Acquire", "Acquire, in vain", "Acquire, repeated", "Close":
						continue // of his own
					}
					if err := try.call(storetest.Bounded(t), api); reasonOf(err) != want {
						t.Errorf("%s, %s at %d: %v; want %q", try.name, way, i, err, want)
					}
				}
				for _, a := range []*dlmv1.CancelRequest{{Lock: "jobs", Request: "1"}, {Lock: "jobs", Request: h.request}} {
					a.Session = thief.GetSession()
					if got, err := api.Cancel(storetest.Bounded(t), a); err != nil || got.GetToken() != 0 {
						t.Errorf("a cancel of another's wait, %s at %d: %v, %v", way, i, got, err)
					}
				}
				state, err := api.Heartbeat(storetest.Bounded(t), &dlmv1.HeartbeatRequest{
					Session: thief.GetSession(), HighestRequest: 1_000_000, Unfinished: []*dlmv1.Acquisition{{Lock: "jobs", Request: h.request}},
				})
				if err != nil || state.GetStates()[0].GetState() != dlmv1.AcquisitionState_STATE_NONE || state.GetStates()[0].GetToken() != 0 {
					t.Errorf("another's acquisition, %s at %d: %v, %v", way, i, state, err)
				}
			})
		}
	}
	lock, err := alice.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: "jobs"})
	if err != nil || lock.GetLock().GetHolder().GetToken() != h.token || lock.GetLock().GetQueueLength() != 1 {
		t.Fatalf("the lock is %v, %v", lock, err)
	}
	if _, err := alice.Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{Session: h.credential, Lock: "jobs", Token: h.token, Appended: true}); err != nil {
		t.Error(err)
	}
	if err := wait(t, waits, "the waiter"); err != nil {
		t.Error(err)
	}
}

// The token of a page is its asker's, at every server and after a restart, and is for that listing.
func TestPageTokensAreTheirAskers(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, everything)
	alice := g.api(0, "alice")
	for _, lock := range []string{"a/1", "a/2", "a/3"} {
		h := take(t, alice, "alice", lock)
		if _, err := alice.Commit(storetest.Bounded(t), &dlmv1.CommitRequest{Session: h.credential, Lock: lock, Token: h.token, Appended: true}); err != nil {
			t.Fatal(err)
		}
	}
	g.settled()
	locks, err := alice.List(storetest.Bounded(t), &dlmv1.ListRequest{PageSize: 1})
	if err != nil || locks.GetNextPageToken() == "" {
		t.Fatal(locks, err)
	}
	files, err := alice.ListFiles(storetest.Bounded(t), &dlmv1.ListFilesRequest{PageSize: 1})
	if err != nil || files.GetNextPageToken() == "" {
		t.Fatal(files, err)
	}
	lists := map[string]func(api dlmv1.LockServiceClient, token string) (string, error){
		"locks": func(api dlmv1.LockServiceClient, token string) (string, error) {
			page, err := api.List(storetest.Bounded(t), &dlmv1.ListRequest{PageSize: 1, PageToken: token})
			for _, lock := range page.GetLocks() {
				return lock.GetName(), err
			}
			return "", err
		},
		"locks of a prefix": func(api dlmv1.LockServiceClient, token string) (string, error) {
			return "", second(api.List(storetest.Bounded(t), &dlmv1.ListRequest{Prefix: "a/", PageSize: 1, PageToken: token}))
		},
		"files": func(api dlmv1.LockServiceClient, token string) (string, error) {
			page, err := api.ListFiles(storetest.Bounded(t), &dlmv1.ListFilesRequest{PageSize: 1, PageToken: token})
			for _, file := range page.GetFiles() {
				return file.GetLock(), err
			}
			return "", err
		},
		"files of a lock": func(api dlmv1.LockServiceClient, token string) (string, error) {
			return "", second(api.ListFiles(storetest.Bounded(t), &dlmv1.ListFilesRequest{Lock: "a/2", PageSize: 1, PageToken: token}))
		},
	}
	tokens := map[string]string{"locks": locks.GetNextPageToken(), "files": files.GetNextPageToken()}
	check := func(when string) {
		for i := range 2 {
			for _, who := range []string{"alice", "mallory"} {
				for way, api := range bothWays(t, g.to(i, who)) {
					for of, token := range tokens {
						for to, list := range lists {
							for form, token := range map[string]string{
								"": token, "cut": token[:len(token)-1], "longer": token + "A", "in capitals": strings.ToUpper(token), "the name": "a/1",
							} {
								got, err := list(api, token)
								if own := who == "alice" && of == to && form == ""; own && (err != nil || got != "a/2") {
									t.Errorf("%s, %s at %d: the page of %s is of %q, %v", when, way, i, of, got, err)
								} else if !own && reasonOf(err) != "INVALID_ARGUMENT" {
									t.Errorf("%s, %s at %d: %s takes the token of %s for %s, %s: %v", when, way, i, who, of, to, form, err)
								}
							}
						}
					}
				}
			}
		}
	}
	check("at first")
	g.Restart()
	check("after a restart")
}

// A session that lingers is attached to its owner's streams, and nobody else's stream has to do
// with it: neither is it told of its losses, nor does the session end with it.
func TestLingeringSessionOfAnother(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, everything)
	alice := openRaw(t, g.to(0, "alice"))
	session := alice.ask(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Init{
		Init: &dlmv1.InitRequest{Ttl: minute, Linger: durationpb.New(time.Second), TakesLost: true},
	}}).GetInit()
	lost := alice.ask(acquireOf(session.GetSession(), "lost", "1")).GetAcquire().GetToken()
	kept := alice.ask(acquireOf(session.GetSession(), "kept", "2")).GetAcquire().GetToken()
	if lost == 0 || kept == 0 {
		t.Fatal("the locks are not granted")
	}
	attach := func(number uint64) *dlmv1.StreamRequest {
		return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{Heartbeat: &dlmv1.HeartbeatRequest{
			Session: session.GetSession(), Attachment: number, TakesLost: true, HighestRequest: 2,
		}}}
	}
	conns := []int{0, 1}
	for _, i := range conns {
		conn := g.to(i, "mallory")
		thief := openRaw(t, conn)
		for _, number := range []uint64{0, 1, 2, 1 << 60} {
			if _, reason := refusalOf(errorOf(thief.ask(attach(number)).GetError())); reason != "PERMISSION_DENIED" {
				t.Errorf("attachment %d at %d: %q", number, i, reason)
			}
		}
		if i == 1 {
			if _, err := g.api(0, "alice").Evict(storetest.Bounded(t), &dlmv1.EvictRequest{Lock: "lost", Token: lost, Reason: "to see"}); err != nil {
				t.Fatal(err)
			}
			if told := alice.told(); told.GetLock() != "lost" {
				t.Errorf("its owner is told %v", told)
			}
			if thief.ask(initRequest(false)).GetInit() == nil || len(thief.lost) > 0 {
				t.Errorf("another is told %v", thief.lost)
			}
		}
		if err := thief.stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := thief.stream.Recv(); err == nil {
			t.Error("the stream goes on")
		}
		_ = conn.Close()
	}
	now := alice.ask(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{Heartbeat: &dlmv1.HeartbeatRequest{
		Session: session.GetSession(), Unfinished: []*dlmv1.Acquisition{{Lock: "kept", Request: "2"}},
	}}}).GetHeartbeat()
	if now.GetAttachment() != 1 || now.GetStates()[0].GetToken() != kept {
		t.Errorf("the session is %v; want it attached as it was, and holding", now)
	}
}
