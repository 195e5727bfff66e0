package client_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func publish(t testing.TB, c *client.Client, name, file string, data []byte) {
	t.Helper()
	must(t, c.Do(t.Context(), name, func(ctx context.Context, l *client.Lock) error {
		return l.Append(ctx, file, data)
	}))
}

func TestCopyInPieces(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	for range 3 {
		publish(t, c, name, "f", piece)
	}
	publish(t, c, name, "f", []byte("end"))
	var b bytes.Buffer
	n, err := c.Copy(t.Context(), &b, name, "f", 16)
	must(t, err)
	want := append(bytes.Repeat(piece, 3), "end"...)[16:]
	if n != int64(len(want)) || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got %d bytes (told %d), want %d", b.Len(), n, len(want))
	}
	n, err = c.Copy(t.Context(), &b, name, "f", 1<<40)
	must(t, err)
	if n != 0 {
		t.Errorf("%d bytes past the end", n)
	}
	_, err = c.Read(t.Context(), name, "g")
	is(t, err, client.ErrFileNotFound)
	_, err = c.Read(t.Context(), "..", "g")
	is(t, err, client.ErrInvalidName)
}

func TestListFiles(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	publish(t, c, name, "b", []byte("bb"))
	publish(t, c, name, "a", []byte("a"))
	files, err := c.ListFiles(t.Context(), name)
	must(t, err)
	if len(files) != 2 || files[0].GetName() != "a" || files[1].GetName() != "b" || files[1].GetSize() != 2 {
		t.Errorf("got %v", files)
	}
	all, err := c.ListFiles(t.Context(), "")
	must(t, err)
	if len(all) < 2 {
		t.Errorf("got %v", all)
	}
}

func TestTailFollows(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	pieces := make(chan string)
	go func() {
		defer close(pieces)
		for m, err := range c.Tail(t.Context(), name, "f", 1) {
			if err != nil {
				return
			}
			pieces <- string(m.GetData())
		}
	}()
	next := func(want string) {
		t.Helper()
		for got := ""; got != want; {
			select {
			case p, ok := <-pieces:
				if got += p; !ok || len(got) > len(want) {
					t.Fatalf("got %q, want %q", got, want)
				}
			case <-time.After(patience):
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	publish(t, c, name, "f", []byte("abc"))
	next("bc") // from offset 1
	publish(t, c, name, "f", []byte("def"))
	next("def")
	publish(t, c, name, "f", []byte("g"))
	next("g")
}

func TestTailEnds(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	publish(t, c, name, "f", []byte("a"))
	for m, err := range c.Tail(t.Context(), name, "f", 0) {
		must(t, err)
		if string(m.GetData()) != "a" {
			t.Errorf("got %q", m.GetData())
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.Tail(ctx, name, "f", 0) {
		cancel()
		last = err
	}
	is(t, last, context.Canceled)
	for _, err := range c.Tail(t.Context(), "..", "f", 0) {
		last = err
	}
	is(t, last, client.ErrInvalidName)
}

func TestWatch(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	types := make(chan *dlmv1.Event)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(types)
		for e, err := range c.Watch(ctx, name) {
			if err != nil {
				return
			}
			types <- e
		}
	}()
	next := func(want dlmv1.Event_Type, initial bool) {
		t.Helper()
		e, ok := <-types
		if !ok || e.GetType() != want || e.GetInitial() != initial || e.GetLock() != name {
			t.Fatalf("got %v, want %v (initial: %v)", e, want, initial)
		}
	}
	next(dlmv1.Event_TYPE_GRANTED, true)
	must(t, l.Unlock(t.Context()))
	next(dlmv1.Event_TYPE_RELEASED, false)
	cancel()
	for range types {
	}
	locks, err := c.List(t.Context(), name)
	must(t, err)
	if len(locks) != 0 {
		t.Errorf("listed: %v", locks)
	}
	l = lock(t, c, name)
	locks, err = c.List(t.Context(), name)
	must(t, err)
	if len(locks) != 1 || locks[0].GetHolder().GetToken() != l.Token() {
		t.Errorf("listed: %v", locks)
	}
	must(t, l.Unlock(t.Context()))
}
