package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

func testRead(t *testing.T, s Subject) {
	WantNoFile(t, s, "read", "f")
	c := Begin(t, s, "c")
	part := strings.Repeat("0123456789abcdef", 20_000) // 320,000 bytes, of several chunks
	text := ""
	for range 4 {
		c.Publish("read", "f", part)
		text += part
	}
	size := int64(len(text))
	for _, r := range []struct {
		offset int64
		limit  int
		want   string
	}{
		{0, 1, "0"},
		{0, 10, "0123456789"},
		{15, 3, "f01"},
		{319_999, 2, "f0"},
		{65_535, 3, text[65_535:65_538]},
		{1, 200_000, text[1:200_001]},
		{0, 0, text[:etcdstore.MaxRead]},
		{7, etcdstore.MaxRead + 1, text[7 : 7+etcdstore.MaxRead]},
		{size - 4, 100, "cdef"},
		{size, 10, ""},
		{size + 1000, 10, ""},
	} {
		p, err := s.Read(Bounded(t), etcdstore.ReadArgs{Lock: "read", File: "f", Offset: r.offset, Limit: r.limit})
		if err != nil || string(p.Data) != r.want || p.Offset != r.offset || p.Size != size {
			t.Errorf("Read(%d, %d) = %d bytes %s at %d of %d, %v; want %d bytes %s at %d of %d", r.offset, r.limit,
				len(p.Data), brief(string(p.Data)), p.Offset, p.Size, err, len(r.want), brief(r.want), r.offset, size)
		}
	}
	WantContents(t, s, "read", "f", text)
	WantNoFile(t, s, "read", "g")
	WantNoFile(t, s, "read/f", "f")
}

// follower collects what a Tail sends.
type follower struct {
	t    *testing.T
	mu   sync.Mutex
	at   int64
	got  strings.Builder
	done chan struct{}
	err  error
	cut  context.CancelFunc
}

func tail(t *testing.T, s Subject, lock, file string, offset int64) *follower {
	ctx, cut := context.WithCancel(t.Context())
	f := &follower{t: t, at: offset, done: make(chan struct{}), cut: cut}
	go func() {
		defer close(f.done)
		f.err = s.Tail(ctx, etcdstore.TailArgs{Lock: lock, File: file, Offset: offset}, f.take)
	}()
	t.Cleanup(func() {
		cut()
		<-f.done
	})
	return f
}

func (f *follower) take(p etcdstore.Piece) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.Offset != f.at || len(p.Data) == 0 || len(p.Data) > etcdstore.MaxRead {
		f.t.Errorf("a piece of %d bytes at %d; want 1 to %d at %d", len(p.Data), p.Offset, etcdstore.MaxRead, f.at)
	}
	f.at += int64(len(p.Data))
	f.got.Write(p.Data)
	return nil
}

func (f *follower) wants(text string) {
	f.t.Helper()
	got := func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.got.String()
	}
	Eventually(f.t, "a tail to send "+brief(text), func() bool {
		select {
		case <-f.done:
			f.t.Fatalf("Tail ended: %v", f.err)
		default:
		}
		return len(got()) >= len(text)
	})
	if g := got(); g != text {
		f.t.Errorf("tail = %s; want %s", brief(g), brief(text))
	}
}

func testTail(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	early := tail(t, s, "tail", "f", 0) // there is no file yet
	past := tail(t, s, "tail", "f", 8)
	c.Publish("tail", "other", "other")
	c.Publish("tail", "f", "0123")
	early.wants("0123")
	middle := tail(t, s, "tail", "f", 2)
	middle.wants("23")
	h := c.Acquire("tail")
	c.Append(h, "f", "45")
	c.Append(h, "f", "67")
	h = c.Commit(h)
	early.wants("01234567")
	c.Append(h, "f", "dropped")
	if _, err := s.Discard(Bounded(t), h.Section); err != nil {
		t.Fatalf("Discard: %v", err)
	}
	c.Publish("tail", "f", "89")
	early.wants("0123456789")
	middle.wants("23456789")
	past.wants("89")

	early.cut()
	Await(t, "a tail to end with its context", early.done)
	if early.err == nil {
		t.Error("Tail ended by its context answers nil; want an error")
	}
	enough := errors.New("enough")
	var got string
	err := s.Tail(Bounded(t), etcdstore.TailArgs{Lock: "tail", File: "f"}, func(p etcdstore.Piece) error {
		got += string(p.Data)
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("Tail whose send fails: %v; want send's error", err)
	}
	tail(t, s, "tail", "f", int64(len(got))).wants("0123456789"[len(got):])

	large := strings.Repeat("x", etcdstore.MaxRead)
	for range 2 {
		c.Publish("tail", "f", large)
	}
	middle.wants("23456789" + large + large)
}

// testLives: a section replaces, removes and cuts files, and readers are told.
func testLives(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	section := func(records ...etcdstore.Record) etcdstore.Version {
		t.Helper()
		h := c.Acquire("lives")
		for _, r := range records {
			of := c.Record(h, "f", string(r.Data))
			of.Kind, of.Offset = r.Kind, r.Offset
			c.AppendRecord(h, of)
		}
		c.Release(h)
		return etcdstore.Version{Token: h.Token}
	}
	read := func(offset int64, life etcdstore.Version) (etcdstore.Piece, error) {
		return s.Read(Bounded(t), etcdstore.ReadArgs{Lock: "lives", File: "f", Offset: offset, Life: life})
	}
	first := section(etcdstore.Record{Data: []byte("one;")}, etcdstore.Record{Data: []byte("two;")})
	section(etcdstore.Record{Kind: etcdstore.Cut, Offset: 4})
	p, err := read(4, first)
	if err != nil || string(p.Data) != "two;" || p.Start != 4 || p.Size != 8 || p.Life != first {
		t.Errorf("Read of what is cut = %+v, %v; want two; from 4 to 8, of %v", p, err, first)
	}
	_, err = read(0, etcdstore.Version{})
	Want(t, "Read of what is cut off", err, etcdstore.ErrOffsetGone)
	if gone, ok := errors.AsType[*etcdstore.OffsetGoneError](err); !ok || gone.Start != 4 {
		t.Errorf("Read of what is cut off: %v; want that the file begins at 4", err)
	}
	var told []etcdstore.Piece
	enough := errors.New("enough")
	second := section(etcdstore.Record{Kind: etcdstore.Replace, Data: []byte("new;")})
	_, err = read(4, first)
	Want(t, "Read of the life before", err, etcdstore.ErrFileChanged)
	err = s.Tail(Bounded(t), etcdstore.TailArgs{Lock: "lives", File: "f", Offset: 6, Life: first}, func(p etcdstore.Piece) error {
		switch told = append(told, p); len(told) {
		case 1:
			section(etcdstore.Record{Kind: etcdstore.Remove})
			return nil
		case 2:
			section(etcdstore.Record{Data: []byte("back;")}, etcdstore.Record{Kind: etcdstore.Cut, Offset: 1})
			return nil
		}
		return enough
	})
	Want(t, "Tail", err, enough)
	for i, want := range []etcdstore.Piece{
		{Data: []byte("new;"), Life: second, Replaced: true}, {Offset: 4, Life: second, Removed: true}, {Data: []byte("ack;"), Offset: 1, Cut: true, Replaced: true},
	} {
		got := told[i]
		if string(got.Data) != string(want.Data) || got.Offset != want.Offset || got.Replaced != want.Replaced || got.Removed != want.Removed ||
			got.Cut != want.Cut || want.Life != (etcdstore.Version{}) && got.Life != want.Life {
			t.Errorf("piece %d of a tail is %+v; want %+v", i, got, want)
		}
	}
}

func testListFiles(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	var all []etcdstore.File
	for _, lock := range []string{"list-files", "list-files/b", "list-files/b/c"} {
		h := c.Acquire(lock)
		for _, file := range []string{"z", "a", "m", "m.1"} {
			c.Append(h, file, file+lock)
		}
		c.Release(h)
		for _, file := range []string{"a", "m", "m.1", "z"} {
			all = append(all, etcdstore.File{Lock: lock, Name: file, Size: int64(len(file + lock)), Token: h.Token, Life: etcdstore.Version{Token: h.Token}})
		}
	}
	h := c.Acquire("list-files") // staged is not listed
	c.Append(h, "staged", "x")

	list := func(lock string, limit int) (files []etcdstore.File) {
		t.Helper()
		for after := ""; ; {
			page, next, err := s.ListFiles(Bounded(t), lock, limit, after)
			if err != nil || limit > 0 && len(page) > limit {
				t.Fatalf("ListFiles(%q, %d, %q) = %d files, %v", lock, limit, after, len(page), err)
			}
			for _, f := range page {
				if strings.HasPrefix(f.Lock, "list-files") {
					files = append(files, f)
				}
			}
			if next == "" {
				return files
			}
			after = next
		}
	}
	for _, limit := range []int{0, 1, 3, 4, 1000, 100_000} {
		for i, lock := range []string{"list-files", "list-files/b", "list-files/b/c"} {
			if got, want := list(lock, limit), all[4*i:4*i+4]; !slices.Equal(got, want) {
				t.Errorf("ListFiles(%s) in pages of %d = %+v; want %+v", lock, limit, got, want)
			}
		}
		got := list("", limit)
		if !slices.Equal(got, all) {
			t.Errorf("ListFiles of all in pages of %d = %+v; want %+v", limit, got, all)
		}
	}
	if got := list("list-files/none", 0); len(got) != 0 {
		t.Errorf("ListFiles of a lock without files = %+v; want none", got)
	}
}
