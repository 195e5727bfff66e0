package etcdstore

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// What is stored and what is sent has one form. The targets here take anything, and hold what a
// parser accepts against what the builder beside it makes of the result: it has to be the same
// again, or two names would stand for one thing.

const (
	fuzzSession = "00000000000000a1"
	fuzzSecret  = "0123456789abcdef0123456789abcdef"
)

func FuzzCredential(f *testing.F) {
	f.Add(fuzzSession + "." + fuzzSecret)
	f.Add(strings.ToUpper(fuzzSession) + "." + strings.Repeat("0", 32)) // acted as the holder once
	f.Add("0000000000000000." + fuzzSecret)
	f.Add("8000000000000000." + fuzzSecret)
	f.Add(fuzzSession + ".." + fuzzSecret[1:])
	f.Add(fuzzSession + "." + fuzzSecret + "." + fuzzSecret)
	f.Add(fuzzSession + "." + fuzzSecret + ".")
	f.Fuzz(func(t *testing.T, credential string) {
		c, err := parseCredential(credential)
		if err != nil {
			if !errors.Is(err, ErrInvalidArgument) || c != (session{}) {
				t.Errorf("parseCredential(%q) = %+v, %v; want nothing, and an invalid argument", credential, c, err)
			}
			return
		}
		if got := credentialOf(hex16(int64(c.lease)), c.secret, c.tag); got != credential || c.lease <= 0 || c.alive {
			t.Errorf("parseCredential(%q) is a session %+v, whose credential is %q", credential, c, got)
		}
	})
}

func FuzzKeys(f *testing.F) {
	const k = keys("/dlm/")
	a := acquisition{"a/b", fuzzSession, "7"}
	for _, key := range []string{
		k.lock("a/b"), k.waiter(a), k.session(fuzzSession), k.waited("a"), k.record("a", 5, "s1.2"), k.marker("a/b", 5), k.note("a", 5),
		k.head("a", "f"), k.garbage("a", "f"), k.chunk("a/b", "f", 1<<20), k.session(strings.ToUpper(fuzzSession)), k.lock("a//b"), k.lock(".."), k.marker("a", 0),
		k.queue("a") + fuzzSession, k.marker("a", 5) + "/1", k.record("a", 5, "x/y"), k.allStaged() + "a//5/x",
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		var forms []string
		if lock, ok := k.parseLock(key); ok {
			forms = append(forms, k.lock(lock))
		}
		if lock, ok := k.parseWaited(key); ok {
			forms = append(forms, k.waited(lock))
		}
		if a, ok := k.parseWaiter(key); ok {
			forms = append(forms, k.waiter(a))
		}
		if id, ok := k.parseSession(key); ok {
			lease, _ := parseSessionID(id)
			forms = append(forms, k.session(hex16(int64(lease))))
		}
		if sec, ok := k.parseSection(k.allMarkers(), key); ok {
			forms = append(forms, k.marker(sec.lock, sec.token))
		}
		if sec, ok := k.parseSection(k.allNotes(), key); ok {
			forms = append(forms, k.note(sec.lock, sec.token))
		}
		if sec, ok := k.parseSection(k.allStaged(), key); ok {
			request := key[strings.LastIndexByte(key, '/')+1:]
			forms = append(forms, k.record(sec.lock, sec.token, request))
		}
		if lock, file, ok := k.parseHead(key); ok {
			forms = append(forms, k.head(lock, file))
		}
		if lock, file, ok := k.parseGarbage(key); ok {
			forms = append(forms, k.garbage(lock, file))
		}
		if len(forms) > 1 || len(forms) == 1 && forms[0] != key {
			t.Errorf("%q is taken for %q", key, forms)
		}
		if at, ok := k.parseChunk("a/b", "f", key); ok && k.chunk("a/b", "f", at) != key {
			t.Errorf("%q is taken for the chunk at %d", key, at)
		}
	})
}

// FuzzNames: no name that is accepted reaches into the keys of another, and the quick check says
// what the thorough one says.
func FuzzNames(f *testing.F) {
	f.Add("a", "a/b", "f")
	f.Add("a/", "a//b", "..")
	f.Add("jobs/nightly", "jobs", ".")
	f.Add(strings.Repeat("x/", 16)+"x", strings.Repeat("x", 256), strings.Repeat("f", 129))
	f.Fuzz(func(t *testing.T, lock, other, file string) {
		const k = keys("/dlm/")
		if got := CheckLock(lock) == nil; got != isLock(lock) {
			t.Errorf("CheckLock accepts %q: %t; isLock: %t", lock, got, !got)
		}
		if got := checkFile(file) == nil; got != isFile(file) {
			t.Errorf("checkFile accepts %q: %t; isFile: %t", file, got, !got)
		}
		if checkPrefix(lock) == nil && !isLock(lock) && !isLock(lock+"x") && len(lock) < MaxLockName && strings.Count(lock, "/") < MaxLockSegments {
			t.Errorf("%q is accepted as a prefix; no lock's name begins so", lock)
		}
		if n, ok := requestNumber(file); ok && (!isRequest(file) || file != strconv.FormatUint(n, 10)) {
			t.Errorf("request %q has number %d", file, n)
		}
		if !isLock(lock) || !isLock(other) || lock == other {
			return
		}
		for _, family := range []func(string) string{k.queue, k.sections, k.markers, k.notes, k.heads} {
			if strings.HasPrefix(family(other), family(lock)) {
				t.Errorf("the keys of lock %q begin with those of %q", other, lock)
			}
		}
	})
}

func FuzzHolder(f *testing.F) {
	f.Add([]byte(holderValue{session: fuzzSession, request: "7", Label: "cron", Owner: "cn:alice", Since: 5, Hold: 7, Prev: 3}.encode()))
	f.Add([]byte(strings.ToUpper(fuzzSession) + ".7\x00{}"))
	f.Add([]byte(fuzzSession + ".7.8\x00{}"))
	f.Add([]byte(fuzzSession + ".\x00{}"))
	f.Add([]byte(fuzzSession + ".7\x00{} {}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeHolder(b)
		if err != nil {
			return
		}
		name := acquisition{"", v.session, v.request}.name()
		if !bytes.HasPrefix(b, []byte(name+"\x00")) {
			t.Errorf("%q is held by %s: a compare would not find it", b, name)
		}
		if again, err := decodeHolder([]byte(v.encode())); err != nil || again != v {
			t.Errorf("%+v, written and read again, is %+v, %v", v, again, err)
		}
	})
}

func FuzzWaiter(f *testing.F) {
	f.Add([]byte(encode(waiterValue{Label: "cron", Owner: "cn:alice", Since: 5, Hold: 7})))
	f.Add([]byte(`{"label":"\u202e","since":1e3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, again waiterValue
		if decode(b, &v) != nil {
			return
		}
		if err := decode([]byte(encode(v)), &again); err != nil || again != v {
			t.Errorf("%+v, written and read again, is %+v, %v", v, again, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(encodeRecord(7, Operation{File: "f", Data: []byte("data")}))
	f.Add(encodeRecord(1<<63, Operation{File: "f"}))
	f.Add([]byte{0x80, 0x00, 1, 'f'}) // zero, the long way
	f.Add([]byte{1, 2, '.', '.'})
	for _, o := range fuzzOperations() {
		f.Add(encodeRecord(7, o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		number, o, err := decodeRecord(b)
		if err != nil {
			return
		}
		if got := encodeRecord(number, o); !bytes.Equal(got, b) || o.check() != nil {
			t.Errorf("%x is read as %d, %+v, which is written %x; %v", b, number, o, got, o.check())
		}
	})
}

// fuzzOperations are one of each kind.
func fuzzOperations() []Operation {
	return []Operation{
		{File: "f", Data: []byte("data")}, {File: "f", Kind: Replace, Data: []byte("data")}, {File: "f", Kind: Replace}, {File: "f", Kind: Remove},
		{File: "f", Kind: Cut}, {File: "f", Kind: Cut, Offset: 300}, {File: "f", Kind: Cut, Offset: mostFile},
	}
}

func FuzzBundle(f *testing.F) {
	f.Add(encodeBundle(fuzzOperations()))
	for _, o := range fuzzOperations() {
		f.Add(encodeBundle([]Operation{o}))
	}
	f.Add([]byte{0, 0, 1, 'f', 0})       // an append, the long way
	f.Add([]byte{0, 2, 1, 'f', 1, 'x'})  // a removal with data
	f.Add([]byte{0, 3, 1, 'f', 2, 0x80}) // an offset that is not whole
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := decodeBundle(b)
		if err != nil {
			return
		}
		if got := encodeBundle(ops); !bytes.Equal(got, b) {
			t.Errorf("%x is read as %+v, which is written %x", b, ops, got)
		}
		for _, o := range ops {
			if err := o.check(); err != nil {
				t.Errorf("%x has %+v: %v", b, o, err)
			}
		}
	})
}

// What only appends is written as it was before there was anything else, and nothing else is read
// by those who know that form only: a name of no bytes is malformed to them.
func TestOperationsOfBefore(t *testing.T) {
	if got, want := encodeRecord(7, Operation{File: "f", Data: []byte("data")}), []byte("\x07\x01fdata"); !bytes.Equal(got, want) {
		t.Errorf("a record is written %q; want %q", got, want)
	}
	if got, want := encodeBundle([]Operation{{File: "f", Data: []byte("data")}}), []byte("\x01f\x04data"); !bytes.Equal(got, want) {
		t.Errorf("a bundle is written %q; want %q", got, want)
	}
	for _, o := range fuzzOperations()[1:] {
		if record, bundle := encodeRecord(7, o), encodeBundle([]Operation{o}); record[1] != 0 || bundle[0] != 0 {
			t.Errorf("%+v is written %q and %q; want a zero where the length of a name was", o, record, bundle)
		}
	}
}

func FuzzGarbage(f *testing.F) {
	f.Add([]byte(encode(garbageValue{Base: 100, Upto: 70_000, Chunk: chunkSize})))
	f.Add([]byte(`{"base":-1,"upto":5,"chunk":65536}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeGarbage(b)
		if err != nil {
			return
		}
		if again, err := decodeGarbage([]byte(encode(g))); err != nil || again != g {
			t.Errorf("%+v, written and read again, is %+v, %v", g, again, err)
		}
		if at := g.upTo(); at < g.Base || at > g.Base && at+g.Chunk > g.Upto+1 {
			t.Errorf("of %+v chunks before %d can go", g, at)
		}
	})
}

func FuzzRetention(f *testing.F) {
	f.Add("/dlm/keep/a/b", []byte(encode(Retention{Files: "*.log", MaxBytes: 100, MaxAge: time.Hour}.value())))
	f.Add("/dlm/keep/", []byte(`{"maxAge":60000}`))
	f.Add("/dlm/keep//", []byte(`{"maxBytes":1}`))
	f.Add("/dlm/keep/a", []byte(`{"maxAge":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		r, err := keys("/dlm/").retentionOf(&mvccpb.KeyValue{Key: []byte(key), Value: value})
		if err != nil {
			return
		}
		if again := keys("/dlm/").retention(r.Prefix); again != key {
			t.Errorf("%+v has the keys %q and %q", r, key, again)
		}
		if err := checkRetention(r); err != nil {
			t.Errorf("%+v is stored, and %v", r, err)
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add([]byte(encode(headValue{Size: 70_000, Chunk: chunkSize, Last: 65_536, Token: 5})), 10)
	f.Add([]byte(encode(headValue{Chunk: chunkSize, Token: 5})), 100_000)
	f.Add([]byte(encode(headValue{Size: 9000, Chunk: chunkSize, Last: 8000, Token: 5, Base: 7000, Start: 8500, Life: 4, LifeN: 2})), 10)
	f.Add([]byte(encode(headValue{Size: 9000, Chunk: chunkSize, Last: 9000, Token: 5, Base: 9000, Start: 9000, Gone: 1})), 10)
	f.Add([]byte(encode(headValue{Size: 9, Chunk: chunkSize, Token: 5, Marks: []fileMark{{1, 4}, {2, 9}}})), 10)
	f.Add([]byte(`{"size":5,"chunk":65536,"last":0,"token":5,"base":3,"start":2}`), 1)
	f.Add([]byte(`{"size":5,"chunk":65536,"last":0,"token":5,"marks":[[1,5],[2,5]]}`), 1)
	f.Add([]byte(`{"size":5,"chunk":0,"last":0,"token":5}`), 1) // ended a server once
	f.Add([]byte(`{"size":-5,"chunk":9,"last":9,"token":5}`), 1)
	f.Fuzz(func(t *testing.T, b []byte, more int) {
		h, err := decodeHead(b)
		if err != nil {
			return
		}
		var again headValue
		if again, err = decodeHead([]byte(encode(h))); err != nil || encode(again) != encode(h) {
			t.Errorf("%+v, written and read again, is %+v, %v", h, again, err)
		}
		if more <= smallChunk || more > 1<<20 || h.Size > 1<<40 || int64(more)/h.Chunk > 1000 {
			return
		}
		before := h.Size
		puts, err := new(Store).grow("a", "f", &h, nil, make([]byte, more)) // too much to be joined to the last chunk
		if err != nil || h.Size != before+int64(more) {
			t.Fatalf("a head of %d bytes, grown by %d, has %d; %v", before, more, h.Size, err)
		}
		at := before
		for _, o := range puts {
			begin, ok := keys("").parseChunk("a", "f", string(o.GetRequestPut().GetKey()))
			if size := len(o.GetRequestPut().GetValue()); !ok || begin != at || size == 0 || int64(size) > h.Chunk {
				t.Fatalf("after byte %d there is a chunk at %d of %d bytes; want no gap, and at most %d", at, begin, size, h.Chunk)
			}
			at += int64(len(o.GetRequestPut().GetValue()))
		}
		if _, err := decodeHead([]byte(encode(h))); err != nil {
			t.Errorf("grown by %d it is no head any more: %v", more, err)
		}
	})
}

// FuzzProblem: whatever is stored, it can be said whether it is malformed, and what of it is said
// names locks as they are named everywhere.
func FuzzProblem(f *testing.F) {
	k := keys("/dlm/")
	f.Add(k.lock("a"), []byte(holderValue{session: fuzzSession, request: "7", Since: 1}.encode()), int64(5), int64(0xa1))
	f.Add(k.marker("a", 5), []byte(fuzzSession), int64(5), int64(0))
	f.Add(k.chunk("a", "f", 0), []byte("x"), int64(5), int64(0))
	f.Add(k.client(5), []byte("x"), int64(5), int64(0))
	f.Add("/dlm/queue/\xff//x", []byte("{}"), int64(5), int64(0))
	f.Add("/dlm/cluster/servers/"+fuzzSession, []byte("{}"), int64(5), int64(0))
	f.Fuzz(func(t *testing.T, key string, value []byte, rev, lease int64) {
		kd, ok := k.kindOf(key)
		if !ok {
			return
		}
		kv := &mvccpb.KeyValue{Key: []byte(key), Value: value, CreateRevision: rev, ModRevision: rev, Lease: lease}
		p := k.problem(kd, kv)
		lock, _ := kd.check(k, kv)
		if lock != "" && !isLock(lock) {
			t.Errorf("%q belongs to a lock %q", key, lock)
		}
		if p == nil {
			return
		}
		if p.Key != key || p.Why == "" || p.Lock != lock || p.Revision != rev {
			t.Errorf("the problem of %q is %+v", key, p)
		}
	})
}

// FuzzEvents feeds what etcd's watch may bring: keys and values that nobody here wrote. Nothing of
// it may end the server, and what a watcher is told names locks and sessions as they are named
// everywhere.
func FuzzEvents(f *testing.F) {
	k := keys("/dlm/")
	a := acquisition{"a/b", fuzzSession, "7"}
	hold := holderValue{session: fuzzSession, request: "7", Since: 1}.encode()
	f.Add(k.lock("a/b"), []byte(hold), k.waiter(a), []byte(`{"since":1}`), uint8(0))
	f.Add(k.lock("a/b"), []byte(hold), k.session(fuzzSession), []byte(`{"secret":"AA=="}`), uint8(6))
	f.Add(k.lock("a/b"), []byte("x"), k.lock("a/b"), []byte(fuzzSession+".8\x00{}"), uint8(12))
	f.Add(k.queue("a//b"), []byte("x"), "/dlm/numbered", []byte("5"), uint8(255))
	f.Fuzz(func(t *testing.T, key1 string, value1 []byte, key2 string, value2 []byte, how uint8) {
		s := &Store{keys: k, engine: commit.New(commit.Env{Health: commit.NewHealth(nil), Closed: func() bool { return false }})}
		s.mirror = newMirror(k, func(string) {}, func(sectionKey) {}, func(sectionKey) {})
		defer s.mirror.stop()
		var events []*clientv3.Event
		for i, kv := range []*mvccpb.KeyValue{{Key: []byte(key1), Value: value1}, {Key: []byte(key2), Value: value2}} {
			kv.CreateRevision, kv.ModRevision = int64(2+i), int64(2+i)
			made := &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv}
			events = append(events, made)
			rev := int64(10 + i)
			if how&1 != 0 {
				rev = 10 // one transaction
			}
			switch how >>= 1; {
			case how&1 != 0:
				events = append(events, &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: kv.Key, ModRevision: rev}})
			case how&2 != 0:
				next := &mvccpb.KeyValue{Key: kv.Key, Value: value2, CreateRevision: kv.CreateRevision, ModRevision: rev, Version: 2}
				events = append(events, &clientv3.Event{Type: clientv3.EventTypePut, Kv: next})
			}
			how >>= 2
		}
		slices.SortStableFunc(events, func(a, b *clientv3.Event) int { return int(a.Kv.ModRevision - b.Kv.ModRevision) })
		s.mirror.feed.look = s.eachAsOf // etcd is not there
		watchers := map[string]*watcher{}
		for _, prefix := range []string{"", "a/"} {
			watchers[prefix] = s.mirror.feed.join(prefix)
		}
		s.mirror.observe(events)
		s.mirror.feed.flush(t.Context())
		s.mirror.reset([]*mvccpb.KeyValue{events[0].Kv}, 20)
		s.mirror.feed.flush(t.Context())

		for prefix, w := range watchers {
			news, err := w.take()
			if err != nil || len(news) == 0 || news[len(news)-1] != nil {
				t.Errorf("told with prefix %q: %v, %v; want the state to be due last", prefix, news, err)
			}
			for _, n := range news {
				if n == nil {
					continue
				}
				for _, e := range n.Events {
					_, id := parseSessionID(e.Session)
					unnamed := e.Session == "" && e.Request == "" // a holder's value that nobody here wrote
					if !isLock(e.Lock) || !strings.HasPrefix(e.Lock, prefix) || !unnamed && (!id || !isRequest(e.Request)) || e.Type == 0 || e.Revision <= 0 {
						t.Errorf("explained with prefix %q: %+v", prefix, e)
					}
				}
			}
		}
		for name := range s.mirror.locks {
			if !isLock(name) {
				t.Errorf("the mirror knows a lock %q", name)
			}
		}
	})
}
