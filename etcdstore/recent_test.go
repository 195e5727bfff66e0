package etcdstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// eventsOf is what a store remembers of a lock, once that has the event of a revision, as lines.
func eventsOf(t *testing.T, s *etcdstore.Store, lock string, most int, upTo int64) (lines []string, since time.Time) {
	t.Helper()
	storetest.Eventually(t, "the last events of "+lock, func() bool {
		lines = nil
		names := map[etcdstore.EventType]string{
			etcdstore.EventGranted: "granted", etcdstore.EventCommitted: "committed",
			etcdstore.EventReleased: "released", etcdstore.EventLost: "lost",
		}
		events, from, err := s.LastEvents(storetest.Bounded(t), lock, most)
		if err != nil {
			t.Fatal(err)
		}
		last, told := int64(1<<62), time.Now()
		for _, e := range events {
			if e.Lock != lock || e.Revision > last || e.Told.After(told) || e.Told.Before(from) {
				t.Fatalf("%+v, after one of %d, told at %v: remembered from %v on", e, last, told, from)
			}
			last, told = e.Revision, e.Told
			if e.Type == etcdstore.EventWaiting { // a store may have heard late that the lock is free
				continue
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprint(names[e.Type], " ", e.Label, " ", e.Reason)))
		}
		since = from
		return len(events) > 0 && events[0].Revision >= upTo
	})
	return lines, since
}

// Whoever looks at a lock sees what has happened to it, though nobody was looking then, and
// whichever store it happened through.
func TestLastEvents(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	began := time.Now()
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	first, second := storetest.Begin(t, here, "first"), storetest.Begin(t, elsewhere, "second")
	h := first.Acquire("job")
	first.Acquire("job/1") // no event of the other's
	place := second.Queue("job")
	first.Release(h)
	h = place.Granted()
	if _, err := elsewhere.Evict(storetest.Bounded(t), "job", h.Token, "too slow"); err != nil {
		t.Fatal(err)
	}
	h = first.Acquire("job")
	discard(t, here, h)
	h = second.Acquire("job")
	h = second.Commit(h)
	closeSession(t, elsewhere, second)
	want := []string{
		"lost second its session ended", "granted second", "committed second", "granted second", "released first", "granted first", "lost second evicted: too slow",
		"granted second", "released first", "granted first",
	}
	for name, s := range map[string]*etcdstore.Store{"here": here, "elsewhere": elsewhere} {
		got, since := eventsOf(t, s, "job", 100, h.Token+1)
		if strings.Join(got, "\n") != strings.Join(want, "\n") || since.Before(began) {
			t.Errorf("%s: since %v\n%s\nwant\n%s", name, since, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if got, _ := eventsOf(t, here, "job", 3, h.Token+1); strings.Join(got, "\n") != strings.Join(want[:3], "\n") {
		t.Errorf("three of them: %q", got)
	}

	// Of what is compacted etcd knows the notes that are still there.
	if _, err := etcd.Compact(storetest.Bounded(t), revision(t, etcd), clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	unknown := strings.Join(want, "\n")
	unknown = strings.ReplaceAll(unknown, "released first\n", "released first it is not known any more how\n")
	if got, _ := eventsOf(t, here, "job", 100, h.Token+1); strings.Join(got, "\n") != unknown {
		t.Errorf("when it is compacted:\n%s\nwant\n%s", strings.Join(got, "\n"), unknown)
	}

	if late := openStore(t, etcd); late.Remembers(h.Token) {
		t.Errorf("a store that was opened later remembers what has happened after %d", h.Token)
	}
	if _, _, err := here.LastEvents(storetest.Bounded(t), "a//b", 1); err == nil {
		t.Error("there are events of a lock that cannot be")
	}
}
