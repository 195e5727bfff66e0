package facade_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// transports are the ways to make a call.
func transports(t *testing.T, conn *grpc.ClientConn) map[string]wire {
	t.Helper()
	return map[string]wire{"unary": byUnary(conn), "mux": byMux(openMux(t, conn))}
}

// Every call once, for what its messages carry. What the calls do is the conformance suite's
// matter.
func TestMessages(t *testing.T) {
	node := facadetest.Start(t)
	for by, store := range transports(t, node.Dial(0)) {
		t.Run(by, func(t *testing.T) { testMessages(t, store, "jobs/"+by) })
	}
}

func testMessages(t *testing.T, store storetest.Subject, lock string) {
	ctx := storetest.Bounded(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	alice, err := store.Init(ctx, etcdstore.InitArgs{TTL: time.Minute, Label: "alice"})
	must(err)
	if alice.TTL < time.Minute || alice.ID == "" || alice.Credential == alice.ID {
		t.Errorf("session %+v", alice)
	}
	bob, err := store.Init(ctx, etcdstore.InitArgs{Label: "bob"})
	must(err)
	if bob.TTL < etcdstore.DefaultTTL || bob.TTL >= time.Minute {
		t.Errorf("default TTL %v", bob.TTL)
	}

	first := etcdstore.Acquisition{Lock: lock, Request: "1"}
	grant, err := store.Acquire(ctx, etcdstore.AcquireArgs{
		Credential: alice.Credential, Acquisition: first, Wait: etcdstore.WaitForever, Label: "nightly",
	})
	must(err)
	if grant.Outcome != etcdstore.Granted || grant.Token == 0 {
		t.Errorf("grant %+v", grant)
	}
	busy, err := store.Acquire(ctx, etcdstore.AcquireArgs{Credential: bob.Credential, Acquisition: first})
	must(err)
	holder := busy.Holder
	if busy.Outcome != etcdstore.Busy || busy.Position != 1 || busy.QueueLength != 0 || holder == nil {
		t.Fatalf("busy %+v", busy)
	}
	want := etcdstore.Holder{Session: alice.ID, Request: "1", Label: "nightly", Token: grant.Token, Since: holder.Since}
	if *holder != want || time.Since(holder.Since).Abs() > time.Minute {
		t.Errorf("holder %+v, want %+v", *holder, want)
	}

	waited := make(chan etcdstore.Grant, 1)
	go func() {
		g, err := store.Acquire(ctx, etcdstore.AcquireArgs{Credential: bob.Credential, Acquisition: first, Wait: time.Hour})
		if err != nil {
			t.Errorf("waiting acquire: %v", err)
		}
		waited <- g
	}()
	info := inspectUntil(t, store, lock, func(l etcdstore.LockInfo) bool { return l.QueueLength == 1 })
	if w := info.Waiters; len(w) != 1 || w[0].Session != bob.ID || w[0].Request != "1" || w[0].Label != "bob" || w[0].Since.IsZero() {
		t.Errorf("waiters %+v", w)
	}

	renewal, err := store.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: bob.Credential, Highest: 1, Unfinished: []etcdstore.Acquisition{first}})
	must(err)
	ttl, states := renewal.TTL, renewal.States
	if ttl != bob.TTL || len(states) != 1 || states[0] != (etcdstore.AcquisitionState{Acquisition: first, State: etcdstore.Waiting}) {
		t.Errorf("heartbeat: %v, %+v", ttl, states)
	}
	section := etcdstore.Section{Credential: alice.Credential, Lock: lock, Token: grant.Token, Appended: true}
	must(storetest.AppendTo(ctx, store, etcdstore.Record{
		Credential: alice.Credential, Lock: lock, Token: grant.Token, Request: "2", File: "log", Data: []byte("second"), Number: 2,
	}))
	must(storetest.AppendTo(ctx, store, etcdstore.Record{
		Credential: alice.Credential, Lock: lock, Token: grant.Token, Request: "3", File: "log", Data: []byte("first"), Number: 1,
	}))
	info, err = store.Inspect(ctx, lock)
	must(err)
	if info.Staged != 2 || info.Name != lock || info.Holder == nil || info.Holder.Token != grant.Token {
		t.Errorf("inspected %+v", info)
	}
	token, err := store.Commit(ctx, section)
	must(err)
	if token <= grant.Token {
		t.Errorf("committed under %d, next token %d", grant.Token, token)
	}
	piece, err := store.Read(ctx, etcdstore.ReadArgs{Lock: lock, File: "log", Offset: 2, Limit: 7})
	must(err)
	if string(piece.Data) != "rstseco" || piece.Size != 11 || piece.Token != grant.Token || piece.Offset != 2 {
		t.Errorf("read %q of %+v", piece.Data, piece)
	}
	published, err := store.Discard(ctx, section)
	must(err)
	if !published {
		t.Errorf("the discard of a published section says that it was not")
	}
	enough := errors.New("enough")
	err = store.Tail(ctx, etcdstore.TailArgs{Lock: lock, File: "log", Offset: 5}, func(p etcdstore.Piece) error {
		if string(p.Data) != "second" || p.Offset != 5 {
			t.Errorf("tailed %q at %d", p.Data, p.Offset)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("tail: %v", err)
	}
	files, next, err := store.ListFiles(ctx, lock, 1, "")
	must(err)
	if !slices.Equal(files, []etcdstore.File{{Lock: lock, Name: "log", Size: 11, Token: grant.Token, Life: etcdstore.Version{Token: grant.Token}}}) {
		t.Errorf("files %+v, next %q", files, next)
	}

	section.Token, section.Appended = token, false
	must(store.Release(ctx, section))
	passed := wait(t, waited, "the waiter's grant")
	if passed.Outcome != etcdstore.Granted || passed.Token <= token {
		t.Errorf("the waiter got %+v", passed)
	}
	if got, err := store.Cancel(ctx, bob.Credential, first); err != nil || got != passed.Token {
		t.Errorf("cancel after the grant: %d, %v, want %d", got, err, passed.Token)
	}
	locks, _, err := store.List(ctx, lock, 0, "")
	must(err)
	if len(locks) != 1 || locks[0].Name != lock || locks[0].Holder == nil || locks[0].Holder.Session != bob.ID {
		t.Errorf("locks %+v", locks)
	}
	err = store.Watch(ctx, lock, func(n *etcdstore.News) error {
		want := etcdstore.Event{
			Type: etcdstore.EventGranted, Lock: lock, Session: bob.ID, Request: "1", Label: "bob",
			Token: passed.Token, Revision: passed.Token, Initial: true,
		}
		if len(n.Events) != 1 || n.Events[0] != want {
			t.Errorf("watched %+v, want %+v", n.Events, want)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("watch: %v", err)
	}
	evicted, err := store.Evict(ctx, lock, passed.Token, "maintenance")
	must(err)
	if evicted == nil || evicted.Session != bob.ID || evicted.Token != passed.Token {
		t.Errorf("evicted %+v", evicted)
	}
	must(store.CloseSession(ctx, alice.Credential))
	if _, err := store.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: alice.Credential}); !errors.Is(err, etcdstore.ErrSessionExpired) {
		t.Errorf("heartbeat of a closed session: %v", err)
	}
}

// recorded is a store that keeps the durations it is given.
type recorded struct {
	scripted
	ttl, wait time.Duration
}

func (r *recorded) Init(_ context.Context, args etcdstore.InitArgs) (etcdstore.Session, error) {
	r.ttl = args.TTL
	return etcdstore.Session{}, nil
}

func (r *recorded) StartAcquire(_ context.Context, args etcdstore.AcquireArgs, done func(etcdstore.Grant, error)) {
	r.wait = args.Wait
	done(etcdstore.Grant{}, nil)
}

// The store's words for a default TTL and for a wait without end are values that a client could
// send as well.
func TestDurations(t *testing.T) {
	const untouched = time.Duration(12345)
	tests := []struct {
		sent      *durationpb.Duration
		ttl, wait time.Duration // untouched: refused
	}{
		{nil, 0, etcdstore.WaitForever},
		{&durationpb.Duration{}, untouched, 0},
		{&durationpb.Duration{Nanos: -1}, -1, untouched},
		{&durationpb.Duration{Seconds: -1}, -time.Second, untouched},
		{&durationpb.Duration{Seconds: 1, Nanos: -1}, untouched, untouched},
		{&durationpb.Duration{Seconds: math.MaxInt64}, untouched, untouched},
		{durationpb.New(time.Minute), time.Minute, time.Minute},
	}
	for _, test := range tests {
		store := &recorded{ttl: untouched, wait: untouched}
		_, conn := serve(t, store, nil)
		api := dlmv1.NewLockServiceClient(conn)
		_, err := api.Init(storetest.Bounded(t), &dlmv1.InitRequest{Ttl: test.sent})
		if refused := reasonOf(err) == "INVALID_TTL"; store.ttl != test.ttl || refused != (test.ttl == untouched) {
			t.Errorf("TTL %v: the store got %v, the client %v", test.sent, store.ttl, err)
		}
		_, err = api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Wait: test.sent})
		if refused := reasonOf(err) == "INVALID_ARGUMENT"; store.wait != test.wait || refused != (test.wait == untouched) {
			t.Errorf("wait %v: the store got %v, the client %v", test.sent, store.wait, err)
		}
	}
}

// inspectUntil inspects a lock until it is as wanted.
func inspectUntil(t *testing.T, store storetest.Subject, lock string, want func(etcdstore.LockInfo) bool) etcdstore.LockInfo {
	t.Helper()
	var info etcdstore.LockInfo
	storetest.Eventually(t, "a change of "+lock, func() bool {
		var err error
		info, err = store.Inspect(t.Context(), lock)
		return err == nil && want(info)
	})
	return info
}

// watched is a store that reports how its acquires ended.
type watched struct {
	facade.Store
	ended chan<- error
}

func (w watched) StartAcquire(ctx context.Context, args etcdstore.AcquireArgs, done func(etcdstore.Grant, error)) {
	w.Store.StartAcquire(ctx, args, func(grant etcdstore.Grant, err error) {
		if args.Wait != 0 {
			w.ended <- err
		}
		done(grant, err)
	})
}

// queueUp lets one session hold the lock and another wait for it twice, over conn: once by a unary
// call, once multiplexed, in this order. It returns the holder's section, the waiters' session and
// the waiters' ends.
func queueUp(t *testing.T, store storetest.Subject, conn *grpc.ClientConn) (etcdstore.Section, etcdstore.Session, <-chan error) {
	t.Helper()
	ctx := storetest.Bounded(t)
	session, err := store.Init(ctx, etcdstore.InitArgs{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	held, err := store.Acquire(ctx, etcdstore.AcquireArgs{
		Credential: session.Credential, Acquisition: etcdstore.Acquisition{Lock: "orders", Request: "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := store.Init(ctx, etcdstore.InitArgs{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 2)
	for i, by := range []wire{byUnary(conn), byMux(openMux(t, conn))} {
		a := etcdstore.Acquisition{Lock: "orders", Request: []string{"unary", "mux"}[i]}
		go func() {
			_, err := by.Acquire(ctx, etcdstore.AcquireArgs{
				Credential: waiting.Credential, Acquisition: a, Wait: etcdstore.WaitForever,
			})
			ends <- err
		}()
		inspectUntil(t, store, "orders", func(l etcdstore.LockInfo) bool { return l.QueueLength == i+1 })
	}
	return etcdstore.Section{Credential: session.Credential, Lock: "orders", Token: held.Token}, waiting, ends
}

// wantPlaces sees the two waiters of queueUp in their places, and that a repeat of each gets the
// lock in its turn.
func wantPlaces(t *testing.T, store storetest.Subject, held etcdstore.Section, waiting etcdstore.Session) {
	t.Helper()
	ctx := storetest.Bounded(t)
	info, err := store.Inspect(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if w := info.Waiters; len(w) != 2 || w[0].Request != "unary" || w[1].Request != "mux" {
		t.Fatalf("waiters %+v", w)
	}
	for _, request := range []string{"unary", "mux"} {
		if err := store.Release(ctx, held); err != nil {
			t.Fatalf("release before %s: %v", request, err)
		}
		grant, err := store.Acquire(ctx, etcdstore.AcquireArgs{
			Credential:  waiting.Credential,
			Acquisition: etcdstore.Acquisition{Lock: "orders", Request: request},
			Wait:        etcdstore.WaitForever,
		})
		if err != nil || grant.Outcome != etcdstore.Granted {
			t.Fatalf("repeated acquire %s: %+v, %v", request, grant, err)
		}
		held = etcdstore.Section{Credential: waiting.Credential, Lock: "orders", Token: grant.Token}
	}
}

func TestBrokenConnectionKeepsThePlace(t *testing.T) {
	served := make(chan error, 100)
	node := facadetest.Start(t, facadetest.WithStore(func(store facade.Store) facade.Store {
		return watched{store, served}
	}))
	store := byUnary(node.Dial(0))
	conn := node.Dial(0)
	held, waiting, ends := queueUp(t, store, conn)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := wait(t, ends, "the client's end of a call"); err == nil {
			t.Error("a call on a closed connection succeeded")
		}
		if err := wait(t, served, "the server's end of a call"); !errors.Is(err, context.Canceled) {
			t.Errorf("the server's acquire ended with %v", err)
		}
	}
	wantPlaces(t, store, held, waiting)
}

func TestShutdownKeepsThePlace(t *testing.T) {
	node := facadetest.Start(t, facadetest.WithFacades(2))
	store := byUnary(node.Dial(1))
	held, waiting, ends := queueUp(t, store, node.Dial(0))
	node.StopFacade(0)
	for range 2 {
		if err := wait(t, ends, "an answer"); !errors.Is(err, etcdstore.ErrClosed) {
			t.Errorf("a wait at a server that stops: %v", err)
		}
	}
	wantPlaces(t, store, held, waiting)
}

func TestRecordTooLarge(t *testing.T) {
	node := facadetest.Start(t)
	conn := node.Dial(0)
	store := byUnary(conn)
	ctx := storetest.Bounded(t)
	session, err := store.Init(ctx, etcdstore.InitArgs{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := store.Acquire(ctx, etcdstore.AcquireArgs{
		Credential: session.Credential, Acquisition: etcdstore.Acquisition{Lock: "orders", Request: "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for by, conn := range map[string]grpc.ClientConnInterface{"unary": conn, "mux": openMux(t, conn)} {
		_, err := dlmv1.NewLockServiceClient(conn).Append(ctx, &dlmv1.AppendRequest{
			Session: session.Credential, Lock: "orders", Token: grant.Token, Request: "2", File: "log", Data: make([]byte, 10<<20),
		})
		if got := reasonOf(err); got != "TOO_LARGE" {
			t.Errorf("%s: %v, want TOO_LARGE", by, err)
		}
	}
	info, err := store.Inspect(ctx, "orders")
	if err != nil || info.Staged != 0 {
		t.Errorf("%d records are staged, %v", info.Staged, err)
	}
}
