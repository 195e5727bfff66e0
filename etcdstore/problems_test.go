package etcdstore_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// problems are all that a store lists, by key behind the prefix.
func problems(t testing.TB, s *etcdstore.Store) map[string]etcdstore.Problem {
	t.Helper()
	all := map[string]etcdstore.Problem{}
	for after, parts := "", 0; ; parts++ {
		some, next, err := s.Problems(storetest.Bounded(t), after)
		if err != nil || parts > 10_000 {
			t.Fatalf("part %d of the problems: %v", parts, err)
		}
		for _, p := range some {
			key := strings.TrimPrefix(p.Key, "/dlm/")
			if _, twice := all[key]; twice {
				t.Errorf("%q is listed twice", key)
			}
			all[key] = p
		}
		if next == "" {
			return all
		}
		after = next
	}
}

// exists reports whether a key is there.
func exists(t testing.TB, etcd *clientv3.Client, key string) bool {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), "/dlm/"+key, clientv3.WithCountOnly())
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return resp.Count > 0
}

// unchanged reports whether a key of etcd is as it was read.
func unchanged(t testing.TB, etcd *clientv3.Client, read *mvccpb.KeyValue) bool {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), string(read.Key))
	if err != nil {
		t.Fatalf("get %q: %v", read.Key, err)
	}
	return len(resp.Kvs) == 1 && resp.Kvs[0].ModRevision == read.ModRevision
}

// lived leaves all that a store writes behind: holders, waiters, records, files, notes.
func lived(t *testing.T, etcd *clientv3.Client, s *etcdstore.Store) {
	t.Helper()
	c := begin(t, s)
	c.Publish("lived/file", "f", strings.Repeat("x", 100_000))
	storetest.WantContents(t, s, "lived/file", "f", strings.Repeat("x", 100_000))
	setRetention(t, s, etcdstore.Retention{Prefix: "lived/", MaxBytes: 1 << 30})
	h := c.Acquire("lived/held")
	c.Append(h, "f", "staged;")
	begin(t, s).Queue("lived/held")
	next := c.Commit(h)
	c.Append(next, "g", "staged;")
	u := c.Acquire("lived/undone")
	c.Append(u, "f", "x")
	discard(t, s, u)
	if _, err := s.NewClient(storetest.Bounded(t), []byte("anything")); err != nil {
		t.Fatal(err)
	}
	intrude(t, etcd, "horizon", "1") // as after a day
}

// malformedKeys are keys that no store has written, of every kind, and whether something is lost
// with them.
func malformedKeys() map[string]struct {
	value, kind, lock string
	loses, fixed      bool
} {
	type entry = struct {
		value, kind, lock string
		loses, fixed      bool
	}
	all := map[string]entry{
		"chunks/a//f//zzz":                    {kind: "chunk", lock: "a"},
		"clients/0":                           {kind: "client"},
		"clients/ffffffff":                    {kind: "client"},
		"cluster/servers/\xff":                {kind: "server"},
		"cluster/servers/00000000000000ff":    {value: "\xff", kind: "server"},
		"cluster/defragment":                  {value: "forever", kind: "turn"},
		"commits/a//zzz":                      {kind: "marker", lock: "a"},
		"commits/a//" + farAway:               {kind: "marker", lock: "a"},
		"files/a//\xff":                       {kind: "head", lock: "a"},
		"files/a//f":                          {value: `{"size":5}`, kind: "head", lock: "a", loses: true},
		"garbage/a//\xff":                     {kind: "garbage", lock: "a"},
		"garbage/a//g":                        {value: `{"base":2,"upto":1,"chunk":65536}`, kind: "garbage", lock: "a", loses: true},
		"keep/a//":                            {value: `{"maxBytes":1}`, kind: "retention"},
		"keep/a":                              {value: `{"maxBytes":-1}`, kind: "retention"},
		"keep/b":                              {value: `{"maxAge":9223372036854775807}`, kind: "retention"},
		"keep/c":                              {value: `{"files":"["}`, kind: "retention"},
		"locks/\xff":                          {kind: "holder"},
		"locks/a":                             {value: "\xff", kind: "holder", lock: "a"},
		"locks/b":                             {value: nobody + ".1\x00{}", kind: "holder", lock: "b"}, // on no lease
		"queue/a//" + nobody:                  {value: "{}", kind: "waiter", lock: "a"},
		"queue/a//" + nobody + ".1":           {value: `{"since":-1}`, kind: "waiter", lock: "a"},
		"sessions/" + strings.ToUpper(nobody): {kind: "session"},
		"sessions/" + nobody:                  {value: "{}", kind: "session"},
		"staged/a//" + hex16(1) + "/\xff":     {kind: "record", lock: "a"},
		"staged/a//" + hex16(1) + "/1":        {value: "\xff", kind: "record", lock: "a", loses: true},
		"undone/a//\xff":                      {kind: "note", lock: "a"},
		"undone/a//" + hex16(1):               {value: "x", kind: "note", lock: "a", loses: true},
		"undone/" + strings.Repeat("x/", 20) + "//" + hex16(1): {kind: "note"},
		"waited/a/..": {kind: "waited"},
		"folded/\xff": {value: "{}", kind: "folded"},
		"folded/a":    {value: `{"token":0}`, kind: "folded", lock: "a"},
		"horizon":     {value: "x", kind: "horizon", fixed: true},
		"numbered":    {value: "-1", kind: "number", fixed: true},
	}
	return all
}

// TestProblemsAndRepair: all that is malformed is listed, with what is lost with it, and removed
// by its key and revision; and nothing else is.
func TestProblemsAndRepair(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	lived(t, etcd, s)
	if found := problems(t, s); len(found) != 0 {
		t.Fatalf("a store has problems with what stores write: %+v", found)
	}
	all, err := etcd.Get(storetest.Bounded(t), "/dlm/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range all.Kvs {
		removed, err := s.Repair(storetest.Bounded(t), string(kv.Key), kv.ModRevision)
		if removed || err == nil && unchanged(t, etcd, kv) { // a fold may have taken it since
			t.Errorf("Repair(%s) = %t, %v; want that it is as it should be", kv.Key, removed, err)
		}
	}
	for i := range 250 { // more than one part has
		intrude(t, etcd, fmt.Sprintf("locks/%03d/..", i), "")
	}
	want := malformedKeys()
	for key, e := range want {
		intrude(t, etcd, key, e.value)
	}
	p := begin(t, s).Queue("a")
	found := problems(t, s)
	if len(found) != 250+len(want) {
		t.Errorf("%d problems are listed; want %d", len(found), 250+len(want))
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		e, f := want[key], found[key]
		if f.Kind != e.kind || f.Lock != e.lock || (f.Loses != "") != e.loses || f.Fixed != e.fixed || f.Why == "" || f.Revision == 0 {
			t.Errorf("%q is listed as %+v; want %+v", key, f, e)
			continue
		}
		if removed, err := s.Repair(storetest.Bounded(t), f.Key, f.Revision-1); removed || e.fixed == (err == nil) {
			t.Errorf("Repair(%q) at another revision = %t, %v", key, removed, err)
		}
		removed, err := s.Repair(storetest.Bounded(t), f.Key, f.Revision)
		if removed == e.fixed || e.fixed == (err == nil) || exists(t, etcd, key) != e.fixed && key != "locks/a" {
			t.Errorf("Repair(%q) = %t, %v", key, removed, err)
		}
		if removed, err := s.Repair(storetest.Bounded(t), f.Key, f.Revision); removed || e.fixed == (err == nil) {
			t.Errorf("the repeated Repair(%q) = %t, %v", key, removed, err)
		}
	}
	p.Granted() // of the lock whose holder was removed
	honest(t, s, "lived/file")
	if s.Faults().Malformed == 0 {
		t.Error("it has come upon nothing malformed by itself")
	}
}

// TestRepairedFile: once a malformed head is removed its file grows from nothing.
func TestRepairedFile(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	c := begin(t, s)
	c.Publish("a", "f", strings.Repeat("old", 50_000))
	storetest.WantContents(t, s, "a", "f", strings.Repeat("old", 50_000))
	intrude(t, etcd, "files/a//f", "x")
	_, err := other.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "a", File: "f"})
	storetest.Want(t, "Read", err, etcdstore.ErrMalformed)
	head := problems(t, other)["files/a//f"]
	if removed, err := other.Repair(storetest.Bounded(t), head.Key, head.Revision); err != nil || !removed {
		t.Fatalf("Repair = %t, %v", removed, err)
	}
	storetest.WantNoFile(t, s, "a", "f")
	for _, s := range []*etcdstore.Store{s, other} {
		begin(t, s).Publish("b", "f", "b;")
	}
	text := strings.Repeat("new", 1000)
	begin(t, other).Publish("a", "f", text)
	c.Publish("a", "f", strings.Repeat(text, 50))
	storetest.WantContents(t, s, "a", "f", strings.Repeat(text, 51))
}
