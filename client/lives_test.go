package client_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// replacing is a writer that has something done when it is first written to.
type replacing struct {
	bytes.Buffer
	do func()
}

func (w *replacing) Write(p []byte) (int, error) {
	if w.Len() == 0 {
		w.do()
	}
	return w.Buffer.Write(p)
}

func TestLives(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	atOnce := func(ops ...*client.Operation) {
		t.Helper()
		_, err := c.Publish(t.Context(), name, ops...)
		must(t, err)
	}
	held := func(ops ...*client.Operation) {
		t.Helper()
		l := lock(t, c, name)
		for _, o := range ops {
			must(t, l.Stage(t.Context(), o))
		}
		must(t, l.Unlock(t.Context()))
	}
	for _, section := range []func(...*client.Operation){atOnce, held} {
		data := []byte("new;")
		section(client.Append("f", []byte("one;")), client.Replace("f", data), client.Append("f", []byte("more;")))
		copy(data, "XXXX") // the caller's again
		reads(t, c, name, "f", "new;more;")
		section(client.Cut("f", 4))
		reads(t, c, name, "f", "more;")
		var rest bytes.Buffer
		_, err := c.Copy(t.Context(), &rest, name, "f", 3)
		is(t, err, client.ErrOffsetGone)
		var gone *client.Error
		if !errors.As(err, &gone) || gone.Start != 4 {
			t.Errorf("%v; want that the file begins at 4", err)
		}
		n, err := c.Copy(t.Context(), &rest, name, "f", 5)
		must(t, err)
		if n != 4 || rest.String() != "ore;" {
			t.Errorf("from 5 on there is %q", rest.String())
		}
		files, err := c.ListFiles(t.Context(), name)
		must(t, err)
		if len(files) != 1 || files[0].GetStart() != 4 || files[0].GetSize() != 9 || files[0].GetLife().GetToken() == 0 {
			t.Errorf("files %v; want one from 4 to 9", files)
		}
		section(client.Remove("f"))
		_, err = c.Read(t.Context(), name, "f")
		is(t, err, client.ErrFileNotFound)
	}
	l := lock(t, c, name)
	is(t, l.Stage(t.Context(), client.Cut("f", -1)), client.ErrInvalidArgument)
	is(t, l.Stage(t.Context(), &client.Operation{File: "f"}), client.ErrInvalidArgument)
	is(t, l.Stage(t.Context(), client.Remove("..")), client.ErrInvalidName)
	must(t, l.Unlock(t.Context())) // it went on
}

// A file that is replaced while it is read in pieces is not mixed.
func TestCopyOfOneLife(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	for range 3 {
		publish(t, c, name, "f", bytes.Repeat([]byte("o"), 1<<20))
	}
	w := &replacing{do: func() {
		_, err := c.Publish(t.Context(), name, client.Replace("f", bytes.Repeat([]byte("n"), 1<<20)), client.Append("g", nil))
		must(t, err)
		reads(t, c, name, "g", "")
	}}
	n, err := c.CopyAll(t.Context(), w, name, "f")
	is(t, err, client.ErrFileChanged)
	if n != 1<<20 || bytes.ContainsRune(w.Bytes(), 'n') {
		t.Errorf("%d bytes are copied, with the new ones: %t; want the first piece of the old ones", n, bytes.ContainsRune(w.Bytes(), 'n'))
	}
	all, err := c.Read(t.Context(), name, "f")
	must(t, err)
	if !bytes.Equal(all, bytes.Repeat([]byte("n"), 1<<20)) {
		t.Errorf("%d bytes are read, not all of the new ones", len(all))
	}
}

// A tail goes on whatever becomes of the file, and tells it.
func TestTailOfLives(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pieces := make(chan *client.Piece, 16)
	go func() {
		for m, err := range c.Tail(ctx, name, "f", 0) {
			if err != nil {
				return
			}
			pieces <- m
		}
	}()
	next := func(what, want string, told func(*client.Piece) bool) {
		t.Helper()
		select {
		case m := <-pieces:
			if string(m.GetData()) != want || !told(m) {
				t.Errorf("the piece is %v; want %q, %s", m, want, what)
			}
		case <-time.After(patience):
			t.Fatalf("waited for %s", what)
		}
	}
	do := func(ops ...*client.Operation) {
		t.Helper()
		_, err := c.Publish(t.Context(), name, ops...)
		must(t, err)
	}
	do(client.Append("f", []byte("one;")))
	next("as it is", "one;", func(m *client.Piece) bool { return !m.GetReplaced() && !m.GetCut() })
	do(client.Replace("f", []byte("two;")))
	next("replaced", "two;", (*client.Piece).GetReplaced)
	do(client.Append("f", []byte("three;")), client.Cut("f", 6))
	next("cut", "ree;", (*client.Piece).GetCut)
	do(client.Remove("f"))
	next("removed", "", (*client.Piece).GetRemoved)
	do(client.Append("f", []byte("four;")))
	next("replaced", "four;", (*client.Piece).GetReplaced)
}
