package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// vandal writes garbage under all families of a prefix. Some of its keys are of the locks that
// honest clients use, but have a form that nothing of theirs has; all that has the right form is of
// other locks.
type vandal struct {
	*rand.Rand
}

func (v vandal) pick(from ...string) string { return from[v.IntN(len(from))] }

func (v vandal) bytes(most int) string {
	b := make([]byte, v.IntN(most))
	for i := range b {
		b[i] = byte(v.Uint32())
	}
	return string(b)
}

// segment is a part of a key of any form. It never is one that a store writes behind a lock.
func (v vandal) segment() string {
	return v.pick("\xff", "!", "zz", "..", "\x00", "0", "A0", farAway[:15], "\u202e", strings.Repeat("9", 17)) + v.bytes(8)
}

// token is a token, of whatever size.
func (v vandal) token() string {
	return v.pick(hex16(1), hex16(int64(v.IntN(500))), farAway, "ffffffffffffffff", hex16(0), v.segment())
}

func (v vandal) key() string {
	owner := v.pick(nobody, hex16(int64(v.IntN(9))), v.segment()) + v.pick(".1", ".", "", "."+v.segment())
	if v.IntN(3) == 0 { // of an honest lock
		lock := v.pick("honest/0", "honest/1")
		return v.pick(
			"queue/"+lock+"//"+v.segment(), "staged/"+lock+"//"+v.segment(), "commits/"+lock+"//"+v.pick(v.segment(), farAway),
			"undone/"+lock+"//"+v.pick(v.segment(), farAway), "files/"+lock+"//"+v.segment()+"/", "garbage/"+lock+"//"+v.segment()+"/", "chunks/"+lock+"//f//"+v.segment(),
			"locks/"+lock+"//"+v.segment(), "waited/"+lock+"//"+v.segment())
	}
	lock := v.pick("bad", "bad/"+v.pick("1", "2"), v.segment(), v.segment()+"/"+v.segment())
	return v.pick(
		"locks/"+lock, "queue/"+lock+"//"+owner, "sessions/"+v.pick(nobody, hex16(int64(v.IntN(9))), v.segment()), "waited/"+lock,
		"staged/"+lock+"//"+v.token()+v.pick("/1", "/2", "", "/"+v.segment()), "commits/"+lock+"//"+v.token(), "undone/"+lock+"//"+v.token(),
		"files/"+lock+"//"+v.pick("f", v.segment()), "garbage/"+lock+"//"+v.pick("f", v.segment()), "chunks/"+lock+"//f//"+v.token(), "clients/"+v.segment(),
		"cluster/servers/"+v.pick(nobody, v.segment()), "horizon", "numbered")
}

func (v vandal) number() string {
	return v.pick("0", "1", "-1", "65536", "4096", "9223372036854775807", "-9223372036854775808", "1e300", `"x"`, "null", "1.5")
}

func (v vandal) value() string {
	object := fmt.Sprintf(`{"since":%s,"hold":%s,"prev":%s,"size":%s,"chunk":%s,"last":%s,"token":%s,"at":%s,"linger":%s,"label":%q,"secret":%q,"why":%q}`,
		v.number(), v.number(), v.number(), v.number(), v.number(), v.number(), v.number(), v.number(), v.number(), v.pick("", "\u202e", "x\x1b[31m"),
		v.pick("", "AA==", strings.Repeat("A", 43)+"="), v.pick("", "evicted", "\u2028"))
	return v.pick("", v.bytes(40), object, nobody+".1\x00"+object, v.pick("\x01\x01f", "\x00\x01", "\x80\x80", "\x01\xff\x01f")+v.bytes(9),
		strings.Repeat("x", 1000), `{"size":5,"chunk":0,"last":0,"token":1}`)
}

// TestGarbage: while somebody writes garbage under every family, honest clients get their locks in
// order, and their files have what they published, whole and once; whoever looks at everything can.
func TestGarbage(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	stores := []*etcdstore.Store{openStore(t, etcd), openStore(t, etcd)}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithCancel(t.Context())
	var vandals sync.WaitGroup
	vandals.Go(func() {
		v := vandal{rand.New(rand.NewPCG(seed, 0))}
		for i := 0; i < 3000 && ctx.Err() == nil; i++ { // what is on its way is never broken off: it would come later
			key := "/dlm/" + v.key()
			_, err := etcd.Put(t.Context(), key, v.value())
			if err == nil && v.IntN(10) == 0 {
				_, err = etcd.Delete(t.Context(), key)
			}
			if err != nil {
				t.Errorf("put garbage: %v", err)
				return
			}
		}
	})
	defer vandals.Wait()
	defer cancel()

	rounds := 40
	if testing.Short() || raceEnabled() {
		rounds = 10
	}
	want := map[string]string{}
	clients := []*storetest.Client{begin(t, stores[0]), begin(t, stores[1])}
	for i := range rounds {
		lock := fmt.Sprint("honest/", i%2)
		c, waiter := clients[i%2], clients[(i+1)%2]
		h := c.Take(lock)
		p := waiter.Queue(lock)
		text := fmt.Sprintf("%d:%s;", i, strings.Repeat("x", 50*i))
		c.Append(h, "f", text)
		c.Release(h)
		next := p.Granted()
		waiter.Append(next, "g", text)
		waiter.Release(next)
		for _, file := range []string{"f", "g"} {
			want[lock+file] += text
			storetest.WantContents(t, stores[i%2], lock, file, want[lock+file])
		}
		looksAtAll(t, stores[i/2%2])
	}
	cancel()
	vandals.Wait()
	late := openStore(t, etcd)
	for _, lock := range []string{"honest/0", "honest/1"} {
		for _, file := range []string{"f", "g"} {
			storetest.WantContents(t, late, lock, file, want[lock+file])
		}
	}
	for _, s := range append(stores, late) {
		if got := s.Faults(); got.Panics != 0 || got.Malformed == 0 {
			t.Errorf("a store has met %+v; want no panic, and something malformed", got)
		}
	}
	left := problems(t, late)
	for _, p := range left {
		if p.Fixed {
			continue
		}
		if _, err := late.Repair(storetest.Bounded(t), p.Key, p.Revision); err != nil {
			t.Errorf("Repair(%q): %v", p.Key, err)
		}
	}
	for key, p := range problems(t, late) {
		if !p.Fixed {
			t.Errorf("%q is listed after its repair: %+v", key, p)
		}
	}
	for _, lock := range []string{"honest/0", "honest/1", "bad"} {
		if lock != "bad" {
			storetest.WantContents(t, late, lock, "f", want[lock+"f"])
			honest(t, late, lock)
		}
	}
	if len(left) == 0 {
		t.Error("there were no problems to be listed")
	}
}

// looksAtAll asks for all that concerns every lock, and for what is wrong with those of the vandal.
func looksAtAll(t *testing.T, s *etcdstore.Store) {
	t.Helper()
	ctx := storetest.Bounded(t)
	locks, _, err := s.List(ctx, "", 0, "")
	if err != nil {
		t.Errorf("List: %v", err)
	}
	for _, l := range locks {
		if !utf8.ValidString(fmt.Sprintf("%+v", l)) || l.Holder != nil && l.Holder.Since.Year() > 9999 {
			t.Errorf("List shows %+v", l)
		}
	}
	if _, _, err := s.ListFiles(ctx, "", 0, ""); err != nil {
		t.Errorf("ListFiles: %v", err)
	}
	for _, lock := range []string{"bad", "bad/1"} {
		if _, err := s.Inspect(ctx, lock); err != nil && !errors.Is(err, etcdstore.ErrLockNotFound) {
			t.Errorf("Inspect(%s): %v", lock, err)
		}
		if _, err := s.Read(ctx, etcdstore.ReadArgs{Lock: lock, File: "f"}); err != nil && !errors.Is(err, etcdstore.ErrFileNotFound) && !errors.Is(err, etcdstore.ErrMalformed) {
			t.Errorf("Read(%s): %v", lock, err)
		}
	}
	if _, _, err := s.Problems(ctx, ""); err != nil {
		t.Errorf("Problems: %v", err)
	}
	if _, err := s.NewClient(ctx, nil); err != nil && !errors.Is(err, etcdstore.ErrMalformed) {
		t.Errorf("NewClient: %v", err)
	}
}
