package etcdstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// Somebody else writes under the prefix. Nobody but the one lock that it concerns may suffer from
// it, and that one no more than it must.

// intrude puts a key that no store has written.
func intrude(t testing.TB, etcd *clientv3.Client, key, value string) {
	t.Helper()
	if _, err := etcd.Put(storetest.Bounded(t), "/dlm/"+key, value); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

const (
	nobody  = "00000000000000a1" // a session that is not there
	farAway = "7fffffffffffffff" // a token that no revision comes to
)

// honest asserts that a lock works: it is got at once, its file grows by what is appended, and all
// that looks at every lock works.
func honest(t *testing.T, s storetest.Subject, lock string) {
	t.Helper()
	ctx := storetest.Bounded(t)
	before := ""
	if text, err := storetest.ReadAll(ctx, s, lock, "f"); err == nil {
		before = text
	}
	c := begin(t, s)
	h := c.Take(lock)
	c.Append(h, "f", "one;")
	p := begin(t, s).Queue(lock)
	c.Release(h)
	next := p.Granted()
	storetest.WantContents(t, s, lock, "f", before+"one;")
	storetest.Want(t, "Release", s.Release(ctx, next.Section), nil)
	if _, _, err := s.List(ctx, "", 0, ""); err != nil {
		t.Errorf("List: %v", err)
	}
	if _, _, err := s.ListFiles(ctx, "", 0, ""); err != nil {
		t.Errorf("ListFiles: %v", err)
	}
	if _, err := s.Inspect(ctx, lock); err != nil {
		t.Errorf("Inspect: %v", err)
	}
}

// TestForeignKeys: keys of other forms than a store's, among those of a lock that works. Nothing of
// it may be noticed there.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"lock":               "locks/\xff",
		"lock above":         "locks/a/../b",
		"place":              "queue/a//junk",
		"place, not UTF-8":   "queue/a//\xff\xfe",
		"place of none":      "queue/\xff//" + nobody + ".1",
		"session":            "sessions/\xff",
		"session, other":     "sessions/00000000000000A1",
		"waited":             "waited/\xff",
		"record":             "staged/a//junk/\xff",
		"record, far away":   "staged/a//" + farAway + "/1",
		"marker":             "commits/a//zzzz",
		"marker, not UTF-8":  "commits/a//\xff",
		"marker, far away":   "commits/a//" + farAway,
		"marker, first":      "commits/a//!",
		"marker of none":     "commits/\xff//" + farAway,
		"note":               "undone/a//\xff",
		"note, far away":     "undone/a//" + farAway,
		"head":               "files/a//\xff",
		"head of none":       "files/\xff//f",
		"chunk":              "chunks/a//f//\xff",
		"chunk, first":       "chunks/a//f//!",
		"chunk, odd":         "chunks/a//f//0000000000000000x",
		"garbage":            "garbage/a//\xff",
		"garbage of none":    "garbage/\xff//f",
		"garbage, no value":  "garbage/a//f",
		"client":             "clients/\xff",
		"server":             "cluster/servers/\xff",
		"mirrored":           "nowhere",
		"mirrored, no UTF-8": "n\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			before := openStore(t, etcd)
			honest(t, before, "a")
			intrude(t, etcd, key, "\xffx")
			honest(t, before, "a")
			after := openStore(t, etcd)
			honest(t, after, "a")
			honest(t, before, "b")
			honest(t, after, "b")
		})
	}
}

// TestForeignRecord: what somebody put beside a section's records is not in its files.
func TestForeignRecord(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	h := c.Acquire("a")
	c.Append(h, "f", "mine;")
	for _, request := range []string{"\xff", "a/b", strings.Repeat("x", 65)} {
		intrude(t, etcd, "staged/a//"+hex16(h.Token)+"/"+request, "\x01\x01fnot mine;")
	}
	c.Release(h)
	storetest.WantContents(t, s, "a", "f", "mine;")
	honest(t, s, "a")
	// Once it is folded, such a key looks like what a lost section has left. To sweep it would be
	// to say that the section was lost.
	intrude(t, etcd, "staged/a//"+hex16(h.Token)+"/\xff", "x")
	honest(t, openStore(t, etcd), "b") // which tidies at once
	storetest.Want(t, "the repeated Release", s.Release(storetest.Bounded(t), h.Section), nil)
}

// TestForeignOrphan: what was put under a token that was never granted is not swept. Its note would
// say of a section that is still to come that it was lost.
func TestForeignOrphan(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	openStore(t, etcd)
	future := hex16(revision(t, etcd) + 1000)
	intrude(t, etcd, "staged/a//"+future+"/1", "\x01\x01fx")
	intrude(t, etcd, "staged/z//"+hex16(1)+"/1", "\x01\x01fx")
	openStore(t, etcd) // and tidies, one after the other
	gone(t, etcd, "staged/z")
	if left := keys(t, etcd, "undone/a"); len(left) > 0 {
		t.Errorf("there is a note of a section that never was: %q", left)
	}
}

// TestMalformedHead: the file of a head that no fold has written can neither be read nor grow, and
// the error says what to do. Its lock, and other locks, go on.
func TestMalformedHead(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"chunk 0":         `{"size":5,"chunk":0,"last":0,"token":2}`,
		"chunk 1":         `{"size":1,"chunk":1,"last":0,"token":2}`,
		"chunk, negative": `{"size":5,"chunk":-1,"last":0,"token":2}`,
		"chunk, huge":     `{"size":5,"chunk":9223372036854775807,"last":0,"token":2}`,
		"size, huge":      `{"size":9223372036854775807,"chunk":65536,"last":9223372036854775806,"token":2}`,
		"token, far away": `{"size":0,"chunk":65536,"last":0,"token":9223372036854775807}`,
		"base, negative":  `{"size":5,"chunk":65536,"last":0,"token":2,"base":-1}`,
		"start, behind":   `{"size":5,"chunk":65536,"last":0,"token":2,"start":6}`,
		"start, before":   `{"size":5,"chunk":65536,"last":3,"token":2,"base":3,"start":2}`,
		"life, far away":  `{"size":5,"chunk":65536,"last":0,"token":2,"life":3}`,
		"gone, not empty": `{"size":5,"chunk":65536,"last":0,"token":2,"gone":1}`,
		"no head":         "\xff",
		"empty":           "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			s := openStore(t, etcd)
			intrude(t, etcd, "files/bad//f", value)
			c := begin(t, s)
			for range 3 {
				c.Publish("bad", "f", strings.Repeat("x", 5000))
			}
			for _, s := range []*etcdstore.Store{s, openStore(t, etcd)} {
				_, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "bad", File: "f"})
				if err == nil || !strings.Contains(err.Error(), "dlm repair") {
					t.Errorf("Read: %v; want an error that names the remedy", err)
				}
				honest(t, s, "a")
			}
		})
	}
}

// TestMalformedHolder: a lock whose holder cannot be read is held, shown and evicted.
func TestMalformedHolder(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	for i, value := range []string{
		"", "\xff", nobody + ".1", nobody + ".\xff\x00{}", nobody + ".1\x00\xff",
		nobody + `.1` + "\x00" + `{"since":9223372036854775807}`,
		nobody + `.1` + "\x00" + `{"since":1,"hold":9223372036854775807}`,
		nobody + `.1` + "\x00" + `{"since":1,"hold":-1}`,
		nobody + `.1` + "\x00" + `{"since":1,"label":"` + strings.Repeat("x", 100_000) + `"}`,
	} {
		lock := fmt.Sprint("held/", i)
		intrude(t, etcd, "locks/"+lock, value)
		p := begin(t, s).Queue(lock)
		info := storetest.Inspect(t, s, lock)
		if info.Holder == nil || info.Holder.Token == 0 || len(info.Holder.Label) > etcdstore.MaxLabel || info.Holder.Since.Year() > 9999 {
			t.Errorf("%.80q: held by %+v; want a token, and nothing absurd", value, info.Holder)
			continue
		}
		p.Waits()
		if _, err := s.Evict(storetest.Bounded(t), lock, info.Holder.Token, "malformed"); err != nil {
			t.Errorf("%.80q: Evict: %v", value, err)
			continue
		}
		p.Granted()
	}
	honest(t, s, "a")
}

// TestMalformedPlaces: places and sessions that cannot be granted anything hold nobody up.
func TestMalformedPlaces(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	for i, session := range []string{"\xff", `{"secret":"AA=="}`, `{"secret":"` + strings.Repeat("A", 43) + `="}`} {
		lock := fmt.Sprint("queued/", i)
		h := c.Acquire(lock)
		id := fmt.Sprintf("%016x", 0xa1+i)
		intrude(t, etcd, "sessions/"+id, session) // on no lease
		intrude(t, etcd, "queue/"+lock+"//"+id+".1", `{"since":1}`)
		intrude(t, etcd, "queue/"+lock+"//"+id+".2", `{"since":9223372036854775807}`)
		intrude(t, etcd, "queue/"+lock+"//"+id+".3", `{"since":1,"label":"`+strings.Repeat("x", 100_000)+`"}`)
		intrude(t, etcd, "waited/"+lock, "")
		p := begin(t, s).Queue(lock)
		for _, w := range storetest.Inspect(t, s, lock).Waiters {
			if len(w.Label) > etcdstore.MaxLabel || w.Since.Year() > 9999 {
				t.Errorf("there waits %.80q since %v", w.Label, w.Since)
			}
		}
		c.Release(h)
		h = p.Granted()
		if _, err := s.Evict(storetest.Bounded(t), lock, h.Token, "next"); err != nil {
			t.Fatalf("Evict: %v", err)
		}
		begin(t, s).Acquire(lock)
	}
	// Whoever holds a lock goes, and only promote is left to pass it on.
	d := begin(t, s)
	d.Acquire("promoted")
	intrude(t, etcd, "queue/promoted//00000000000000a3.1", `{"since":1}`)
	p := begin(t, s).Queue("promoted")
	closeSession(t, s, d)
	p.Granted()
	honest(t, s, "a")
}

// TestMalformedChunk: a file with a chunk that is not as a fold has written it is not read wrongly.
func TestMalformedChunk(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	text := strings.Repeat("x", 100_000)
	for lock, value := range map[string]string{"long": strings.Repeat("y", 80_000), "short": "y", "empty": ""} {
		c.Publish(lock, "f", text)
		storetest.WantContents(t, s, lock, "f", text)
		intrude(t, etcd, "chunks/"+lock+"//f//"+hex16(0), value)
		if p, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: lock, File: "f"}); err == nil || !strings.Contains(err.Error(), "only a backup has that") {
			t.Errorf("%s: Read = %d bytes, %v; want an error that names the remedy", lock, len(p.Data), err)
		}
	}
	honest(t, s, "a")
}

// TestMalformedSession: whose session's record cannot be read is told so, and does not act.
func TestMalformedSession(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	intrude(t, etcd, "sessions/"+c.ID, "\xff")
	other := openStore(t, etcd)
	_, err := other.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential})
	if err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("Heartbeat: %v; want that the session's record is malformed", err)
	}
	honest(t, other, "a")
}

// TestMalformedWatch: a watcher is told of all locks that can be read.
func TestMalformedWatch(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	ctx, cancel := context.WithCancel(storetest.Bounded(t))
	defer cancel()
	granted := make(chan struct{})
	var once sync.Once
	ended := make(chan error, 1)
	go func() {
		ended <- s.Watch(ctx, "", func(n *etcdstore.News) error {
			for _, e := range n.Events {
				if e.Lock == "a" && e.Type == etcdstore.EventGranted {
					once.Do(func() { close(granted) })
				}
			}
			return nil
		})
	}()
	for _, key := range []string{"locks/\xff", "queue/a//\xff", "sessions/x", "undone/a//\xff", "locks/held"} {
		intrude(t, etcd, key, "\xff")
	}
	begin(t, s).Acquire("a")
	storetest.Await(t, "the grant", granted)
	cancel()
	storetest.Want(t, "Watch", <-ended, context.Canceled)
}
