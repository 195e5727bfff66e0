package storetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

func testInspect(t *testing.T, s Subject) {
	_, err := s.Inspect(Bounded(t), "inspect")
	Want(t, "Inspect of a lock that nobody used", err, etcdstore.ErrLockNotFound)
	c := Begin(t, s, "c")
	h := c.Acquire("inspect")
	info := Inspect(t, s, "inspect")
	if info.Name != "inspect" || info.Holder == nil || len(info.Waiters) != 0 || info.QueueLength != 0 || info.Staged != 0 || info.LastUndone != "" {
		t.Errorf("Inspect = %+v; want a holder and nothing else", info)
	}
	c.Append(h, "f", "x")
	c.Append(h, "g", "x")
	first, second := Begin(t, s, "first"), Begin(t, s, "second")
	a, b := first.Queue("inspect"), second.Queue("inspect")
	info = Inspect(t, s, "inspect")
	if info.Staged != 2 || info.QueueLength != 2 || len(info.Waiters) != 2 {
		t.Fatalf("Inspect = %+v; want 2 staged records, 2 waiters", info)
	}
	for i, p := range []*Pending{a, b} {
		w := info.Waiters[i]
		if w.Session != p.c.ID || w.Request != p.args.Request || w.Label != []string{"first", "second"}[i] || w.Since.IsZero() {
			t.Errorf("waiter %d = %+v; want session %s, request %s", i, w, p.c.ID, p.args.Request)
		}
	}
	c.Release(h)
	first.Release(a.Granted())
	second.Release(b.Granted())
	if info, err := s.Inspect(Bounded(t), "inspect"); err != nil || info.Holder != nil || info.QueueLength != 0 {
		t.Errorf("Inspect of a free lock with files = %+v, %v; want no holder", info, err)
	}
	h = c.Acquire("inspect/empty")
	c.Release(h)
	_, err = s.Inspect(Bounded(t), "inspect/empty")
	Want(t, "Inspect of a free lock without files", err, etcdstore.ErrLockNotFound)
}

func testList(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	names := []string{"list/a", "list/a-b", "list/a/1", "list/a/10", "list/a/2", "list/b", "listing"}
	tokens := map[string]int64{}
	for _, name := range names {
		tokens[name] = c.Acquire(name).Token
	}
	c.Release(c.Acquire("list/free"))
	var waiting []*Pending
	for range 12 {
		waiting = append(waiting, c.Queue("list/b"))
	}
	list := func(prefix string, limit int) (got []string) {
		t.Helper()
		for after := ""; ; {
			page, next, err := s.List(Bounded(t), prefix, limit, after)
			if err != nil || limit > 0 && len(page) > limit {
				t.Fatalf("List(%q, %d, %q) = %d locks, %v", prefix, limit, after, len(page), err)
			}
			for _, l := range page {
				token, mine := tokens[l.Name] // others' may be between two holders
				if l.Holder == nil && (mine || l.QueueLength == 0) || !strings.HasPrefix(l.Name, prefix) {
					t.Errorf("List(%q) shows %+v; want held locks that begin so", prefix, l)
				} else if mine && l.Holder.Token != token {
					t.Errorf("List shows %s under %d; want %d", l.Name, l.Holder.Token, token)
				} else if mine {
					got = append(got, l.Name)
				}
				if l.Name != "list/b" {
					continue
				}
				if l.QueueLength != len(waiting) || len(l.Waiters) != 10 || l.Waiters[0].Request != waiting[0].args.Request ||
					l.Waiters[9].Request != waiting[9].args.Request {
					t.Errorf("List shows %d of %d waiters: %+v; want the first 10 of %d", len(l.Waiters), l.QueueLength, l.Waiters, len(waiting))
				}
			}
			if next == "" {
				return got
			}
			after = next
		}
	}
	for _, limit := range []int{0, 1, 2, 1000} {
		for _, l := range []struct {
			prefix string
			want   []string
		}{
			{"list", names},
			{"list/", names[:6]},
			{"list/a", names[:5]},
			{"list/a/", names[2:5]},
			{"list/a/1", names[2:4]},
			{"list/b", names[5:6]},
			{"list/none", nil},
			{"", names},
		} {
			if got := list(l.prefix, limit); !slices.Equal(got, l.want) {
				t.Errorf("List(%q) in pages of %d = %q; want %q", l.prefix, limit, got, l.want)
			}
		}
	}
}

// testNamesApart uses locks whose names look like parts of each other's keys.
func testNamesApart(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	outer := c.Acquire("apart")
	c.Append(outer, "f", "outer")
	p := Begin(t, s, "waiter").Queue("apart")
	inner := c.Acquire("apart/" + hexToken(outer.Token)) // free: the waiter is the outer lock's
	c.Append(inner, "f", "inner")
	file := c.Acquire("apart/f")
	c.Append(file, "f", "file")
	if got := Inspect(t, s, "apart").Staged; got != 1 {
		t.Errorf("the outer lock has %d records staged; want 1", got)
	}
	if _, err := s.Discard(Bounded(t), outer.Section); err != nil {
		t.Fatalf("Discard: %v", err)
	}
	next := p.Granted()
	p.c.Append(next, "f", "next")
	p.c.Release(next)
	c.Release(inner)
	c.Release(file)
	WantContents(t, s, "apart", "f", "next")
	WantContents(t, s, inner.Lock, "f", "inner")
	WantContents(t, s, "apart/f", "f", "file")
	for _, lock := range []string{"apart", inner.Lock, "apart/f"} {
		if files, _, err := s.ListFiles(Bounded(t), lock, 0, ""); err != nil || len(files) != 1 || files[0].Lock != lock {
			t.Errorf("ListFiles(%s) = %+v, %v; want its own file", lock, files, err)
		}
	}
}

// hexToken writes a token as keys do.
func hexToken(token int64) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[i] = digits[token>>(60-4*i)&15]
	}
	return string(b[:])
}
