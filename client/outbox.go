package client

import (
	"slices"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// maxBatch is the size in bytes after which a batch ends, so that the sender looks for heartbeats
// again.
const maxBatch = 64 << 10

// enqueue has the sender send a call on the current link. mu is held.
func (t *transport) enqueue(c *call) {
	t.line(c)
	t.hasten()
}

// line puts a call in line for the current link. Heartbeats go to the head: a lease must not wait
// for data. mu is held.
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

// hasten wakes the sender for what is in line. mu is held.
func (t *transport) hasten() {
	if t.link != nil {
		wake(t.link.wake)
	}
}

// resend sends a call again if its last message left before the given moment. It may be called for
// any call at any time: a repeat is harmless, as servers know a call by its ids.
func (t *transport) resend(c *call, before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.ended && c.link != nil && c.link == t.link && c.sent.Before(before) {
		t.enqueue(c)
	}
}

// take returns the next messages for the sender of a link; none if there are none, or if somebody
// else is passing some to gRPC. It fails when the link is given up.
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

// next takes the next messages for a link. Whoever gets them passes them to gRPC, and nobody else
// does so before: that keeps them in order. mu is held.
func (t *transport) next(l *link) []*dlmv1.StreamRequest {
	var out []*dlmv1.StreamRequest
	if !l.recognized && t.asking == nil {
		if t.recognize(l); t.asking != nil {
			t.line(t.asking)
		}
	}
	now := time.Now()
	size := 0
	rest := t.queue[:0]
	for _, c := range t.queue {
		// Waits are held back until the server has answered something: a thousand of them would not
		// help a server that cannot serve at all. A session's heartbeat, which is not held back, is
		// always ahead of its waits. Whatever else could be misunderstood by a server of another
		// cluster is held back until this one is known to be none: see recognize.
		if size > maxBatch || !c.ended && (c.waits && l.usefulAt.IsZero() || !c.says && !l.recognized) {
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
		if !l.untaken {
			c.sends++
		}
		c.numbers = append(c.numbers, t.number)
		l.sentBytes += c.size
		t.sendings[t.number] = sending{call: c, at: now, bytes: l.sentBytes}
		out = append(out, &dlmv1.StreamRequest{Call: t.number, Request: c.message().GetRequest(), Traceparent: c.traceparent})
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
