package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

const longTTL = etcdstore.MaxTTL // of sessions that are not to expire, however slow the machine is

// Client is one session of a script. Its methods fail the test on what the script does not expect,
// and are for the test's own goroutine.
type Client struct {
	*testing.T
	etcdstore.Session
	s        Subject
	label    string
	requests *atomic.Uint64
}

// Held is a section that the script has open, or had. Appended and Last are set by the script's own
// appends.
type Held struct {
	etcdstore.Section
	request string
	lastAt  int64 // when the record of Last was staged
}

// Begin begins a session that is closed when the test ends.
func Begin(t *testing.T, s Subject, label string) *Client {
	t.Helper()
	return BeginFor(t, s, label, longTTL)
}

// BeginFor is Begin with a TTL.
func BeginFor(t *testing.T, s Subject, label string, ttl time.Duration) *Client {
	t.Helper()
	session, err := s.Init(Bounded(t), etcdstore.InitArgs{TTL: ttl, Label: label})
	if err != nil {
		t.Fatalf("Init(%s, %s): %v", ttl, label, err)
	}
	c := &Client{T: t, Session: session, s: s, label: label, requests: new(atomic.Uint64)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := s.CloseSession(ctx, session.Credential); err != nil && !errors.Is(err, etcdstore.ErrClosed) {
			t.Errorf("close session %s: %v", label, err)
		}
	})
	return c
}

// Via is the same session, calling through another subject.
func (c *Client) Via(s Subject) *Client {
	via := *c
	via.s = s
	return &via
}

// Request is a new request's number.
func (c *Client) Request() string { return strconv.FormatUint(c.requests.Add(1), 10) }

// Args are the arguments of an Acquire.
func (c *Client) Args(lock, request string, wait time.Duration) etcdstore.AcquireArgs {
	return etcdstore.AcquireArgs{
		Credential:  c.Credential,
		Acquisition: etcdstore.Acquisition{Lock: lock, Request: request},
		Wait:        wait,
	}
}

// Acquire gets a lock that is, or becomes, free.
func (c *Client) Acquire(lock string) *Held {
	c.Helper()
	request := c.Request()
	g, err := c.s.Acquire(Bounded(c.T), c.Args(lock, request, etcdstore.WaitForever))
	if err != nil || g.Outcome != etcdstore.Granted || g.Token <= 0 {
		c.Fatalf("Acquire(%s, %s) = %+v, %v; want a grant", lock, request, g, err)
	}
	return c.Section(lock, request, g.Token)
}

// Take gets a lock that is free, by an Acquire that does not wait.
func (c *Client) Take(lock string) *Held {
	c.Helper()
	request := c.Request()
	g, err := c.s.Acquire(Bounded(c.T), c.Args(lock, request, 0))
	if err != nil || g.Outcome != etcdstore.Granted || g.Token <= 0 {
		c.Fatalf("Acquire(%s, %s) without a wait = %+v, %v; want a grant", lock, request, g, err)
	}
	return c.Section(lock, request, g.Token)
}

// Section is a section of the session, as if it were open.
func (c *Client) Section(lock, request string, token int64) *Held {
	return &Held{Section: etcdstore.Section{Credential: c.Credential, Lock: lock, Token: token}, request: request}
}

// Record is one append of the section.
func (c *Client) Record(h *Held, file, data string) etcdstore.Record {
	return etcdstore.Record{
		Credential: c.Credential, Lock: h.Lock, Token: h.Token, Request: c.Request(), File: file, Data: []byte(data),
	}
}

// Append stages a record.
func (c *Client) Append(h *Held, file, data string) etcdstore.Record {
	c.Helper()
	r := c.Record(h, file, data)
	c.AppendRecord(h, r)
	return r
}

// AppendRecord stages a record, or stages it again.
func (c *Client) AppendRecord(h *Held, r etcdstore.Record) {
	c.Helper()
	h.Appended = true
	rev, err := c.s.Append(Bounded(c.T), r)
	if err != nil || rev <= h.Token {
		c.Fatalf("Append(%s, %d, %s) = %d, %v; want a revision after the grant's", r.Lock, r.Token, r.Request, rev, err)
	}
	if r.Token == h.Token && rev > h.lastAt {
		h.Last, h.lastAt = []string{r.Request}, rev
	}
}

// AppendTo is an append of which only the error is of interest.
func AppendTo(ctx context.Context, s Subject, r etcdstore.Record) error {
	_, err := s.Append(ctx, r)
	return err
}

// Release ends a section.
func (c *Client) Release(h *Held) {
	c.Helper()
	if err := c.s.Release(Bounded(c.T), h.Section); err != nil {
		c.Fatalf("Release(%s, %d): %v", h.Lock, h.Token, err)
	}
}

// Publish appends to a file in a section of its own, which it returns.
func (c *Client) Publish(lock, file, data string) *Held {
	c.Helper()
	h := c.Acquire(lock)
	c.Append(h, file, data)
	c.Release(h)
	return h
}

// Commit publishes a section and returns the next one.
func (c *Client) Commit(h *Held) *Held {
	c.Helper()
	token, err := c.s.Commit(Bounded(c.T), h.Section)
	if err != nil || token <= h.Token {
		c.Fatalf("Commit(%s, %d) = %d, %v; want a higher token", h.Lock, h.Token, token, err)
	}
	return c.Section(h.Lock, h.request, token)
}

// Lost checks that a section has ended without being published: every call of it says so, and
// changes nothing.
func (c *Client) Lost(h *Held) {
	c.Helper()
	Want(c.T, "Release of a lost section", c.s.Release(Bounded(c.T), h.Section), etcdstore.ErrLockExpired)
	_, err := c.s.Commit(Bounded(c.T), h.Section)
	Want(c.T, "Commit of a lost section", err, etcdstore.ErrLockExpired)
	Want(c.T, "Append to a lost section", AppendTo(Bounded(c.T), c.s, c.Record(h, "late", "late")), etcdstore.ErrLockExpired)
	if published, err := c.s.Discard(Bounded(c.T), h.Section); published || err != nil {
		c.Errorf("Discard of a lost section = %v, %v; want false, nil", published, err)
	}
	Want(c.T, "Release repeated", c.s.Release(Bounded(c.T), h.Section), etcdstore.ErrLockExpired)
}

// Heartbeat returns the states of the acquisitions that it lists.
func (c *Client) Heartbeat(highest uint64, unfinished ...etcdstore.Acquisition) []etcdstore.AcquisitionState {
	c.Helper()
	renewal, err := c.s.Heartbeat(Bounded(c.T), etcdstore.HeartbeatArgs{Credential: c.Credential, Highest: highest, Unfinished: unfinished})
	states := renewal.States
	if err != nil || len(states) != len(unfinished) {
		c.Fatalf("Heartbeat(%d, %v) = %v, %v; want as many states as acquisitions", highest, unfinished, states, err)
	}
	return states
}

// Acquisition is what the section was granted to.
func (h *Held) Acquisition() etcdstore.Acquisition {
	return etcdstore.Acquisition{Lock: h.Lock, Request: h.request}
}

// Requests is the highest number that the session has issued.
func (c *Client) Requests() uint64 { return c.requests.Load() }
