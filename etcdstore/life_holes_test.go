package etcdstore_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// The tests below are named after the holes that tools/model/life finds with one of the rules left
// out. Each says what happens then. F3, a fold of several sections in steps, is in fold_test.go;
// F4, garbage that is noted after the fold, in crash_test.go; F5 is of retention, which there is
// none of.

// atRest waits until all is cleaned, and fails the test for chunks that no head tells of.
func atRest(t *testing.T, etcd *clientv3.Client, prefix string) {
	t.Helper()
	get := func(family string) *clientv3.GetResponse {
		resp, err := etcd.Get(storetest.Bounded(t), prefix+family, clientv3.WithPrefix())
		if err != nil {
			t.Fatalf("get %s: %v", family, err)
		}
		return resp
	}
	storetest.Eventually(t, "all to be cleaned", func() bool { return get("garbage/").Count == 0 })
	type head struct{ Size, Base, Start, Gone int64 }
	heads := map[string]head{}
	for _, kv := range get("files/").Kvs {
		var h head
		if err := json.Unmarshal(kv.Value, &h); err != nil {
			t.Fatalf("%s: %v", kv.Key, err)
		}
		heads[strings.TrimPrefix(string(kv.Key), prefix+"files/")] = h
	}
	for _, kv := range get("chunks/").Kvs {
		file, at16, _ := cutLast(strings.TrimPrefix(string(kv.Key), prefix+"chunks/"), "//")
		at, err := strconv.ParseInt(at16, 16, 64)
		if h, ok := heads[file]; err != nil || !ok || h.Gone != 0 || at < h.Base || at+64<<10 <= h.Start || at >= h.Size {
			t.Errorf("%s is left behind by %+v; %v", kv.Key, h, err)
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// If each life begins at position 0, a store that is slow to clean up after one deletes the next.
func TestHoleF1SlowCleaner(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	p := newPublisher(t, a, "l", 1)
	p.publish(appendTo("f", strings.Repeat("1", 200_000)))
	storetest.WantContents(t, a, "l", "f", strings.Repeat("1", 200_000))
	cleaning, clean := hold(t, a.Faults, deletes("/dlm/chunks/"))
	cleaned := answered(a.Faults, deletes("/dlm/chunks/"))
	p.publish(replace("f", strings.Repeat("2", 200_000)))
	storetest.WantContents(t, a, "l", "f", strings.Repeat("2", 200_000))
	storetest.Await(t, "a cleaner", cleaning)
	b := openStore(t, etcd) // not before: it tidies up at its start
	p.s = b
	p.publish(replace("f", strings.Repeat("3", 200_000)))
	storetest.WantContents(t, b, "l", "f", strings.Repeat("3", 200_000))
	gone(t, etcd, "garbage/")
	clean()
	storetest.Await(t, "the slow cleaner's answer", cleaned)
	storetest.WantContents(t, b, "l", "f", strings.Repeat("3", 200_000))
	atRest(t, etcd, "/dlm/")
}

// If what a fold never puts is not counted, another one, that is broken off or goes on, has put it
// where the next life is.
func TestHoleF1SlowFold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	folding, fold := hold(t, a.Faults, folds)
	answer := answered(a.Faults, folds)
	c := begin(t, a)
	h := c.Acquire("l")
	for range 3 {
		c.Append(h, "f", strings.Repeat("1", 900_000))
	}
	c.Release(h)
	storetest.Await(t, "a fold", folding)
	b := openStore(t, etcd)
	p := newPublisher(t, b, "l", 1)
	p.publish(replace("f", "2"), appendTo("f", strings.Repeat("3", 100_000)))
	want := "2" + strings.Repeat("3", 100_000)
	storetest.WantContents(t, b, "l", "f", want)
	fold()
	storetest.Await(t, "the slow fold's answer", answer)
	storetest.WantContents(t, a, "l", "f", want)
	p.publish(appendTo("f", "4"))
	storetest.WantContents(t, a, "l", "f", want+"4")
	atRest(t, etcd, "/dlm/")
}

// If a life is named by the token alone, two replacements in one commit are one life, and a reader
// gets half of each.
func TestHoleF2ReplacedTwiceInOneCommit(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	newPublisher(t, s, "l", 99).publish(appendTo("f", ""))
	free := busy(t, s, "/dlm/")
	versions := make(chan etcdstore.Version, 2)
	for lane := range byte(2) {
		p := newPublisher(t, s, "l", lane+1)
		s.StartPublish(t.Context(), p.next(replace("f", strconv.Itoa(int(lane)))), func(is etcdstore.Publication, err error) {
			if err != nil {
				t.Errorf("Publish: %v", err)
			}
			versions <- is.Version
		})
	}
	free()
	first, second := await.Receive(t, time.Minute, "an answer", versions), await.Receive(t, time.Minute, "an answer", versions)
	if first.Token != second.Token {
		t.Fatalf("they are published at %v and %v; want one commit", first, second)
	}
	if first.N > second.N {
		first, second = second, first
	}
	got, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "f"})
	if err != nil || got.Life != second {
		t.Errorf("the file has life %v, %v; want %v", got.Life, err, second)
	}
	_, err = s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "f", Life: first})
	storetest.Want(t, "Read of the first", err, etcdstore.ErrFileChanged)
}

// headRead is a read that has seen the head of a file, and not its chunks, until goOn is called.
func headRead(t *testing.T, s *faulty, args etcdstore.ReadArgs) (goOn func() (etcdstore.Piece, error)) {
	t.Helper()
	type answer struct {
		p   etcdstore.Piece
		err error
	}
	reached, release := hold(t, s.Faults, gets("/dlm/chunks/l//f//"))
	answers := make(chan answer, 1)
	ctx := storetest.Bounded(t)
	go func() {
		p, err := s.Read(ctx, args)
		answers <- answer{p, err}
	}()
	storetest.Await(t, "a reader", reached)
	return func() (etcdstore.Piece, error) {
		release()
		a := await.Receive(t, time.Minute, "what was read", answers)
		return a.p, a.err
	}
}

// A reader that does not look at the head again takes a chunk that was cleaned away for damage.
func TestHoleF6ReadWhileItIsCleaned(t *testing.T) {
	t.Parallel()
	old := strings.Repeat("o", 200_000)
	for name, test := range map[string]struct {
		change etcdstore.Operation
		life   bool // the reader says of which life it wants to read
		want   string
		err    error
	}{
		"replaced":              {change: replace("f", "new"), want: "new"},
		"replaced, with a life": {change: replace("f", "new"), life: true, err: etcdstore.ErrFileChanged},
		"removed":               {change: remove("f"), err: etcdstore.ErrFileNotFound},
		"removed, with a life":  {change: remove("f"), life: true, err: etcdstore.ErrFileNotFound},
		"cut":                   {change: cutBefore("f", 100_000), life: true, err: etcdstore.ErrOffsetGone},
		"grown":                 {change: appendTo("f", "x"), life: true, want: old},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			s, other := openFaulty(t, etcd), openStore(t, etcd)
			p := newPublisher(t, other, "l", 1)
			life, _ := p.publish(appendTo("f", old))
			storetest.WantContents(t, other, "l", "f", old)
			args := etcdstore.ReadArgs{Lock: "l", File: "f"}
			if test.life {
				args.Life = life
			}
			goOn := headRead(t, s, args)
			p.publish(test.change)
			storetest.Contents(t, other, "l", "g") // and folded
			gone(t, etcd, "garbage/")
			got, err := goOn()
			storetest.Want(t, "Read", err, test.err)
			if string(got.Data) != test.want {
				t.Errorf("%d bytes are read; want %d", len(got.Data), len(test.want))
			}
			atRest(t, etcd, "/dlm/")
		})
	}
}

// A reader that does not notice that a file was buried, and made again, gets one life's bytes for
// another's.
func TestHoleF8ReadOverABurial(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	p := newPublisher(t, other, "l", 1)
	for i, named := range []bool{true, false} {
		life, _ := p.publish(replace("f", strings.Repeat("o", 200_000)))
		storetest.Contents(t, other, "l", "f")
		args := etcdstore.ReadArgs{Lock: "l", File: "f", Offset: 100_000}
		if named {
			args.Life = life
		}
		goOn := headRead(t, s, args)
		p.publish(remove("f"))
		storetest.WantNoFile(t, other, "l", "f")
		gone(t, etcd, "garbage/")
		if err := other.Bury(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if left := keys(t, etcd, "files/"); len(left) > 0 {
			t.Fatalf("%q is not buried", left)
		}
		anew, _ := p.publish(appendTo("f", strings.Repeat(strconv.Itoa(i), 200_000)))
		storetest.Contents(t, other, "l", "f")
		got, err := goOn()
		if named {
			storetest.Want(t, "Read", err, etcdstore.ErrFileChanged)
		} else if err != nil || got.Life != anew || string(got.Data) != strings.Repeat(strconv.Itoa(i), 100_000) {
			t.Errorf("Read = %d bytes of life %v, %v; want 100000 of %v", len(got.Data), got.Life, err, anew)
		}
	}
}

// If a head is buried alone beside a fold that goes on, the chunks that this has put stay, where
// the file comes to later.
func TestHoleF9BurialBesideAFold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	p := newPublisher(t, a, "l", 1)
	p.publish(appendTo("f", "first"))
	p.publish(remove("f"))
	storetest.WantNoFile(t, a, "l", "f")
	gone(t, etcd, "garbage/")
	folding, fold := hold(t, a.Faults, folds)
	answer := answered(a.Faults, folds)
	c := begin(t, a)
	h := c.Acquire("l")
	var want strings.Builder
	for i := range 3 {
		c.Append(h, "f", strings.Repeat(strconv.Itoa(i), 900_001))
		want.WriteString(strings.Repeat(strconv.Itoa(i), 900_001))
	}
	c.Release(h)
	storetest.Await(t, "a fold", folding)
	if len(keys(t, etcd, "chunks/")) == 0 {
		t.Fatal("the fold has put nothing yet")
	}
	if err := a.Bury(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, etcd, "chunks/"); len(left) > 0 {
		t.Errorf("%q are not buried", left)
	}
	b := openStore(t, etcd)
	storetest.WantContents(t, b, "l", "f", want.String())
	fold()
	storetest.Await(t, "the slow fold's answer", answer)
	storetest.WantContents(t, a, "l", "f", want.String())
	p.s = b
	p.publish(appendTo("f", strings.Repeat("x", 100_000)))
	storetest.WantContents(t, a, "l", "f", want.String()+strings.Repeat("x", 100_000))
	atRest(t, etcd, "/dlm/")
}

// If a fold compares the heads alone, one that began before there was a file goes on once the file
// was removed and buried: its section is published twice, or its chunks are left behind.
func TestHoleF10FoldOverABurial(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		publish func(*testing.T, *faulty)
		held    func(clientv3.Op) bool
	}{
		"published": {
			func(t *testing.T, s *faulty) { newPublisher(t, s, "l", 1).publish(appendTo("f", "once")) }, deletes("/dlm/bundles/"),
		},
		"held": {
			func(t *testing.T, s *faulty) {
				c := begin(t, s)
				h := c.Acquire("l")
				for range 3 {
					c.Append(h, "f", strings.Repeat("x", 900_000))
				}
				c.Release(h)
			}, puts("/dlm/chunks/"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			a := openFaulty(t, etcd)
			folding, fold := hold(t, a.Faults, test.held)
			answer := answered(a.Faults, test.held)
			test.publish(t, a)
			storetest.Await(t, "a fold", folding)
			b := openStore(t, etcd)
			if len(storetest.Contents(t, b, "l", "f")) == 0 {
				t.Fatal("nothing was published")
			}
			newPublisher(t, b, "l", 2).publish(remove("f"))
			storetest.WantNoFile(t, b, "l", "f")
			gone(t, etcd, "garbage/")
			if err := b.Bury(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
				t.Fatal(err)
			}
			fold()
			storetest.Await(t, "the slow fold's answer", answer)
			storetest.WantNoFile(t, b, "l", "f")
			storetest.Eventually(t, "the slow store to be done", func() bool {
				_, err := storetest.ReadAll(context.WithoutCancel(t.Context()), a, "l", "f")
				return err != nil
			})
			atRest(t, etcd, "/dlm/")
		})
	}
}

// A fold that remembers a head of before, whose last chunk was cleaned away since by another store,
// is overtaken, and finds no damage.
func TestFoldBehindACleaner(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStore(t, etcd)
	pa, pb := newPublisher(t, a, "l", 1), newPublisher(t, b, "l", 2)
	pa.publish(appendTo("f", "one;"))
	storetest.WantContents(t, a, "l", "f", "one;") // and remembers the head
	pb.publish(replace("f", "two;"))
	storetest.WantContents(t, b, "l", "f", "two;")
	gone(t, etcd, "garbage/")
	pa.publish(appendTo("f", "three;"))
	storetest.WantContents(t, a, "l", "f", "two;three;")
	if got := a.Faults().Malformed; got != 0 {
		t.Errorf("%d keys are found malformed; want none", got)
	}
	atRest(t, etcd, "/dlm/")
}
