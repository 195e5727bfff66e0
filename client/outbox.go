package client

import (
	"slices"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// maxBatch is the bytes after which the sender looks for heartbeats again.
const maxBatch = 64 << 10

// enqueue has the sender send a call on the current link. mu is held.
func (t *transport) enqueue(c *call) {
	t.line(c)
	t.hasten()
}

// line puts a call in line for the current link, heartbeats first: a lease must not wait for data. mu is held.
func (t *transport) line(c *call) {
	if c.queued {
		return
	}
	c.queued = true
	if c.limit > 0 {
		t.queue = slices.Insert(t.queue, 0, c)
	} else {
		t.queue = append(t.queue, c)
	}
}

// hasten wakes the sender, for what is in line. mu is held.
func (t *transport) hasten() {
	if t.link != nil {
		wake(t.link.wake)
	}
}

// resend sends a call again if its last message left before the given moment. It may be called for any call at any
// time: a repeat is harmless.
func (t *transport) resend(c *call, before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.ended && c.link != nil && c.link == t.link && c.sent.Before(before) {
		t.enqueue(c)
	}
}

// take gives the sender of a link its next messages, nil if there are none. It fails when the link is given up.
func (t *transport) take(l *link) ([]*dlmv1.StreamRequest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link != l {
		return nil, errMoved
	}
	if l.sending {
		return nil, nil
	}
	return t.next(l), nil
}

// next takes the next messages for a link; whoever has them sends them, before anybody else does. mu is held.
func (t *transport) next(l *link) []*dlmv1.StreamRequest {
	var out []*dlmv1.StreamRequest
	now := time.Now()
	size := 0
	rest := t.queue[:0]
	for _, c := range t.queue {
		// A server that may not serve at all is not asked a thousand times: waits come after its first answer. A
		// session's heartbeat is always ahead of them.
		if size > maxBatch || c.waits && l.usefulAt.IsZero() && !c.ended {
			rest = append(rest, c)
			continue
		}
		c.queued = false
		if c.ended {
			continue
		}
		size += c.size
		t.number++
		if c.link != l {
			c.link, c.began = l, now
		}
		c.sent = now
		c.numbers = append(c.numbers, t.number)
		l.sentBytes += c.size
		t.sendings[t.number] = sending{call: c, at: now, bytes: l.sentBytes}
		out = append(out, &dlmv1.StreamRequest{Call: t.number, Request: c.message().GetRequest()})
	}
	clear(t.queue[len(rest):])
	t.queue = rest
	l.sending = len(out) > 0
	return out
}

// passed notes that the messages taken last were handed to gRPC.
func (t *transport) passed(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.sending = false
	if t.link == l && len(t.queue) > 0 {
		t.hasten()
	}
}
