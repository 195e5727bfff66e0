package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// watcher collects what a Watch sends.
type watcher struct {
	t    *testing.T
	mu   sync.Mutex
	got  []etcdstore.Event
	done chan struct{}
	err  error
	cut  context.CancelFunc
}

func watch(t *testing.T, s Subject, prefix string) *watcher {
	ctx, cut := context.WithCancel(t.Context())
	w := &watcher{t: t, done: make(chan struct{}), cut: cut}
	go func() {
		defer close(w.done)
		w.err = s.Watch(ctx, prefix, func(n *etcdstore.News) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.got = append(w.got, n.Events...)
			return nil
		})
	}()
	t.Cleanup(func() {
		cut()
		<-w.done
	})
	return w
}

func (w *watcher) events() []etcdstore.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got[:len(w.got):len(w.got)]
}

// wants waits for as many events and compares them; what is empty in want is not compared.
func (w *watcher) wants(want []etcdstore.Event) {
	w.t.Helper()
	Eventually(w.t, "events", func() bool {
		select {
		case <-w.done:
			w.t.Fatalf("Watch ended: %v", w.err)
		default:
		}
		return len(w.events()) >= len(want)
	})
	got := w.events()
	var last int64
	for i, e := range got {
		if i >= len(want) {
			w.t.Errorf("event %d = %+v; want none", i, e)
			continue
		}
		x := want[i]
		if e.Type != x.Type || e.Lock != x.Lock || e.Session != x.Session || e.Request != x.Request || e.Token != x.Token ||
			e.Label != x.Label || e.Initial != x.Initial || !strings.Contains(e.Reason, x.Reason) || x.Reason == "" && e.Reason != "" {
			w.t.Errorf("event %d = %+v; want %+v", i, e, x)
		}
		if !e.Initial && e.Revision < last {
			w.t.Errorf("event %d is of revision %d after %d; want them in order", i, e.Revision, last)
		}
		last = max(last, e.Revision)
	}
}

func testWatch(t *testing.T, s Subject) {
	a, b := Begin(t, s, "a"), Begin(t, s, "b")
	standing := a.Acquire("watch/0")
	waiting := b.Queue("watch/0")
	event := func(typ etcdstore.EventType, h *Held, c *Client, reason string) etcdstore.Event {
		return etcdstore.Event{Type: typ, Lock: h.Lock, Session: c.ID, Request: h.request, Token: h.Token, Label: c.label, Reason: reason}
	}
	joined := func(typ etcdstore.EventType, p *Pending, reason string) etcdstore.Event {
		return etcdstore.Event{Type: typ, Lock: p.args.Lock, Session: p.c.ID, Request: p.args.Request, Label: p.c.label, Reason: reason}
	}
	initial := func(e etcdstore.Event) etcdstore.Event {
		e.Initial = true
		return e
	}
	var script []etcdstore.Event
	expect := func(es ...etcdstore.Event) { script = append(script, es...) }

	w := watch(t, s, "watch/")
	expect(initial(event(etcdstore.EventGranted, standing, a, "")), initial(joined(etcdstore.EventWaiting, waiting, "")))
	w.wants(script)

	h := a.Take("watch/1")
	expect(event(etcdstore.EventGranted, h, a, ""))
	p := b.Queue("watch/1")
	expect(joined(etcdstore.EventWaiting, p, ""))
	a.Append(h, "f", "x")
	next := a.Commit(h)
	expect(event(etcdstore.EventCommitted, h, a, ""), event(etcdstore.EventGranted, next, a, ""))
	a.Release(next)
	expect(event(etcdstore.EventReleased, next, a, ""))
	h = p.Granted()
	expect(event(etcdstore.EventGranted, h, b, ""))
	b.Append(h, "f", "dropped")
	if _, err := s.Discard(Bounded(t), h.Section); err != nil {
		t.Fatalf("Discard: %v", err)
	}
	expect(event(etcdstore.EventReleased, h, b, "discarded"))
	w.wants(script)

	Begin(t, s, "elsewhere").Acquire("watched") // begins otherwise
	h = a.Take("watch/2")
	expect(event(etcdstore.EventGranted, h, a, ""))
	if _, err := s.Evict(Bounded(t), "watch/2", 0, "out of order"); err != nil {
		t.Fatalf("Evict: %v", err)
	}
	expect(event(etcdstore.EventLost, h, a, "out of order"))
	c := Begin(t, s, "c")
	h = c.Take("watch/2")
	expect(event(etcdstore.EventGranted, h, c, ""))
	p = a.Queue("watch/2")
	expect(joined(etcdstore.EventWaiting, p, ""))
	q := b.Queue("watch/2")
	expect(joined(etcdstore.EventWaiting, q, ""))
	if _, err := s.Cancel(Bounded(t), a.Credential, p.Acquisition()); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	expect(joined(etcdstore.EventLeft, p, ""))
	if err := s.CloseSession(Bounded(t), c.Credential); err != nil {
		t.Fatalf("CloseSession: %v", err)
	}
	expect(event(etcdstore.EventLost, h, c, "session ended"))
	h = q.Granted()
	expect(event(etcdstore.EventGranted, h, b, ""))
	d := Begin(t, s, "d")
	p = d.Queue("watch/2")
	expect(joined(etcdstore.EventWaiting, p, ""))
	if err := s.CloseSession(Bounded(t), d.Credential); err != nil {
		t.Fatalf("CloseSession: %v", err)
	}
	expect(joined(etcdstore.EventLeft, p, "session ended"))
	w.wants(script)

	w.cut()
	Await(t, "a watch to end with its context", w.done)
	if w.err == nil {
		t.Error("Watch ended by its context answers nil; want an error")
	}
	enough := errors.New("enough")
	if err := s.Watch(Bounded(t), "watch/0", func(*etcdstore.News) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Watch whose send fails: %v; want send's error", err)
	}
}

// testWatchPrefix: what a prefix ends with is part of the names, and reaches into nothing else.
func testWatchPrefix(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	outer, inner := c.Acquire("prefix"), c.Acquire("prefix/in")
	c.Queue("prefix") // its key begins like those of the inner locks' waiters
	p := c.Queue("prefix/in")
	other := c.Acquire("prefixed")
	event := func(typ etcdstore.EventType, h *Held) etcdstore.Event {
		return etcdstore.Event{Type: typ, Lock: h.Lock, Session: c.ID, Request: h.request, Token: h.Token, Label: c.label, Initial: true}
	}
	waiting := event(etcdstore.EventWaiting, c.Section("prefix/in", p.args.Request, 0))
	w := watch(t, s, "prefix/")
	w.wants([]etcdstore.Event{event(etcdstore.EventGranted, inner), waiting})
	c.Release(outer)
	c.Release(other)
	c.Release(inner)
	released, granted := event(etcdstore.EventReleased, inner), event(etcdstore.EventGranted, p.Granted())
	released.Initial, granted.Initial = false, false
	w.wants([]etcdstore.Event{event(etcdstore.EventGranted, inner), waiting, released, granted})

	exact := watch(t, s, "prefix/i")
	granted.Initial = true
	exact.wants([]etcdstore.Event{granted})
}
