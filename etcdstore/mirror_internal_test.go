package etcdstore

import (
	"crypto/sha256"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// someSession is the value of a session.
var someSession = sessionValue{Secret: make([]byte, sha256.Size)}

// The callers of a store's own transactions take in what they wrote out of order: a waiter was
// granted the lock before it was evicted, though the mirror hears of the eviction first.
func TestOwnChangesOutOfOrder(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	w := acquisition{"l", "0000000000000007", "1"}
	lock, place := m.keys.lock("l"), m.keys.waiter(w)
	m.own(change{key: m.keys.session(w.session), rev: 2, created: 2, value: []byte(encode(someSession))})
	m.own(change{key: place, rev: 3, created: 3, value: []byte(encode(waiterValue{}))})
	if state, _ := m.state(w); state != Waiting {
		t.Fatalf("queued: got state %v", state)
	}

	m.own(change{key: lock, rev: 5, deleted: true}) // the eviction
	grant := holderValue{session: w.session, request: w.request}.encode()
	m.own(change{key: lock, rev: 4, value: []byte(grant)}, change{key: place, rev: 4, deleted: true})

	if state, _ := m.state(w); state != None {
		t.Errorf("evicted: got state %v", state)
	}
	if over, held := m.hasEnded(w); !over || !held {
		t.Errorf("a late acquire of what was evicted: over %v, held %v, want both", over, held)
	}
}

// A commit is answered before the watch has come to the grant: the grant is old news, and nothing
// was lost.
func TestGrantBehindACommit(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	m.explain = func(a acquisition) { t.Errorf("%v is to be told of a loss", a) }
	h := holderValue{session: "0000000000000007", request: "1"}
	lock := m.keys.lock("l")
	m.own(change{key: m.keys.session(h.session), rev: 2, created: 2, value: []byte(encode(someSession))})
	m.subscribe(h.session, &Link{tell: func(l Loss) { t.Errorf("told of %+v", l) }})
	m.own(change{key: lock, holder: &h}.at(3))
	next := h
	next.Prev = 3
	m.own(change{key: lock, holder: &next}.at(4))
	m.observe([]*clientv3.Event{{Kv: &mvccpb.KeyValue{Key: []byte(lock), ModRevision: 3, Value: []byte(h.encode())}}})
	if state, token := m.state(acquisition{"l", h.session, h.request}); state != Holding || token != 4 {
		t.Errorf("state %v, token %d; want it to hold under 4", state, token)
	}
}

// A listing is of the revision that it says, whenever it comes.
func TestListingBesideTheWatch(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	h := holderValue{session: "0000000000000007", request: "1"}
	lock := []byte(m.keys.lock("l"))
	m.observe([]*clientv3.Event{{Kv: &mvccpb.KeyValue{Key: lock, CreateRevision: 3, ModRevision: 3, Value: []byte(h.encode())}}})
	if locks, rev := m.list(filter{}); len(locks) != 1 || locks[0].holder.token != rev {
		t.Errorf("got %d locks as of %d, want the one of 3", len(locks), rev)
	}
	m.observe([]*clientv3.Event{{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: lock, ModRevision: 5}}})
	if locks, rev := m.listNamed([]string{"l"}); locks[0].used() || rev != 5 {
		t.Errorf("got %+v as of %d, want it to be free as of 5", locks[0], rev)
	}
	m.reached(7)
	if locks, rev := m.list(filter{}); len(locks) != 0 || rev != 7 {
		t.Errorf("got %d locks as of %d, want none as of 7", len(locks), rev)
	}
}

// What a lock's next grant compares with is what the watch has told: of a waiter elsewhere it is
// too old, whatever this store has written since.
func TestVacant(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	w := acquisition{"l", "0000000000000007", "1"}
	lock, place := m.keys.lock("l"), m.keys.waiter(w)
	holder, waiter := holderValue{session: w.session, request: "2"}, waiterValue{}
	want := func(rev int64, vacant bool) {
		t.Helper()
		if gotRev, got := m.vacant("l"); got != vacant || got && gotRev != rev {
			t.Errorf("vacant = %d, %v; want %d, %v", gotRev, got, rev, vacant)
		}
	}
	m.reset(nil, 3)
	want(3, true)
	m.own(change{key: lock, holder: &holder}.at(5))
	want(0, false)
	m.own(change{key: lock, rev: 6, deleted: true})
	want(3, true)
	m.own(change{key: place, waiter: &waiter}.at(7))
	want(0, false)
	m.own(change{key: place, rev: 8, deleted: true})
	want(3, true)
	m.observe([]*clientv3.Event{{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: []byte(place), ModRevision: 8}}})
	want(8, true)
}

// Two ends of one section may be on their way, an eviction and its holder's release: the one that
// fails takes back its own mark only.
func TestEndsAreCounted(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	a := acquisition{"l", "0000000000000007", "1"}
	holder := holderValue{session: a.session, request: a.request}
	m.own(change{key: m.keys.session(a.session), rev: 2, created: 2, value: []byte(encode(someSession))})
	m.own(change{key: m.keys.lock("l"), holder: &holder}.at(5))
	m.markEnd("l", 5)
	m.markEnd("l", 5)
	m.unmarkEnd("l", 5)
	if !m.endsSoon(a) {
		t.Error("one of two ends came to nothing: none is on its way")
	}
	m.unmarkEnd("l", 5)
	if m.endsSoon(a) {
		t.Error("both ends came to nothing: one is on its way")
	}
}

// A listing that has a lock's key as it was before the mirror knew of a later grant is of an etcd
// that went back, even if its revision is higher. An older listing beside an own grant is none.
func TestListingOfAnEtcdThatWentBack(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	holder := holderValue{session: "0000000000000007", request: "1"}
	m.own(change{key: m.keys.lock("l"), holder: &holder}.at(50))
	for _, test := range []struct {
		held, rev int64
		back      bool
	}{{20, 60, true}, {20, 50, true}, {20, 40, false}, {50, 60, false}, {55, 60, false}, {0, 60, false}} {
		var kvs []*mvccpb.KeyValue
		if test.held > 0 {
			kvs = append(kvs, &mvccpb.KeyValue{Key: []byte(m.keys.lock("l")), ModRevision: test.held, Value: []byte(holder.encode())})
		}
		if err := m.older(kvs, test.rev); errors.Is(err, ErrWentBack) != test.back {
			t.Errorf("held under %d at %d, after 50: %v; want went back: %t", test.held, test.rev, err, test.back)
		}
	}
}
