package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func replace(file, data string) etcdstore.Operation {
	return etcdstore.Operation{File: file, Kind: etcdstore.Replace, Data: []byte(data)}
}

func remove(file string) etcdstore.Operation {
	return etcdstore.Operation{File: file, Kind: etcdstore.Remove}
}

func cutBefore(file string, before int64) etcdstore.Operation {
	return etcdstore.Operation{File: file, Kind: etcdstore.Cut, Offset: before}
}

// stageTo stages an operation in a section.
func stageTo(c *storetest.Client, h *storetest.Held, o etcdstore.Operation) {
	r := c.Record(h, o.File, string(o.Data))
	r.Kind, r.Offset = o.Kind, o.Offset
	c.AppendRecord(h, r)
}

// wantRead checks what a whole file is, from where it begins.
func wantRead(t *testing.T, s storetest.Subject, file, want string, start int64) etcdstore.Piece {
	t.Helper()
	p, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: file, Offset: start})
	if err != nil || string(p.Data) != want || p.Start != start || p.Size != start+int64(len(want)) {
		t.Errorf("Read(%s) from %d = %q, from %d to %d, %v; want %q", file, start, p.Data, p.Start, p.Size, err, want)
	}
	return p
}

// TestLives: what sections do to files, in one call or while they hold the lock, in order.
func TestLives(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p, c := newPublisher(t, s, "l", 1), begin(t, other)
	do := map[string]func(ops ...etcdstore.Operation) etcdstore.Version{
		"published": func(ops ...etcdstore.Operation) etcdstore.Version {
			v, _ := p.publish(ops...)
			return v
		},
		"held": func(ops ...etcdstore.Operation) etcdstore.Version {
			h := c.Acquire("l")
			for _, o := range ops {
				stageTo(c, h, o)
			}
			c.Release(h)
			return etcdstore.Version{Token: h.Token}
		},
	}
	for file, section := range do {
		made := section(appendTo(file, "one;"), appendTo(file, "two;"))
		wantRead(t, s, file, "one;two;", 0)
		section(cutBefore(file, 4))
		if got := wantRead(t, other, file, "two;", 4); got.Life != made {
			t.Errorf("the file that %v made has life %v", made, got.Life)
		}
		_, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: file})
		var begins *etcdstore.OffsetGoneError
		if !errors.Is(err, etcdstore.ErrOffsetGone) || !errors.As(err, &begins) || begins.Start != 4 || begins.Life != made {
			t.Errorf("Read from what was cut off: %v; want that it begins at 4", err)
		}
		section(cutBefore(file, 2), appendTo(file, "three;")) // a cut never goes back
		wantRead(t, s, file, "two;three;", 4)

		replaced := section(appendTo(file, "never;"), replace(file, "new;"), appendTo(file, "more;"))
		if got := wantRead(t, other, file, "new;more;", 0); got.Life != replaced {
			t.Errorf("the file that %v replaced has life %v", replaced, got.Life)
		}
		_, err = other.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: file, Offset: 1, Life: made})
		storetest.Want(t, "Read of the life before", err, etcdstore.ErrFileChanged)
		section(cutBefore(file, 1000))
		wantRead(t, s, file, "", 9)
		section(appendTo(file, "again;"))
		wantRead(t, s, file, "again;", 9)

		section(remove(file), cutBefore(file, 3), remove(file))
		storetest.WantNoFile(t, s, "l", file)
		if files, _, err := s.ListFiles(storetest.Bounded(t), "l", 1, ""); err != nil || slices.ContainsFunc(files, func(f etcdstore.File) bool { return f.Name == file }) {
			t.Errorf("ListFiles = %+v, %v; want it without %s", files, err, file)
		}
		section(appendTo(file, "anew;"))
		wantRead(t, s, file, "anew;", 0)
		section(remove(file), replace(file, ""))
		got := wantRead(t, s, file, "", 0)
		files, _, err := s.ListFiles(storetest.Bounded(t), "l", 0, "")
		if want := (etcdstore.File{Lock: "l", Name: file, Token: got.Token, N: got.N, Life: got.Life}); err != nil || !slices.Contains(files, want) {
			t.Errorf("ListFiles = %+v, %v; want %+v", files, err, want)
		}
		section(remove("never"), cutBefore("never", 5))
		storetest.WantNoFile(t, s, "l", "never")
	}
	gone(t, etcd, "garbage/")
	gone(t, etcd, "bundles/")
	gone(t, etcd, "commits/")
	for _, key := range keys(t, etcd, "chunks/") {
		t.Errorf("there is a chunk of what has no bytes: %s", key)
	}
}

// TestOperationRefusals: what is no operation is refused before etcd is asked.
func TestOperationRefusals(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	p, c := newPublisher(t, s, "l", 1), begin(t, s)
	for name, o := range map[string]etcdstore.Operation{
		"unknown":             {File: "f", Kind: 4},
		"removal with data":   {File: "f", Kind: etcdstore.Remove, Data: []byte("x")},
		"cut with data":       {File: "f", Kind: etcdstore.Cut, Data: []byte("x")},
		"cut before -1":       {File: "f", Kind: etcdstore.Cut, Offset: -1},
		"cut far away":        {File: "f", Kind: etcdstore.Cut, Offset: 1<<50 + 1},
		"append at an offset": {File: "f", Offset: 1},
	} {
		_, err := s.Publish(storetest.Bounded(t), p.next(o))
		storetest.Want(t, "Publish of "+name, err, etcdstore.ErrInvalidArgument)
		h := c.Acquire("l")
		r := c.Record(h, o.File, string(o.Data))
		r.Kind, r.Offset = o.Kind, o.Offset
		storetest.Want(t, "Append of "+name, storetest.AppendTo(storetest.Bounded(t), s, r), etcdstore.ErrInvalidArgument)
		c.Release(h)
	}
	for _, life := range []etcdstore.Version{{Token: -1}, {N: 1}} {
		_, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "f", Life: life})
		storetest.Want(t, "Read", err, etcdstore.ErrInvalidArgument)
	}
}

// TestLifeFeature: before the feature is switched on files only grow. What was made before that
// goes on afterwards, whatever is done to it.
func TestLifeFeature(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	founder := openStore(t, etcd)
	if _, err := etcd.Put(storetest.Bounded(t), "/dlm/cluster/features", `{"on":["publish"]}`); err != nil {
		t.Fatal(err)
	}
	closeStore(t, founder)
	s := openStore(t, etcd)
	p, c := newPublisher(t, s, "l", 1), begin(t, s)
	for _, o := range []etcdstore.Operation{replace("f", "x"), remove("f"), cutBefore("f", 1)} {
		_, err := s.Publish(storetest.Bounded(t), p.next(o))
		storetest.Want(t, "Publish", err, etcdstore.ErrFeatureOff)
		h := c.Acquire("l")
		r := c.Record(h, o.File, string(o.Data))
		r.Kind, r.Offset = o.Kind, o.Offset
		storetest.Want(t, "Append", storetest.AppendTo(storetest.Bounded(t), s, r), etcdstore.ErrFeatureOff)
		c.Release(h)
	}
	for _, file := range []string{"grown", "replaced", "removed", "cut"} {
		p.publish(appendTo(file, "old;"))
		wantRead(t, s, file, "old;", 0)
	}
	resp, err := etcd.Get(storetest.Bounded(t), "/dlm/files/l//grown")
	if err != nil || strings.Contains(string(resp.Kvs[0].Value), "base") || strings.Contains(string(resp.Kvs[0].Value), "life") {
		t.Fatalf("a head is %s, %v; want one that an older server has as well", resp.Kvs[0].Value, err)
	}
	if err := etcdstore.EnableFeature(storetest.Bounded(t), etcd, "", "life"); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the feature to be heard of", func() bool { return s.Feature("life") })
	old := map[string]etcdstore.Version{}
	for _, file := range []string{"grown", "replaced", "removed", "cut"} {
		old[file] = wantRead(t, openStore(t, etcd), file, "old;", 0).Life
	}
	p.publish(appendTo("grown", "new;"), replace("replaced", "new;"), remove("removed"), cutBefore("cut", 2), appendTo("cut", "new;"))
	if got := wantRead(t, s, "grown", "old;new;", 0); got.Life != old["grown"] || got.Life.Token == 0 {
		t.Errorf("a file that grew has life %v, after %v", got.Life, old["grown"])
	}
	if got := wantRead(t, s, "cut", "d;new;", 2); got.Life != old["cut"] {
		t.Errorf("a file that was cut has life %v, after %v", got.Life, old["cut"])
	}
	wantRead(t, s, "replaced", "new;", 0)
	_, err = s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "l", File: "replaced", Life: old["replaced"]})
	storetest.Want(t, "Read of the life before", err, etcdstore.ErrFileChanged)
	storetest.WantNoFile(t, s, "l", "removed")
}

// TestCutSpaceComesBack: the chunks of what was cut off are deleted, and no others: F7. One that
// reaches beyond the cut stays.
func TestCutSpaceComesBack(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	whole := ""
	for i := range 40 {
		part := strings.Repeat(string(rune('a'+i%26)), 1_000_000)
		p.publish(appendTo("f", part))
		whole += part
	}
	storetest.WantContents(t, s, "l", "f", whole)
	before := len(keys(t, etcd, "chunks/"))
	if before < 600 { // more than two transactions delete
		t.Fatalf("there are %d chunks", before)
	}
	at := int64(39_000_000 + 70_000)
	p.publish(cutBefore("f", at))
	storetest.WantContents(t, s, "l", "f", whole[at:])
	gone(t, etcd, "garbage/")
	if left := keys(t, etcd, "chunks/"); len(left) > 17 || left[0] != "chunks/l//f//"+hex16(39_000_000+65_536) {
		t.Errorf("there are %d chunks, the first %s; want those from the one at %s on", len(left), left[0], hex16(39_000_000+65_536))
	}
	storetest.WantContents(t, s, "l", "f", whole[at:])
	p.publish(cutBefore("f", int64(len(whole))), appendTo("f", "rest"))
	storetest.WantContents(t, s, "l", "f", "rest")
	gone(t, etcd, "garbage/")
	if left := keys(t, etcd, "chunks/"); len(left) > 2 {
		t.Errorf("there are %d chunks of 4 bytes", len(left))
	}
}

// TestBury: what was removed is remembered for a day, and its positions until then.
func TestBury(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	p.publish(appendTo("f", "old;"), appendTo("g", "stays;"))
	p.publish(remove("f"))
	storetest.WantNoFile(t, s, "l", "f")
	gone(t, etcd, "garbage/")
	for _, step := range []struct {
		after time.Duration
		heads int
	}{{23 * time.Hour, 2}, {25 * time.Hour, 1}} {
		if err := s.Bury(storetest.Bounded(t), time.Now().Add(step.after)); err != nil {
			t.Fatal(err)
		}
		if heads := keys(t, etcd, "files/"); len(heads) != step.heads {
			t.Errorf("after %v there are the heads %q; want %d", step.after, heads, step.heads)
		}
	}
	p.publish(appendTo("f", "new;"))
	wantRead(t, s, "f", "new;", 0)
	wantRead(t, s, "g", "stays;", 0)
	if chunks := keys(t, etcd, "chunks/l//f"); !slices.Equal(chunks, []string{"chunks/l//f//" + hex16(0)}) {
		t.Errorf("the chunks are %q; want one at 0", chunks)
	}
}

// tailed is what a tail sends, in words.
func tailed(ctx context.Context, s *etcdstore.Store, args etcdstore.TailArgs) <-chan string {
	pieces := make(chan string, 64)
	go func() {
		_ = s.Tail(ctx, args, func(p etcdstore.Piece) error {
			text := string(p.Data)
			if p.Removed {
				text = "removed " + text
			}
			if p.Replaced {
				text = "replaced " + text
			}
			if p.Cut {
				text = fmt.Sprintf("cut to %d %s", p.Offset, text)
			}
			pieces <- text
			return nil
		})
	}()
	return pieces
}

// TestTailOfLives: a tail goes on whatever becomes of the file, and says what; it may go on from a
// life that is over.
func TestTailOfLives(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	args := etcdstore.TailArgs{Lock: "l", File: "f"}
	pieces := tailed(ctx, other, args)
	wants := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := await.Receive(t, time.Minute, "a piece", pieces); got != w {
				t.Fatalf("a tail was sent %q; want %q", got, w)
			}
		}
	}
	p.publish(appendTo("f", "one;"))
	wants("one;")
	first := wantRead(t, s, "f", "one;", 0).Life
	p.publish(cutBefore("f", 2), appendTo("f", "two;")) // nothing is missing
	wants("two;")
	p.publish(appendTo("f", "lost;"), cutBefore("f", 13), appendTo("f", "three;"))
	wants("cut to 13 three;")
	p.publish(replace("f", "new;"))
	wants("replaced new;")
	p.publish(replace("f", "gone;"), cutBefore("f", 5))
	wants("cut to 5 replaced ")
	p.publish(appendTo("f", "on;"))
	wants("on;")
	p.publish(remove("f"))
	wants("removed ")
	p.publish(appendTo("g", "another"))
	p.publish(appendTo("f", "back;"))
	wants("replaced back;")
	p.publish(replace("f", ""))
	wants("replaced ")
	p.publish(replace("f", "again;"))
	wants("replaced again;")

	now := wantRead(t, s, "f", "again;", 0).Life
	args.Offset = 2
	args.Life = now
	pieces = tailed(ctx, other, args)
	wants("ain;")
	args.Life = first
	pieces = tailed(ctx, other, args)
	wants("replaced again;")
	p.publish(remove("f"))
	wants("removed ")
	pieces = tailed(ctx, other, args)
	wants("removed ")
	p.publish(appendTo("f", "once more;"))
	wants("replaced once more;")
	args.Life = etcdstore.Version{}
	p.publish(cutBefore("f", 5))
	pieces = tailed(ctx, other, args)
	wants("cut to 5 more;")
}

// TestLivesWithoutRoomToFold: what is published while there is no room to fold it reads as it will
// when it is folded.
func TestLivesWithoutRoomToFold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	c, w := begin(t, s), begin(t, s)
	for _, file := range []string{"cut", "removed", "replaced", "grown"} {
		c.Publish("l", file, "folded;")
		storetest.WantContents(t, s, "l", file, "folded;")
	}
	h := c.Acquire("l")
	for _, o := range []etcdstore.Operation{
		cutBefore("cut", 4), appendTo("cut", "more;"), cutBefore("cut", 8), remove("removed"), replace("replaced", "new;"), appendTo("grown", "more;"),
		appendTo("made", "made;"), appendTo("never", "x"), remove("never"),
	} {
		stageTo(c, h, o)
	}
	q := w.Queue("l")
	s.Status(func(st *clientv3.StatusResponse) { st.DbSize, st.DbSizeInUse = st.DbSizeQuota, st.DbSizeQuota })
	storetest.Eventually(t, "new data to be refused", func() bool {
		_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
		return errors.Is(err, etcdstore.ErrNoSpace)
	})
	c.Release(h)
	q.Granted()
	lives := map[string]etcdstore.Version{}
	check := func() {
		t.Helper()
		for file, want := range map[string]struct {
			text  string
			start int64
		}{"cut": {"ore;", 8}, "replaced": {"new;", 0}, "grown": {"folded;more;", 0}, "made": {"made;", 0}} {
			got := wantRead(t, s, file, want.text, want.start)
			if life := lives[file]; life != (etcdstore.Version{}) && life != got.Life {
				t.Errorf("%s has life %v, and had %v before it was folded", file, got.Life, life)
			}
			lives[file] = got.Life
		}
		storetest.WantNoFile(t, s, "l", "removed")
		storetest.WantNoFile(t, s, "l", "never")
		var names []string
		for after := ""; ; {
			files, next, err := s.ListFiles(storetest.Bounded(t), "l", 1, after)
			if err != nil {
				t.Fatalf("ListFiles: %v", err)
			}
			for _, f := range files {
				names = append(names, f.Name)
			}
			if after = next; next == "" {
				break
			}
		}
		if want := []string{"cut", "grown", "made", "replaced"}; !slices.Equal(names, want) {
			t.Errorf("the files are %q; want %q", names, want)
		}
	}
	check()
	if len(keys(t, etcd, "commits/")) == 0 {
		t.Error("it was folded without room")
	}
	s.Status(func(*clientv3.StatusResponse) {})
	storetest.Eventually(t, "room again", s.HasRoom)
	storetest.Eventually(t, "the fold", func() bool {
		storetest.Contents(t, s, "l", "grown")
		return len(keys(t, etcd, "commits/")) == 0
	})
	check()
}
