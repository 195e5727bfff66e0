package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func TestLockUnlock(t *testing.T) {
	c, name := open(t, client.Config{Label: "me"}), fresh(t)
	l := lock(t, c, name)
	if l.Name() != name || l.Token() <= 0 {
		t.Errorf("got %q under token %d", l.Name(), l.Token())
	}
	if got := state(t, c, name).GetHolder(); got.GetToken() != l.Token() || got.GetLabel() != "me" {
		t.Errorf("the server knows the holder as %v, want token %d and label me", got, l.Token())
	}
	if left := time.Until(l.Expiry()); left <= l.Margin() || left > client.DefaultTTL {
		t.Errorf("the lease has %v left", left)
	}
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
	is(t, ended(t, l.Context()), client.ErrEnded)
	if got := state(t, c, name); got != nil {
		t.Errorf("after Unlock: %v", got)
	}
	again := lock(t, c, name)
	if again.Token() <= l.Token() {
		t.Errorf("token %d after %d", again.Token(), l.Token())
	}
	must(t, again.Discard(t.Context()))
}

func TestGoroutinesExcludeEachOther(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	var inside, rounds atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				l, err := c.Lock(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two goroutines hold the lock")
				}
				rounds.Add(1)
				inside.Add(-1)
				if err := l.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if rounds.Load() != 100 {
		t.Errorf("%d rounds, want 100", rounds.Load())
	}
}

func TestTryLockTellsWhoIsInTheWay(t *testing.T) {
	c, other, name := open(t, client.Config{}), open(t, client.Config{}), fresh(t)
	l := lock(t, c, name, client.WithLabel("the holder"))
	_, err := other.TryLock(t.Context(), name)
	is(t, err, client.ErrBusy)
	var busy *client.BusyError
	if !errors.As(err, &busy) {
		t.Fatalf("%v is no BusyError", err)
	}
	if busy.Holder.GetLabel() != "the holder" || busy.Holder.GetToken() != l.Token() || busy.Position != 1 || busy.QueueLength != 0 {
		t.Errorf("got %+v", busy)
	}
	if want := fmt.Sprintf("lock %q: busy: held by %q, 0 waiting", name, "the holder"); err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
	must(t, l.Unlock(t.Context()))
	l, err = other.TryLock(t.Context(), name)
	must(t, err)
	must(t, l.Unlock(t.Context()))
}

func TestWithWaitIsBounded(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	start := time.Now()
	_, err := c.Lock(t.Context(), name, client.WithWait(300*time.Millisecond))
	is(t, err, client.ErrBusy)
	if took := time.Since(start); took < 250*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
	if st := state(t, c, name); st.GetQueueLength() != 0 {
		t.Errorf("left behind: %v", st.GetWaiters())
	}
	must(t, l.Unlock(t.Context()))
	l, err = c.Lock(t.Context(), name, client.WithWait(patience))
	must(t, err)
	must(t, l.Unlock(t.Context()))
}

func TestContextEndLeavesNoWaiter(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Lock(ctx, name)
		failed <- err
	}()
	waiting(t, c, name, 1)
	cancel()
	is(t, <-failed, context.Canceled)
	waiting(t, c, name, 0)
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
	if st := state(t, c, name); st != nil {
		t.Errorf("the lock is not free: %v", st)
	}
}

// A cancellation at the moment of the grant leaves the lock free.
func TestContextEndAgainstGrant(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	for range 30 {
		l := lock(t, c, name)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan *client.Lock, 1)
		go func() {
			l, _ := c.Lock(ctx, name)
			got <- l
		}()
		waiting(t, c, name, 1)
		unlocked := make(chan error, 1)
		go func() { unlocked <- l.Unlock(t.Context()) }()
		cancel()
		must(t, <-unlocked)
		if l := <-got; l != nil {
			must(t, l.Unlock(t.Context()))
		}
	}
	must(t, lock(t, c, name).Unlock(t.Context()))
}

func TestInvalidArgumentsAreRefused(t *testing.T) {
	c := open(t, client.Config{})
	for _, name := range []string{"", "..", "a//b", "/a", "a/", "a b", "a\x00", "\xff", string(make([]byte, 300))} {
		_, err := c.Lock(t.Context(), name)
		is(t, err, client.ErrInvalidName)
	}
	_, err := c.Lock(t.Context(), "a", client.WithLabel("\xff"))
	is(t, err, client.ErrInvalidArgument)
}

func TestCloseReleasesEverything(t *testing.T) {
	c, other, name := open(t, client.Config{}), open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("lost")))
	waiter := make(chan error, 1)
	go func() {
		_, err := c.Lock(t.Context(), name)
		waiter <- err
	}()
	waiting(t, other, name, 1)
	must(t, c.Close())
	must(t, c.Close())
	is(t, <-waiter, client.ErrClosed)
	is(t, ended(t, l.Context()), client.ErrClosed)
	is(t, l.Append(t.Context(), "f", nil), client.ErrClosed)
	is(t, l.Unlock(t.Context()), client.ErrClosed)
	_, err := c.Lock(t.Context(), name)
	is(t, err, client.ErrClosed)
	_, err = c.Read(t.Context(), name, "f")
	is(t, err, client.ErrClosed)

	start := time.Now()
	l = lock(t, other, name)
	if took := time.Since(start); took > client.DefaultTTL/2 {
		t.Errorf("the lock came after %v", took)
	}
	must(t, l.Unlock(t.Context()))
	_, err = other.Read(t.Context(), name, "f")
	is(t, err, client.ErrFileNotFound)
}

func TestEvictedHolderLearns(t *testing.T) {
	c, other, name := open(t, client.Config{TTL: 3 * time.Second}), open(t, client.Config{}), fresh(t)
	l := lock(t, c, name, client.WithLabel("victim"))
	must(t, l.Append(t.Context(), "f", []byte("undone")))
	h, err := other.Evict(t.Context(), name, 0, "test")
	must(t, err)
	if h.GetLabel() != "victim" {
		t.Errorf("evicted %v", h)
	}
	is(t, ended(t, l.Context()), client.ErrLockExpired)
	is(t, l.Append(t.Context(), "f", nil), client.ErrLockExpired)
	is(t, l.Commit(t.Context()), client.ErrLockExpired)
	is(t, l.Unlock(t.Context()), client.ErrLockExpired)
	_, err = other.Read(t.Context(), name, "f")
	is(t, err, client.ErrFileNotFound)
	again, err := other.Evict(t.Context(), name, l.Token(), "a repeat")
	must(t, err)
	if again != nil {
		t.Errorf("evicted %v again", again)
	}
	_, err = other.Evict(t.Context(), name, 0, "nobody there")
	is(t, err, client.ErrLockNotFound)
	must(t, lock(t, c, name).Unlock(t.Context())) // the session lives
}

// Evict without a token is about the holder that it saw: when that one has left by itself, the next
// one is not hit.
func TestEvictDoesNotFollowTheLock(t *testing.T) {
	seen := &dlmv1.Lock{Name: "a", Holder: &dlmv1.Holder{Token: 7}}
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if r.GetInspect() != nil {
			return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Inspect{Inspect: &dlmv1.InspectResponse{Lock: seen}}}
		}
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Evict{Evict: &dlmv1.EvictResponse{}}}
	})
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	h, err := c.Evict(t.Context(), "a", 0, "test")
	must(t, err)
	evicts := s.received(func(r *dlmv1.StreamRequest) bool { return r.GetEvict() != nil })
	if h != nil || len(evicts) != 1 || evicts[0].GetEvict().GetToken() != 7 {
		t.Errorf("evicted %v by %v", h, evicts)
	}
}

// An evicted holder that appends before its next heartbeat learns by the refusal.
func TestEvictedHolderLearnsByAppend(t *testing.T) {
	c, name := open(t, client.Config{TTL: time.Minute}), fresh(t)
	l := lock(t, c, name)
	_, err := c.Evict(t.Context(), name, l.Token(), "test")
	must(t, err)
	is(t, l.Append(t.Context(), "f", nil), client.ErrLockExpired)
	is(t, ended(t, l.Context()), client.ErrLockExpired)
}

// More acquisitions than one heartbeat may name are spread over several sessions.
func TestManyWaiters(t *testing.T) {
	const n = 1500
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	var wg sync.WaitGroup
	var granted atomic.Int64
	for range n {
		wg.Go(func() {
			l, err := c.Lock(t.Context(), name)
			if err != nil {
				t.Error(err)
				return
			}
			granted.Add(1)
			if err := l.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	waiting(t, c, name, n)
	held := l.Expiry()
	storetest.Eventually(t, "a heartbeat with all of them", func() bool { return l.Expiry().After(held) })
	waiting(t, c, name, n)
	must(t, l.Unlock(t.Context()))
	wg.Wait()
	if granted.Load() != n {
		t.Errorf("%d granted, want %d", granted.Load(), n)
	}
}

func ExampleBusyError() {
	c, err := client.New(endpoint)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	l, err := c.Lock(ctx, "printer", client.WithLabel("alice"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = l.Unlock(ctx) }()

	_, err = c.TryLock(ctx, "printer")
	var busy *client.BusyError
	if errors.As(err, &busy) {
		fmt.Println(busy.Holder.GetLabel(), "is printing")
	}
	// Output: alice is printing
}
