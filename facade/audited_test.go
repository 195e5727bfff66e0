package facade_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// Every change through any server is one line with etcd's revision of that change, so that the
// lines of all servers, in the order of their revisions, are what happened in the order in which it
// did.
func TestAuditIsInTheOrderOfChanges(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, everything)
	ctx := storetest.Bounded(t)
	first := g.revision() + 1
	type change struct {
		method, key string // that it changes; empty: whatever
		token       int64
	}
	var want []change
	number := 0
	did := func(method, key string, token int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		want = append(want, change{method, key, token})
	}
	// api is that of either facade by turns, by either way.
	all := []dlmv1.LockServiceClient{g.api(0, "alice"), dlmv1.NewLockServiceClient(openMux(t, g.to(1, "alice"))),
		dlmv1.NewLockServiceClient(openMux(t, g.to(0, "alice"))), g.api(1, "alice")}
	api := func() dlmv1.LockServiceClient {
		number++
		return all[number%len(all)]
	}
	session, err := api().Init(ctx, &dlmv1.InitRequest{Ttl: minute})
	did("Init", "sessions/"+session.GetId(), 0, err)
	s := session.GetSession()
	granted, err := api().Acquire(ctx, &dlmv1.AcquireRequest{Session: s, Lock: "l", Request: "1"})
	token := granted.GetToken()
	did("Acquire", "locks/l", token, err)
	_, err = api().Append(ctx, &dlmv1.AppendRequest{Session: s, Lock: "l", Token: token, Request: "2", File: "f", Data: []byte("secret stuff")})
	did("Append", "staged/l//", token, err)
	committed, err := api().Commit(ctx, &dlmv1.CommitRequest{Session: s, Lock: "l", Token: token, Appended: true})
	token = committed.GetToken()
	did("Commit", "locks/l", token, err)
	_, err = api().Release(ctx, &dlmv1.ReleaseRequest{Session: s, Lock: "l", Token: token})
	did("Release", "locks/l", token, err)
	granted, err = api().Acquire(ctx, &dlmv1.AcquireRequest{Session: s, Lock: "l", Request: "3", Wait: durationpb.New(0)})
	token = granted.GetToken()
	did("Acquire", "locks/l", token, err)
	_, err = api().Discard(ctx, &dlmv1.DiscardRequest{Session: s, Lock: "l", Token: token})
	did("Discard", "locks/l", token, err)
	granted, err = api().Acquire(ctx, &dlmv1.AcquireRequest{Session: s, Lock: "l", Request: "4"})
	token = granted.GetToken()
	did("Acquire", "locks/l", token, err)

	waiting, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	waiter := all[0]
	go func() {
		_, err := waiter.Acquire(waiting, &dlmv1.AcquireRequest{Session: s, Lock: "l", Request: "5"})
		left <- err
	}()
	storetest.Eventually(t, "a waiter", func() bool {
		lock, err := all[0].Inspect(ctx, &dlmv1.InspectRequest{Lock: "l"})
		return err == nil && lock.GetLock().GetQueueLength() == 1
	})
	_, err = all[1].Cancel(ctx, &dlmv1.CancelRequest{Session: s, Lock: "l", Request: "5"})
	did("Cancel", "queue/l//", 0, err)
	if err := wait(t, left, "the wait that is cancelled"); err != nil {
		t.Fatal(err)
	}
	leave()
	_, err = api().Evict(ctx, &dlmv1.EvictRequest{Lock: "l", Token: token, Reason: "to see it"})
	did("Evict", "locks/l", token, err)
	if _, err := g.Etcd().Put(ctx, etcdstore.DefaultPrefix+"undone/l//zzzz", "malformed"); err != nil {
		t.Fatal(err)
	}
	problems, err := api().ListProblems(ctx, &dlmv1.ListProblemsRequest{})
	if err != nil || len(problems.GetProblems()) != 1 {
		t.Fatalf("problems: %v, %v", problems, err)
	}
	_, err = api().Repair(ctx, &dlmv1.RepairRequest{Key: problems.GetProblems()[0].GetKey(), Revision: problems.GetProblems()[0].GetRevision()})
	did("Repair", "undone/l//zzzz", 0, err)
	_, err = api().SetRetention(ctx, &dlmv1.SetRetentionRequest{Retention: &dlmv1.Retention{Prefix: "logs/", MaxBytes: 5}})
	did("SetRetention", "keep/logs/", 0, err)
	_, err = api().Close(ctx, &dlmv1.CloseRequest{Session: s})
	did("Close", "sessions/"+session.GetId(), 0, err)

	lines := g.of("alice", len(want)+1) // the wait has a line as well
	lines = slices.DeleteFunc(lines, func(e entry) bool { return e.Outcome == "CANCELLED" })
	if len(lines) != len(want) {
		t.Fatalf("there are %d lines of %d changes: %+v", len(lines), len(want), lines)
	}
	changes := g.Etcd().Watch(ctx, etcdstore.DefaultPrefix, clientv3.WithPrefix(), clientv3.WithRev(first))
	changed := map[int64]string{}
	for last := lines[len(lines)-1].Revision; changed[last] == ""; {
		for _, e := range (<-changes).Events {
			changed[e.Kv.ModRevision] += string(e.Kv.Key) + " "
		}
	}
	for i, line := range lines {
		if w := want[i]; line.Method != w.method || line.Token != w.token || i > 0 && line.Revision <= lines[i-1].Revision {
			t.Errorf("line %d is %+v; want %+v", i, line, w)
		} else if !strings.Contains(changed[line.Revision], etcdstore.DefaultPrefix+w.key) {
			t.Errorf("%s was at revision %d, when %s was changed; want %s", w.method, line.Revision, changed[line.Revision], w.key)
		}
	}
}

// A refused call is one line, which is no longer than what a call can have that makes sense,
// whatever the caller sends: who is not known could fill memory and disks.
func TestRefusalsAreShortLines(t *testing.T) {
	t.Parallel()
	g := guard(t, 1, 1, everything)
	long := strings.Repeat("x", 1<<20-1<<10)
	api := map[string]dlmv1.LockServiceClient{}
	for name, conn := range bothWays(t, g.to(0, "alice")) {
		api[name] = conn
	}
	nobody := *g.secured
	nobody.addr = g.Addr()
	api["of nobody"] = dlmv1.NewLockServiceClient(nobody.dial(nil))
	for name, api := range api {
		for _, err := range []error{
			second(api.Append(storetest.Bounded(t), &dlmv1.AppendRequest{Lock: long, Request: "r", File: "f"})),
			second(api.Append(storetest.Bounded(t), &dlmv1.AppendRequest{Lock: "l", Request: long, File: "f"})),
			second(api.Evict(storetest.Bounded(t), &dlmv1.EvictRequest{Lock: "l", Reason: long[:10<<10]})),
			second(api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: long[:10<<10], Lock: "l", Request: "r"})),
		} {
			if code, _ := refusalOf(err); code != codes.InvalidArgument && code != codes.Unauthenticated {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := nobody.dial(nil).Invoke(storetest.Bounded(t), "/x/"+long[:10<<10], &dlmv1.InitRequest{}, &dlmv1.InitResponse{}); err == nil {
		t.Error("there is such a method")
	}
	const want = 13
	var lines []entry
	storetest.Eventually(t, "the lines", func() bool { lines = g.written(); return len(lines) >= want })
	for _, line := range lines {
		if text := fmt.Sprint(line); len(text) > 2<<10 {
			t.Errorf("a line has %d bytes: %.100s", len(text), text)
		}
	}
	if len(lines) != want {
		t.Errorf("there are %d lines, want %d", len(lines), want)
	}
}

// Clients of the coursework's API have numbers that can be guessed. At the gate as well nobody but
// the identity that began one can use it, and its line says that the call was refused.
func TestCourseworkClientOfAnother(t *testing.T) {
	t.Parallel()
	g := guard(t, 2, 2, `
rules:
  - {identity: "spiffe:spiffe://example.org/reader", locks: [default], allow: [inspect]}
  - {identity: "spiffe:spiffe://example.org/alice", locks: [default], allow: [acquire, append, inspect]}
  - {identity: "spiffe:spiffe://example.org/mallory", locks: [default], allow: [acquire, append, inspect]}
  - {identity: "spiffe:spiffe://example.org/elsewhere", locks: [other], allow: [acquire, append, inspect]}
`, facadetest.WithCoursework(time.Minute, time.Minute))
	old := func(i int, name string) lockservice.LockServiceClient {
		return lockservice.NewLockServiceClient(g.to(i, name))
	}
	alice := old(0, "alice")
	begun, err := alice.ClientInit(storetest.Bounded(t), &lockservice.Int{})
	if err != nil {
		t.Fatal(err)
	}
	id := begun.GetRc()
	if _, err := alice.LockAcquire(storetest.Bounded(t), &lockservice.LockArgs{ClientId: id, RequestId: "1"}); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(api lockservice.LockServiceClient) (*lockservice.Response, error){
		"lock_acquire": func(api lockservice.LockServiceClient) (*lockservice.Response, error) {
			return api.LockAcquire(storetest.Bounded(t), &lockservice.LockArgs{ClientId: id, RequestId: "1"})
		},
		"file_append": func(api lockservice.LockServiceClient) (*lockservice.Response, error) {
			return api.FileAppend(storetest.Bounded(t), &lockservice.FileArgs{ClientId: id, RequestId: "2", Filename: "file_0", Content: []byte("x")})
		},
		"lock_release": func(api lockservice.LockServiceClient) (*lockservice.Response, error) {
			return api.LockRelease(storetest.Bounded(t), &lockservice.LockArgs{ClientId: id, RequestId: "3"})
		},
		"heartbeat": func(api lockservice.LockServiceClient) (*lockservice.Response, error) {
			return api.Heartbeat(storetest.Bounded(t), &lockservice.Heartbeat{ClientId: id})
		},
	}
	g.still("others' calls", func() {
		for i := range 2 {
			for name, calling := range calls {
				if resp, err := calling(old(i, "mallory")); err != nil || resp.GetStatus() != lockservice.Status_FILE_ERROR {
					t.Errorf("%s at %d: %v, %v; want FILE_ERROR", name, i, resp, err)
				}
				for who, want := range map[string]codes.Code{"reader": codes.PermissionDenied, "elsewhere": codes.PermissionDenied} {
					if name == "heartbeat" {
						continue // its owner's alone, and no verb's
					}
					if _, err := calling(old(i, who)); err == nil {
						t.Errorf("%s of %s at %d is made", name, who, i)
					} else if code, _ := refusalOf(err); code != want {
						t.Errorf("%s of %s at %d: %v, want %v", name, who, i, err, want)
					}
				}
			}
			if _, err := old(i, "mallory").ClientClose(storetest.Bounded(t), &lockservice.Int{Rc: id}); reasonOf(err) != "PERMISSION_DENIED" {
				t.Errorf("client_close at %d: %v", i, err)
			}
		}
	})
	lines := g.of("mallory", 8)
	for _, line := range lines {
		if line.Outcome == "OK" {
			t.Errorf("it is written that mallory did something: %+v", line)
		}
	}
	if resp, err := calls["lock_release"](old(1, "alice")); err != nil || resp.GetStatus() != lockservice.Status_SUCCESS {
		t.Errorf("its own release: %v, %v", resp, err)
	}
}
