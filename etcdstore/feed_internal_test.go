package etcdstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestTicks(t *testing.T) {
	t.Parallel()
	for takers, want := range map[int64]time.Duration{
		0: tick, 1: tick, tickRoom: tick, 2*tickRoom - 1: tick, 2 * tickRoom: 2 * tick, 400: 10 * tick, 1000: maxTick, 1 << 40: maxTick,
	} {
		if got := tickFor(takers); got != want {
			t.Errorf("a tick of %d = %v; want %v", takers, got, want)
		}
	}
}

// grantOf is a grant of a lock at a revision, as the watch tells it.
func grantOf(k keys, lock string, rev int64) *clientv3.Event {
	value := holderValue{session: "0000000000000001", request: "1"}.encode()
	return &clientv3.Event{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: []byte(k.lock(lock)), Value: []byte(value), ModRevision: rev}}
}

// fed is a mirror whose feed nobody runs.
func fed(t *testing.T) *mirror {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	t.Cleanup(m.stop)
	return m
}

// What nobody takes in is not kept, and what is missed for want of room is made good by the state.
func TestFeedIsBounded(t *testing.T) {
	t.Parallel()
	m := fed(t)
	run := func(rev int64) {
		var events []*clientv3.Event
		for i := range 1000 {
			events = append(events, grantOf(m.keys, fmt.Sprintf("l%d/%d", rev, i), rev))
		}
		m.observe(events)
	}
	run(1)
	if len(m.feed.runs) != 0 {
		t.Fatal("what nobody watches was kept")
	}
	w := m.feed.join("")
	for rev := range int64(maxFacts/1000 + 10) {
		run(2 + rev)
		if m.feed.facts > maxFacts {
			t.Fatalf("%d facts are kept; want %d at most", m.feed.facts, maxFacts)
		}
	}
	m.feed.flush(t.Context())
	news, err := w.take()
	if err != nil || len(news) == 0 || news[0] != nil {
		t.Errorf("told %d news, %v; want the state to be due first", len(news), err)
	}
	m.feed.leave("", w)
	if len(m.feed.groups)+len(m.feed.lengths)+len(m.feed.runs) != 0 {
		t.Error("something is left of a watcher that has gone")
	}
}

// Whoever watches the same is told by the same news.
func TestNewsAreShared(t *testing.T) {
	t.Parallel()
	m := fed(t)
	one, other, narrow, apart := m.feed.join("a/"), m.feed.join("a/"), m.feed.join("a/b"), m.feed.join("b")
	m.observe([]*clientv3.Event{grantOf(m.keys, "a/b", 7), grantOf(m.keys, "a/c", 7)})
	m.feed.flush(t.Context())
	first, _ := one.take()
	second, _ := other.take()
	third, _ := narrow.take()
	none, _ := apart.take()
	if len(first) != 1 || len(second) != 1 || first[0] != second[0] || len(first[0].Events) != 2 || first[0].Revision != 7 {
		t.Errorf("told %v and %v; want the same two events", first, second)
	}
	if len(third) != 1 || len(third[0].Events) != 1 || third[0].Events[0].Lock != "a/b" {
		t.Errorf("told %v; want that of a/b", third)
	}
	if len(none) != 0 {
		t.Errorf("told %v; want nothing", none)
	}
	form := func(n *News) any { return &n.Events }
	if first[0].Form(form) != second[0].Form(func(*News) any { return nil }) {
		t.Error("the form was made twice")
	}
}

// If a note cannot be read, what it would have explained is missed: the state is due.
func TestUnreadNotesAreMissed(t *testing.T) {
	t.Parallel()
	m := fed(t)
	w := m.feed.join("")
	asked := 0
	m.feed.look = func(context.Context, []at[string]) (*pb.TxnResponse, error) {
		asked++
		return nil, ErrNoQuorum
	}
	m.observe([]*clientv3.Event{grantOf(m.keys, "l", 7), grantOf(m.keys, "l", 8), grantOf(m.keys, "l", 9)})
	m.feed.ended(ownEnd{sectionKey: sectionKey{"l", 7}})
	m.feed.flush(t.Context())
	news, err := w.take()
	if err != nil || len(news) != 1 || news[0] != nil || asked != 1 {
		t.Errorf("told %v, %v after %d questions; want the state to be due after one", news, err, asked)
	}
}
