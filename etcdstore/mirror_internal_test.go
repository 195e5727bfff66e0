package etcdstore

import "testing"

// The callers of a store's own transactions take in what they wrote out of order: a waiter was granted the lock before it
// was evicted, though the mirror hears of the eviction first.
func TestOwnChangesOutOfOrder(t *testing.T) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	w := acquisition{"l", "0000000000000007", "1"}
	lock, place := m.keys.lock("l"), m.keys.waiter(w)
	m.own(change{key: m.keys.session(w.session), rev: 2, created: 2, value: []byte(encode(sessionValue{}))})
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
	if over, held := m.over(w); !over || !held {
		t.Errorf("a late acquire of what was evicted: over %v, held %v, want both", over, held)
	}
}
