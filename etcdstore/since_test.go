package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

var errEnough = errors.New("enough")

// pastOf is what has happened after a revision, up to another one, as a store tells it.
func pastOf(t *testing.T, s *etcdstore.Store, prefix string, since, upTo int64) (events []etcdstore.Event, err error) {
	t.Helper()
	told := since
	err = s.WatchSince(storetest.Bounded(t), prefix, since, func(n *etcdstore.News) error {
		if n.Revision < told || n.Revision == told && len(n.Events) > 0 {
			return fmt.Errorf("news up to %d, after news up to %d", n.Revision, told)
		}
		for _, e := range n.Events {
			if e.Revision <= told || e.Revision > n.Revision || e.Initial {
				return fmt.Errorf("%+v, between %d and %d", e, told, n.Revision)
			}
			if e.Revision <= upTo {
				events = append(events, e)
			}
		}
		if told = n.Revision; told >= upTo {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return events, err
}

// gathered gathers what happens from now on, until stop is called, which returns what happened up
// to a revision.
func gathered(t *testing.T, s *etcdstore.Store) (from int64, stop func(upTo int64) []etcdstore.Event) {
	t.Helper()
	var mu sync.Mutex
	var events []etcdstore.Event
	told := int64(0)
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan int64, 1), make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Watch(ctx, "", func(n *etcdstore.News) error {
			mu.Lock()
			defer mu.Unlock()
			if told == 0 && n.Revision > 0 {
				begun <- n.Revision
			} else if told > 0 {
				events = append(events, n.Events...)
			}
			told = max(told, n.Revision)
			return nil
		})
	}()
	from = receive(t, "the state", begun)
	return from, func(upTo int64) []etcdstore.Event {
		storetest.Eventually(t, "all to be told", func() bool { mu.Lock(); defer mu.Unlock(); return told >= upTo })
		cancel()
		<-ended
		return slices.DeleteFunc(events, func(e etcdstore.Event) bool { return e.Revision > upTo })
	}
}

// receive takes what comes from a channel.
func receive[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-storetest.Bounded(t).Done():
		t.Fatalf("%s: it does not come", what)
	}
	return v
}

func thereafter(events []etcdstore.Event, rev int64) []etcdstore.Event {
	i := slices.IndexFunc(events, func(e etcdstore.Event) bool { return e.Revision > rev })
	if i < 0 {
		return nil
	}
	return events[i:]
}

// What has happened after a revision is told as it was when it happened, by whichever store, and by
// one that was started since; until it is compacted away.
func TestWatchSince(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	from, stopFollowing := gathered(t, here)
	stop := churn(t, here, elsewhere)
	last := begin(t, here)
	storetest.Eventually(t, "a few hundred revisions", func() bool {
		resp, err := etcd.Get(storetest.Bounded(t), "x")
		return err == nil && resp.Header.Revision > from+600
	})
	stop()
	h := last.Acquire("last")
	want := stopFollowing(h.Token)
	if len(want) < 300 {
		t.Fatalf("only %d events were told", len(want))
	}
	late := openStore(t, etcd)
	if !here.Remembers(from) || !elsewhere.Remembers(from) || late.Remembers(from) {
		t.Error("both ways are to be tried: by what a store remembers, and by etcd")
	}
	for _, s := range []*etcdstore.Store{here, elsewhere, late} {
		for _, since := range []int64{from, from + 1, want[len(want)/3].Revision, want[len(want)/2].Revision - 1, h.Token - 1, h.Token} {
			got, err := pastOf(t, s, "", since, h.Token)
			if err != nil || !slices.Equal(got, thereafter(want, since)) {
				t.Fatalf("after %d: %d events, %v; want %d\n%s", since, len(got), err, len(thereafter(want, since)), difference(got, thereafter(want, since)))
			}
		}
		got, err := pastOf(t, s, "churn/3", from, h.Token)
		of3 := slices.DeleteFunc(slices.Clone(want), func(e etcdstore.Event) bool { return e.Lock != "churn/3" })
		if err != nil || !slices.Equal(got, of3) {
			t.Fatalf("of one lock: %d events, %v; want %d", len(got), err, len(of3))
		}
	}

	for _, since := range []int64{-1, h.Token + 1_000_000, 1 << 62} {
		if _, err := pastOf(t, here, "", since, h.Token); !errors.Is(err, etcdstore.ErrInvalidArgument) {
			t.Errorf("after revision %d: %v; want %v", since, err, etcdstore.ErrInvalidArgument)
		}
	}
	if _, err := pastOf(t, here, "a//b", from, h.Token); !errors.Is(err, etcdstore.ErrInvalidArgument) {
		t.Errorf("of a prefix of nothing: %v; want %v", err, etcdstore.ErrInvalidArgument)
	}

	compacted := want[len(want)/2].Revision
	if _, err := etcd.Compact(storetest.Bounded(t), compacted, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*etcdstore.Store{here, late} {
		for _, since := range []int64{1, from, compacted - 1} {
			_, err := pastOf(t, s, "", since, h.Token)
			says := fmt.Sprintf("after revision %d is not kept any more: %d is the oldest that can be given", since, compacted)
			if !errors.Is(err, etcdstore.ErrCompacted) || !strings.Contains(err.Error(), says) {
				t.Errorf("after %d, compacted at %d: %v", since, compacted, err)
			}
		}
		got, err := pastOf(t, s, "", compacted, h.Token)
		if err != nil || !slices.Equal(got, thereafter(want, compacted)) {
			t.Errorf("after %d, compacted there: %v\n%s", compacted, err, difference(got, thereafter(want, compacted)))
		}
	}
}

// difference is where two lists of events part.
func difference(got, want []etcdstore.Event) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("number %d is missing: %+v", i, want[i])
		case i >= len(want):
			return fmt.Sprintf("number %d is more: %+v", i, got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("number %d is\n%+v\nwant\n%+v", i, got[i], want[i])
		}
	}
	return "none"
}

// Whoever watches from a revision on misses nothing, and is told nothing twice, though the store's
// own watch is lost again and again.
func TestWatchSinceOverGaps(t *testing.T) {
	t.Parallel()
	for range 5 {
		if watchedOverGaps(t) {
			return
		}
	}
	t.Error("who is to know what happened fell behind, each time")
}

// watchedOverGaps is one try. It reports whether it came to anything: whoever gathers what happens
// is told the state anew if it falls behind, and then does not know.
func watchedOverGaps(t *testing.T) bool {
	t.Helper()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	from, stopFollowing := gathered(t, other)
	stop := churn(t, other, s.Store)
	ctx, cancel := context.WithCancel(t.Context())
	var breaking sync.WaitGroup
	breaking.Go(func() {
		for range 5 {
			s.BreakWatches()
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	defer breaking.Wait()
	defer cancel()
	var got []etcdstore.Event
	err := s.WatchSince(storetest.Bounded(t), "", from, func(n *etcdstore.News) error {
		got = append(got, n.Events...)
		if n.Revision > from+200 {
			return errEnough
		}
		return nil
	})
	stop()
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	want := stopFollowing(got[len(got)-1].Revision)
	if slices.ContainsFunc(want, func(e etcdstore.Event) bool { return e.Initial }) {
		return false
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d events; want %d: %s", len(got), len(want), difference(got, want))
	}
	return true
}

// However many ask for the past at once, and however slowly some of them read, the others are
// served, or told to come again.
func TestPastByTurns(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	first := c.Acquire("l")
	c.Release(first)
	last := c.Acquire("l")
	ctx, cancel := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	defer slow.Wait()
	defer cancel()
	reading := make(chan struct{}, 10)
	for range 10 {
		slow.Go(func() {
			_ = s.WatchSince(ctx, "", first.Token, func(*etcdstore.News) error {
				reading <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			})
		})
	}
	for range 10 {
		receive(t, "a slow reader's first news", reading)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	served := 0
	for range 200 {
		all.Go(func() {
			events, err := pastOf(t, s, "", first.Token, last.Token)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && len(events) == 2:
				served++
			case errors.Is(err, etcdstore.ErrLimit):
			default:
				t.Errorf("%d events, %v; want two, or %v", len(events), err, etcdstore.ErrLimit)
			}
		})
	}
	all.Wait()
	if served == 0 {
		t.Error("nobody was served")
	}
}
