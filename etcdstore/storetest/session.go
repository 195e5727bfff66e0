package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// shortTTL is the least TTL there is: of sessions that are to expire.
const shortTTL = etcdstore.MinTTL

func testSessionTTL(t *testing.T, s Subject) {
	for _, c := range []struct{ ask, want time.Duration }{
		{0, etcdstore.DefaultTTL},
		{etcdstore.MinTTL, etcdstore.MinTTL},
		{2500 * time.Millisecond, 3 * time.Second},
		{etcdstore.MaxTTL, etcdstore.MaxTTL},
	} {
		session := BeginFor(t, s, "c", c.ask)
		if session.TTL < c.want || session.TTL > c.want+2*time.Second {
			t.Errorf("Init(%s) grants %s; want %s, or a little more", c.ask, session.TTL, c.want)
		}
		renewal, err := s.Heartbeat(Bounded(t), etcdstore.HeartbeatArgs{Credential: session.Credential})
		if err != nil || renewal.TTL != session.TTL {
			t.Errorf("Heartbeat answers %s, %v; want %s", renewal.TTL, err, session.TTL)
		}
	}
	a, b := Begin(t, s, "same"), Begin(t, s, "same")
	if a.ID == b.ID || a.Credential == b.Credential || a.ID == a.Credential {
		t.Errorf("two sessions are %s (%d bytes) and %s; want each its own, and a secret in the credential", a.ID, len(a.Credential), b.ID)
	}
}

func testHeartbeatStates(t *testing.T, s Subject) {
	c, o := Begin(t, s, "c"), Begin(t, s, "o")
	other := o.Acquire("states/other")
	h := c.Acquire("states/held")
	p := c.Queue("states/other")
	never := etcdstore.Acquisition{Lock: "states/held", Request: "another"}
	states := c.Heartbeat(0, p.Acquisition(), h.Acquisition(), never, other.Acquisition())
	for i, want := range []etcdstore.AcquisitionState{
		{Acquisition: p.Acquisition(), State: etcdstore.Waiting},
		{Acquisition: h.Acquisition(), State: etcdstore.Holding, Token: h.Token},
		{Acquisition: never},
		{Acquisition: other.Acquisition()}, // another session's
	} {
		if states[i] != want {
			t.Errorf("state %d = %+v; want %+v", i, states[i], want)
		}
	}
	o.Release(other)
	next := p.Granted()
	h = c.Commit(h)
	states = c.Heartbeat(0, p.Acquisition(), h.Acquisition())
	if states[0].Token != next.Token || states[1].Token != h.Token {
		t.Errorf("states = %+v; want tokens %d and %d", states, next.Token, h.Token)
	}
	c.Release(h)
	if states = c.Heartbeat(0, h.Acquisition()); states[0].State != etcdstore.None {
		t.Errorf("state after the release = %+v; want none", states[0])
	}
}

// testHeartbeatKeepsAlive holds a lock for longer than its session's TTL. It proves nothing where
// the machine is too busy to send heartbeats in time.
func testHeartbeatKeepsAlive(t *testing.T, s Subject) {
	c := BeginFor(t, s, "c", shortTTL)
	h := c.Acquire("alive")
	began := time.Now()
	sent := began
	tick := time.NewTicker(c.TTL / 8)
	defer tick.Stop()
	for time.Since(began) < 2*c.TTL {
		<-tick.C
		now := time.Now()
		renewal, err := s.Heartbeat(Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Unfinished: []etcdstore.Acquisition{h.Acquisition()}})
		states := renewal.States
		if late := time.Since(sent); late >= c.TTL {
			t.Skipf("%s between two heartbeats", late)
		}
		if err != nil || states[0].State != etcdstore.Holding || states[0].Token != h.Token {
			t.Fatalf("Heartbeat = %+v, %v; want the lock held under %d", states, err, h.Token)
		}
		sent = now
	}
}

// testReconciliation: what a heartbeat does not list, of requests issued before it was sent, is
// ended.
func testReconciliation(t *testing.T, s Subject) {
	c, o := Begin(t, s, "c"), Begin(t, s, "o")
	other := o.Acquire("unlisted/other")
	gone := c.Acquire("unlisted/held") // 1
	c.Append(gone, "f", "undone")      // 2
	p := c.Queue("unlisted/other")     // 3
	kept := c.Acquire("unlisted/kept") // 4
	named, err := s.Acquire(Bounded(t), c.Args("unlisted/named", "no-number", etcdstore.WaitForever))
	if err != nil || named.Outcome != etcdstore.Granted {
		t.Fatalf("Acquire = %+v, %v", named, err)
	}
	behind := o.Queue("unlisted/held")
	highest := c.Requests()
	above := c.Acquire("unlisted/above")

	c.Heartbeat(0) // ends nothing
	if got := HolderOf(t, s, "unlisted/held"); got != gone.Token {
		t.Errorf("after a heartbeat without numbers the lock is held under %d; want %d", got, gone.Token)
	}
	Eventually(t, "what is not listed to be ended", func() bool {
		c.Heartbeat(highest, kept.Acquisition())
		return HolderOf(t, s, "unlisted/held") != gone.Token && Inspect(t, s, "unlisted/other").QueueLength == 0
	})
	if g, err := p.Answer(); err != nil || g.Outcome != etcdstore.Cancelled {
		t.Errorf("the wait that was not listed = %+v, %v; want cancelled", g, err)
	}
	behind.Granted()
	c.Lost(gone)
	WantNoFile(t, s, "unlisted/held", "f")
	states := c.Heartbeat(highest, kept.Acquisition(), above.Acquisition(),
		etcdstore.Acquisition{Lock: "unlisted/named", Request: "no-number"})
	for i, want := range []int64{kept.Token, above.Token, named.Token} {
		if states[i].Token != want {
			t.Errorf("state %d = %+v; want token %d: listed, above the number, or without one", i, states[i], want)
		}
	}
	o.Release(other)
	Eventually(t, "a late repeat of Acquire to be refused", func() bool {
		g, err := s.Acquire(Bounded(t), c.Args(gone.Lock, gone.request, 0))
		if err == nil && g.Outcome == etcdstore.Granted {
			t.Fatalf("Acquire repeated = %+v; the lock is another's", g)
		}
		return errors.Is(err, etcdstore.ErrLockExpired)
	})
}

// testLateHeartbeat delivers heartbeats late, and twice: they were sent before what they do not
// list was issued.
func testLateHeartbeat(t *testing.T, s Subject) {
	c := Begin(t, s, "c")
	first := c.Acquire("late/first")
	early := c.Requests()
	second := c.Acquire("late/second")
	highest := c.Requests()
	for range 3 {
		c.Heartbeat(highest, first.Acquisition(), second.Acquisition())
		c.Heartbeat(early, first.Acquisition())
		c.Heartbeat(0)
	}
	states := c.Heartbeat(highest, first.Acquisition(), second.Acquisition())
	if states[0].Token != first.Token || states[1].Token != second.Token {
		t.Errorf("states = %+v; want both held, under %d and %d", states, first.Token, second.Token)
	}
}

func testCloseSession(t *testing.T, s Subject) {
	c, o := Begin(t, s, "c"), Begin(t, s, "o")
	h := c.Acquire("close/held")
	c.Append(h, "f", "undone")
	behind := o.Queue("close/held")
	other := o.Acquire("close/other")
	p := c.Queue("close/other")
	last := Begin(t, s, "last").Queue("close/other")
	for range 3 {
		if err := s.CloseSession(Bounded(t), c.Credential); err != nil {
			t.Errorf("CloseSession: %v", err)
		}
	}
	next := behind.Granted()
	if g, err := p.Answer(); !errors.Is(err, etcdstore.ErrSessionExpired) {
		t.Errorf("the wait of a closed session = %+v, %v; want session expired", g, err)
	}
	c.Lost(h)
	c.dead()
	o.Append(next, "f", "next")
	o.Release(next)
	WantContents(t, s, "close/held", "f", "next")
	o.Release(other)
	last.Granted()
}

// dead checks that a session has ended.
func (c *Client) dead() {
	c.Helper()
	_, err := c.s.Acquire(Bounded(c.T), c.Args("dead", c.Request(), etcdstore.WaitForever))
	Want(c.T, "Acquire of a session that has ended", err, etcdstore.ErrSessionExpired)
	_, err = c.s.Cancel(Bounded(c.T), c.Credential, etcdstore.Acquisition{Lock: "dead", Request: "1"})
	Want(c.T, "Cancel of a session that has ended", err, etcdstore.ErrSessionExpired)
	_, err = c.s.Heartbeat(Bounded(c.T), etcdstore.HeartbeatArgs{Credential: c.Credential})
	Want(c.T, "Heartbeat of a session that has ended", err, etcdstore.ErrSessionExpired)
	if err := c.s.CloseSession(Bounded(c.T), c.Credential); err != nil {
		c.Errorf("CloseSession of a session that has ended: %v", err)
	}
}

func testExpiry(t *testing.T, s Subject) {
	c := BeginFor(t, s, "silent", shortTTL)
	h := c.Acquire("expiry")
	c.Append(h, "f", "undone")
	o := Begin(t, s, "o")
	p := o.Queue("expiry")
	next := p.Granted()
	c.Lost(h)
	c.dead()
	o.Append(next, "f", "next")
	o.Release(next)
	WantContents(t, s, "expiry", "f", "next")
	if g, err := s.Acquire(Bounded(t), o.Args("expiry", o.Request(), 0)); err != nil || g.Outcome != etcdstore.Granted {
		t.Errorf("Acquire = %+v, %v; want a grant", g, err)
	}
}
