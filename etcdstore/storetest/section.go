package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

func testPublish(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("publish")
	numbered := func(file, data string, number uint64) {
		t.Helper()
		r := c.Record(h, file, data)
		r.Number = number
		c.AppendRecord(h, r)
	}
	numbered("a", "three ", 3)
	numbered("b", "B2 ", 5)
	numbered("a", "one ", 1)
	numbered("b", "B1 ", 4)
	numbered("a", "two ", 2)
	numbered("a", "ten ", 10)
	WantNoFile(t, s, "publish", "a")
	WantNoFile(t, s, "publish", "b")
	if got := Inspect(t, s, "publish").Staged; got != 6 {
		t.Errorf("staged = %d; want 6", got)
	}
	c.Release(h)
	WantContents(t, s, "publish", "a", "one two three ten ")
	WantContents(t, s, "publish", "b", "B1 B2 ")

	next := Begin(t, s, "next")
	h = next.Acquire("publish")
	next.Append(h, "a", "in the ") // without numbers: in the order stored
	next.Append(h, "a", "order ")
	next.Append(h, "a", "stored")
	next.Release(h)
	WantContents(t, s, "publish", "a", "one two three ten in the order stored")
	WantContents(t, s, "publish", "b", "B1 B2 ")
	if p, err := s.Read(Bounded(t), etcdstore.ReadArgs{Lock: "publish", File: "a", Limit: 1}); err != nil || p.Token != h.Token {
		t.Errorf("Read = %+v, %v; want token %d", p, err, h.Token)
	}
}

func testAppendRepeat(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("repeat")
	r := c.Append(h, "f", "once;")
	at := h.lastAt
	last := c.Append(h, "f", "then;")
	c.AppendRecord(h, r)
	if rev, err := s.Append(Bounded(t), r); rev != at || err != nil {
		t.Errorf("Append repeated = %d, %v; want the revision at which it was staged, %d", rev, err, at)
	}
	if len(h.Last) != 1 || h.Last[0] != last.Request || h.lastAt <= at {
		t.Errorf("the last append is %s at %d; want %s, after %d", h.Last, h.lastAt, last.Request, at)
	}
	changed := r
	changed.Data = []byte("changed;")
	c.AppendRecord(h, changed) // the request is known: what it brought is kept
	c.Release(h)
	WantContents(t, s, "repeat", "f", "once;then;")
	if err := AppendTo(Bounded(t), s, r); err == nil {
		t.Log("a late repeat of an append was answered as published") // true until the section is folded
	}
	h = c.Acquire("repeat")
	c.Release(h)
	WantContents(t, s, "repeat", "f", "once;then;")
}

func testEmptyRecord(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("empty")
	c.Append(h, "none", "")
	c.Append(h, "some", "")
	c.Append(h, "some", "bytes")
	c.Release(h)
	p, err := s.Read(Bounded(t), etcdstore.ReadArgs{Lock: "empty", File: "none"})
	if err != nil || p.Size != 0 || len(p.Data) != 0 || p.Token != h.Token {
		t.Errorf("Read of a file with an empty record = %+v, %v; want no bytes, token %d", p, err, h.Token)
	}
	WantContents(t, s, "empty", "some", "bytes")
	h = c.Acquire("empty")
	c.Release(h) // nothing was appended
	WantContents(t, s, "empty", "some", "bytes")
}

func testStaleToken(t *testing.T, s Subject) {
	old, next := Begin(t, s, "old"), Begin(t, s, "next")
	stale := old.Acquire("stale")
	old.Append(stale, "f", "old;")
	p := next.Queue("stale")
	if _, err := s.Evict(Bounded(t), "stale", stale.Token, "slow"); err != nil {
		t.Fatalf("Evict: %v", err)
	}
	h := p.Granted()
	old.Lost(stale)
	next.Append(h, "f", "next;")
	old.Lost(stale)

	// Tokens can be seen, and guessed: they are worth nothing to another session.
	stolen := old.Section("stale", stale.request, h.Token)
	stolen.Appended = true
	old.Lost(stolen)
	above := next.Section("stale", h.request, h.Token+1)
	for _, appended := range []bool{false, true} {
		above.Appended = appended
		Want(t, "Release under a token above the holder's", s.Release(Bounded(t), above.Section), etcdstore.ErrLockExpired)
	}
	if got := HolderOf(t, s, "stale"); got != h.Token {
		t.Errorf("the lock is held under %d; want %d untouched", got, h.Token)
	}
	next.Release(h)
	WantContents(t, s, "stale", "f", "next;")
}

func testCommit(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("commit")
	p := Begin(t, s, "waiter").Queue("commit")
	c.Append(h, "f", "1;")
	first := *h
	h = c.Commit(h)
	WantContents(t, s, "commit", "f", "1;")
	if again := c.Commit(&first); again.Token != h.Token {
		t.Errorf("Commit repeated answered token %d; want %d", again.Token, h.Token)
	}
	p.Waits()
	if got := Inspect(t, s, "commit"); got.Holder == nil || got.Holder.Token != h.Token || got.Holder.Request != h.request {
		t.Errorf("holder = %+v; want the same under token %d", got.Holder, h.Token)
	}
	Want(t, "Append under the token before the commit",
		AppendTo(Bounded(t), s, c.Record(&first, "f", "late")), etcdstore.ErrLockExpired)
	c.Append(h, "f", "2;")
	WantContents(t, s, "commit", "f", "1;")
	h = c.Commit(h)
	empty := c.Commit(h) // of a section without records
	WantContents(t, s, "commit", "f", "1;2;")
	c.Append(empty, "f", "dropped")
	if published, err := s.Discard(Bounded(t), empty.Section); published || err != nil {
		t.Errorf("Discard = %v, %v; want false, nil", published, err)
	}
	p.Granted()
	WantContents(t, s, "commit", "f", "1;2;")
	if token, err := s.Commit(Bounded(t), first.Section); token != 0 || err != nil {
		t.Errorf("Commit repeated after the lock passed on = %d, %v; want published, and token 0", token, err)
	}
	Want(t, "Release of a committed section", s.Release(Bounded(t), first.Section), nil)
}

func testCommitLost(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("commit/lost")
	c.Append(h, "f", "committed;")
	first := *h
	h = c.Commit(h)
	c.Append(h, "f", "lost;")
	if err := s.CloseSession(Bounded(t), c.Credential); err != nil {
		t.Fatalf("CloseSession: %v", err)
	}
	for range 2 {
		if token, err := s.Commit(Bounded(t), first.Section); token != 0 || err != nil {
			t.Errorf("Commit repeated after the session's end = %d, %v; want 0, nil: it was published", token, err)
		}
		c.Lost(h)
	}
	o := Begin(t, s, "o")
	o.Publish("commit/lost", "f", "next;")
	WantContents(t, s, "commit/lost", "f", "committed;next;")
}

func testDiscard(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("discard")
	p := Begin(t, s, "waiter").Queue("discard")
	c.Append(h, "f", "dropped")
	for range 3 {
		if published, err := s.Discard(Bounded(t), h.Section); published || err != nil {
			t.Errorf("Discard = %v, %v; want false, nil", published, err)
		}
	}
	Want(t, "Release after the discard", s.Release(Bounded(t), h.Section), etcdstore.ErrLockExpired)
	next := p.Granted()
	WantNoFile(t, s, "discard", "f")
	p.c.Append(next, "f", "kept")
	p.c.Release(next)
	WantContents(t, s, "discard", "f", "kept")
	for range 2 {
		if published, err := s.Discard(Bounded(t), next.Section); !published || err != nil {
			t.Errorf("Discard after the release = %v, %v; want true, nil", published, err)
		}
	}
	WantContents(t, s, "discard", "f", "kept")
	h = c.Acquire("discard") // nothing appended
	if published, err := s.Discard(Bounded(t), h.Section); published || err != nil {
		t.Errorf("Discard of an empty section = %v, %v; want false, nil", published, err)
	}
}

func testEvict(t *testing.T, s Subject) {
	c := Begin(t, s, "the holder")
	h := c.Acquire("evict")
	c.Append(h, "f", "dropped")
	p := Begin(t, s, "waiter").Queue("evict")
	const reason = "held for “too” long"
	out, err := s.Evict(Bounded(t), "evict", h.Token, reason)
	if err != nil || out == nil || out.Token != h.Token || out.Session != c.ID || out.Label != "the holder" {
		t.Errorf("Evict = %+v, %v; want the holder under token %d", out, err, h.Token)
	}
	next := p.Granted()
	for range 2 {
		if out, err := s.Evict(Bounded(t), "evict", h.Token, reason); out != nil || err != nil {
			t.Errorf("Evict repeated = %+v, %v; want nothing done", out, err)
		}
	}
	if err := s.Release(Bounded(t), h.Section); err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("Release after the eviction: %v; want the reason %q in it", err, reason)
	}
	c.Lost(h)
	if got := Inspect(t, s, "evict").LastUndone; !strings.Contains(got, reason) {
		t.Errorf("Inspect says the last section was undone because %q; want %q in it", got, reason)
	}
	if got := HolderOf(t, s, "evict"); got != next.Token {
		t.Errorf("the lock is held under %d; want %d: the eviction was the last holder's", got, next.Token)
	}

	out, err = s.Evict(Bounded(t), "evict", 0, "whoever it is") // of a section without records
	if err != nil || out == nil || out.Token != next.Token {
		t.Errorf("Evict of whoever holds = %+v, %v; want token %d", out, err, next.Token)
	}
	p.c.Lost(next)
	_, err = s.Evict(Bounded(t), "evict", 0, "whoever it is")
	Want(t, "Evict of a free lock", err, etcdstore.ErrLockNotFound)
	WantNoFile(t, s, "evict", "f")
}

// testLargeSection publishes more than one transaction can carry, and less than a chunk, by turns.
func testLargeSection(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	var wantBig, wantSmall strings.Builder
	for round := range 3 {
		h := c.Acquire("large")
		for i := range 4 {
			data := string(bytes.Repeat([]byte{byte('a' + round), byte('0' + i)}, 300_000))
			c.Append(h, "big", data)
			wantBig.WriteString(data)
		}
		for i := range 5 {
			data := fmt.Sprintf("%d.%d;", round, i)
			c.Append(h, "small", data)
			wantSmall.WriteString(data)
		}
		c.Release(h)
		WantContents(t, s, "large", "small", wantSmall.String())
	}
	WantContents(t, s, "large", "big", wantBig.String())
}
