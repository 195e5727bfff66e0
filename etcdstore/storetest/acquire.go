package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

func testGrant(t *testing.T, s Subject) {
	c := Begin(t, s, "worker")
	var last int64
	for range 3 {
		h := c.Acquire("grant")
		if h.Token <= last {
			t.Errorf("token %d after %d; want it to rise", h.Token, last)
		}
		last = h.Token
		info := Inspect(t, s, "grant")
		if info.Holder == nil {
			t.Fatal("Inspect shows no holder")
		}
		if got := *info.Holder; got.Session != c.ID || got.Request != h.request || got.Label != "worker" || got.Token != h.Token ||
			time.Since(got.Since).Abs() > time.Hour {
			t.Errorf("holder = %+v; want session %s, request %s, label worker, token %d, just now", got, c.ID, h.request, h.Token)
		}
		c.Release(h)
		if got := HolderOf(t, s, "grant"); got != 0 {
			t.Errorf("after the release the lock is held under %d", got)
		}
	}
	args := c.Args("grant", c.Request(), 0)
	args.Label = "its own"
	if g, err := s.Acquire(Bounded(t), args); err != nil || g.Outcome != etcdstore.Granted {
		t.Fatalf("Acquire = %+v, %v; want a grant", g, err)
	}
	if got := Inspect(t, s, "grant").Holder; got == nil || got.Label != "its own" {
		t.Errorf("holder = %+v; want the acquisition's own label", got)
	}
}

func testFIFO(t *testing.T, s Subject) {
	first := Begin(t, s, "first")
	h := first.Acquire("fifo")
	var queue []*Pending
	for range 6 {
		queue = append(queue, Begin(t, s, "waiter").Queue("fifo"))
	}
	info := Inspect(t, s, "fifo")
	if info.QueueLength != len(queue) || len(info.Waiters) != len(queue) {
		t.Fatalf("Inspect shows %d waiters of %d; want %d", len(info.Waiters), info.QueueLength, len(queue))
	}
	for i, w := range info.Waiters {
		if w.Session != queue[i].c.ID || w.Label != "waiter" {
			t.Errorf("waiter %d is %+v; want session %s", i, w, queue[i].c.ID)
		}
	}
	first.Release(h)
	for i, p := range queue {
		next := p.Granted()
		if next.Token <= h.Token {
			t.Errorf("grant %d has token %d after %d; want it to rise", i, next.Token, h.Token)
		}
		for _, behind := range queue[i+1:] {
			behind.Waits()
		}
		if got := Inspect(t, s, "fifo"); got.QueueLength != len(queue)-i-1 {
			t.Errorf("after grant %d the queue is %d long; want %d", i, got.QueueLength, len(queue)-i-1)
		}
		p.c.Release(next)
		h = next
	}
}

func testRepeatFindsGrant(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("again/grant")
	for _, wait := range []time.Duration{etcdstore.WaitForever, 0, time.Minute} {
		g, err := s.Acquire(Bounded(t), c.Args(h.Lock, h.request, wait))
		if err != nil || g.Outcome != etcdstore.Granted || g.Token != h.Token {
			t.Errorf("Acquire repeated with wait %s = %+v, %v; want token %d", wait, g, err, h.Token)
		}
	}
	h = c.Commit(h)
	g, err := s.Acquire(Bounded(t), c.Args(h.Lock, h.request, 0))
	if err != nil || g.Token != h.Token {
		t.Errorf("Acquire repeated after a commit = %+v, %v; want token %d", g, err, h.Token)
	}
}

func testRepeatFindsPlace(t *testing.T, s Subject) {
	c := Begin(t, s, "holder")
	h := c.Acquire("again/place")
	early, late := Begin(t, s, "early"), Begin(t, s, "late")
	first := early.Queue("again/place")
	behind := late.Queue("again/place")
	first.Cut()
	if g, err := first.Answer(); err == nil {
		t.Fatalf("an Acquire that was broken off = %+v, nil; want an error", g)
	}
	if got := Inspect(t, s, "again/place").QueueLength; got != 2 {
		t.Fatalf("after the call broke off the queue is %d long; want 2", got)
	}
	again, twice := early.Start(first.args), early.Start(first.args)
	c.Release(h)
	a, b := again.Granted(), twice.Granted()
	if a.Token != b.Token {
		t.Errorf("two calls of one request have tokens %d and %d; want one", a.Token, b.Token)
	}
	behind.Waits()
	if got := Inspect(t, s, "again/place"); got.QueueLength != 1 || got.Holder == nil || got.Holder.Session != early.ID {
		t.Errorf("state = %+v; want the first to hold and one to wait", got)
	}
	early.Release(a)
	behind.Granted()
}

func testTry(t *testing.T, s Subject) {
	c := Begin(t, s, "the holder")
	g, err := s.Acquire(Bounded(t), c.Args("try", c.Request(), 0))
	if err != nil || g.Outcome != etcdstore.Granted {
		t.Fatalf("try of a free lock = %+v, %v; want a grant", g, err)
	}
	o := Begin(t, s, "o")
	try := func(length int) {
		t.Helper()
		Eventually(t, "a busy answer that tells the queue", func() bool { // the other's place may be news to this server
			busy, err := s.Acquire(Bounded(t), o.Args("try", o.Request(), 0))
			if err != nil || busy.Outcome != etcdstore.Busy || busy.Token != 0 {
				t.Fatalf("try of a held lock = %+v, %v; want busy", busy, err)
			}
			if h := busy.Holder; h == nil || h.Session != c.ID || h.Label != "the holder" || h.Token != g.Token {
				t.Fatalf("busy by %+v; want session %s, its label, token %d", h, c.ID, g.Token)
			}
			return busy.Position == length+1 && busy.QueueLength == length
		})
		if got := Inspect(t, s, "try").QueueLength; got != length {
			t.Errorf("after a try the queue is %d long; want %d", got, length)
		}
	}
	try(0)
	Begin(t, s, "waiter").Queue("try")
	try(1)
}

func testBoundedWait(t *testing.T, s Subject) {
	c, o := Begin(t, s, "c"), Begin(t, s, "o")
	h := c.Acquire("bounded")
	g, err := s.Acquire(Bounded(t), o.Args("bounded", o.Request(), 50*time.Millisecond))
	if err != nil || g.Outcome != etcdstore.Busy || g.Holder == nil || g.Holder.Token != h.Token || g.Position != 1 {
		t.Errorf("Acquire with a wait that was too short = %+v, %v; want busy at position 1 behind token %d", g, err, h.Token)
	}
	if got := Inspect(t, s, "bounded").QueueLength; got != 0 {
		t.Errorf("after the wait the queue is %d long; want nothing left", got)
	}
	p := o.Start(o.Args("bounded", o.Request(), time.Hour))
	p.Queued()
	c.Release(h)
	p.Granted()
}

func testCancel(t *testing.T, s Subject) {
	c, o := Begin(t, s, "c"), Begin(t, s, "o")
	cancel := func(c *Client, a etcdstore.Acquisition, want int64) {
		t.Helper()
		for range 2 {
			if token, err := s.Cancel(Bounded(t), c.Credential, a); err != nil || token != want {
				t.Errorf("Cancel(%v) = %d, %v; want %d", a, token, err, want)
			}
		}
	}
	cancel(o, etcdstore.Acquisition{Lock: "cancel", Request: "never"}, 0)
	h := c.Acquire("cancel")
	cancel(c, h.Acquisition(), h.Token) // granted: the caller holds it
	if got := HolderOf(t, s, "cancel"); got != h.Token {
		t.Errorf("after the cancel of a grant the lock is held under %d; want %d", got, h.Token)
	}
	p, behind := o.Queue("cancel"), Begin(t, s, "behind").Queue("cancel")
	cancel(o, p.Acquisition(), 0)
	if g, err := p.Answer(); err != nil || g.Outcome != etcdstore.Cancelled {
		t.Errorf("the cancelled Acquire = %+v, %v; want cancelled", g, err)
	}
	c.Release(h)
	behind.Granted()
	cancel(o, p.Acquisition(), 0)
}

func testOneSessionExcludesItself(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	h := c.Acquire("self")
	g, err := s.Acquire(Bounded(t), c.Args("self", c.Request(), 0))
	if err != nil || g.Outcome != etcdstore.Busy {
		t.Errorf("a second acquisition of the holder's session = %+v, %v; want busy", g, err)
	}
	p := c.Queue("self")
	p.Waits()
	waiting := c.Section("self", p.args.Request, h.Token+1)
	Want(t, "a waiter's release", s.Release(Bounded(t), waiting.Section), etcdstore.ErrLockExpired)
	c.Release(h)
	if next := p.Granted(); next.Token <= h.Token {
		t.Errorf("token %d after %d; want it to rise", next.Token, h.Token)
	}
}

// testAcquireAfterItsSection: a repeat that comes when its section has ended is refused; where the
// server does not know yet, it is ended by the next heartbeat.
func testAcquireAfterItsSection(t *testing.T, s Subject) {
	for name, end := range map[string]func(*Client, *Held){
		"released": func(c *Client, h *Held) { c.Release(h) },
		"discarded": func(c *Client, h *Held) {
			if _, err := s.Discard(Bounded(c.T), h.Section); err != nil {
				c.Fatal(err)
			}
		},
		"evicted": func(c *Client, h *Held) {
			if _, err := s.Evict(Bounded(c.T), h.Lock, h.Token, "enough"); err != nil {
				c.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := Begin(t, s, "c")
			h := c.Acquire("after/" + name)
			end(c, h)
			c.refused(h)
			if got := HolderOf(t, s, h.Lock); got != 0 {
				t.Errorf("the lock is held under %d; want it free", got)
			}
		})
	}
}

// refused repeats the acquire of a section that has ended.
func (c *Client) refused(h *Held) {
	c.Helper()
	Eventually(c.T, "a late repeat of Acquire to be refused", func() bool {
		g, err := c.s.Acquire(Bounded(c.T), c.Args(h.Lock, h.request, 0))
		switch {
		case errors.Is(err, etcdstore.ErrLockExpired):
			return true
		case err != nil || g.Outcome == etcdstore.Granted && g.Token <= h.Token:
			c.Fatalf("Acquire repeated after its section = %+v, %v; want refused, or reclaimed", g, err)
		case g.Outcome == etcdstore.Granted:
			c.Heartbeat(c.Requests())
		}
		return false
	})
	c.Heartbeat(c.Requests())
	Eventually(c.T, "what a late repeat was granted to be ended", func() bool {
		c.Heartbeat(c.Requests())
		info := Inspect(c.T, c.s, h.Lock)
		return info.Holder == nil || info.Holder.Session != c.ID
	})
}
