package etcdstore

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"
)

// Of those that are silent, holders are ended first, then those that wait, and within each kind
// client by client.
func TestOrderOfSilence(t *testing.T) {
	t.Parallel()
	m := newMirror(keysOf(""), func(string) {}, func(sectionKey) {}, nil)
	var todo silent
	begin := func(i int64) (id string) {
		id = hex16(i)
		m.own(change{key: m.keys.session(id), rev: 10 + i, value: []byte(encode(sessionValue{Secret: make([]byte, sha256.Size)}))})
		return id
	}
	silence := func(id, client string) {
		c, there := m.claim(id)
		if !there {
			t.Fatalf("session %s is not known", id)
		}
		todo[c].Push(client, &hearing{session: id, client: client})
	}
	for i := range int64(2 * silenceRound) {
		silence(begin(100+i), "flood")
	}
	idle, waiter, holder := begin(1), begin(2), begin(3)
	m.own(
		change{key: m.keys.lock("l"), rev: 1001, holder: &holderValue{session: holder, request: "1"}},
		change{key: m.keys.waiter(acquisition{"m", holder, "2"}), rev: 1001, created: 1001, waiter: &waiterValue{}},
		change{key: m.keys.waiter(acquisition{"l", waiter, "1"}), rev: 1001, created: 1001, waiter: &waiterValue{}},
	)
	silence(idle, "c")
	silence(waiter, "c")
	silence(holder, "c")
	var got []string
	round := todo.next()
	for _, h := range round[:4] {
		got = append(got, h.session)
	}
	if want := []string{holder, waiter, hex16(100), idle}; !slices.Equal(got, want) || len(round) != silenceRound {
		t.Errorf("a round of %d begins with %v; want %d, and %v", len(round), got, silenceRound, want)
	}
	if _, there := m.claim(hex16(9)); there {
		t.Error("what is not known looks alive")
	}
}

// Whatever is heard and forgotten, each session is taken once it is due, and not before.
func TestSilences(t *testing.T) {
	t.Parallel()
	ss := newSilences()
	for i := range 1000 {
		ss.heard(fmt.Sprint(i), "c", time.Duration(i%7-3)*time.Hour)
	}
	for i := range 1000 {
		switch i % 10 {
		case 0:
			ss.forget(fmt.Sprint(i))
		case 1:
			ss.heard(fmt.Sprint(i), "c", time.Hour)
		case 2:
			ss.heard(fmt.Sprint(i), "c", -time.Hour)
		}
	}
	due := map[string]bool{}
	for _, h := range ss.take() {
		if due[h.session] {
			t.Errorf("%s was taken twice", h.session)
		}
		due[h.session] = true
	}
	for i := range 1000 {
		want := i%7 < 3 && i%10 > 1 || i%10 == 2
		if id := fmt.Sprint(i); due[id] != want {
			t.Errorf("%s was taken: %t; want %t", id, due[id], want)
		}
		if known := ss.known[fmt.Sprint(i)] != nil; known != (i%10 != 0 && !want) {
			t.Errorf("%d is known: %t", i, known)
		}
	}
	if more := ss.take(); len(more) > 0 {
		t.Errorf("%d more were taken", len(more))
	}
	ss.again([]*hearing{{session: "2"}, {session: "3"}})
	if ss.known["2"] == nil || len(ss.byDue) != len(ss.known) {
		t.Errorf("%d in order, %d known", len(ss.byDue), len(ss.known))
	}
}
