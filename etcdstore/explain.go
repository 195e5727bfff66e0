package etcdstore

import (
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// undone makes a release what the note of its section says.
func (e *Event) undone(v noteValue) {
	e.Reason = v.String()
	if v.Why != discarded {
		e.Type = EventLost
	}
}

// explanation is what facts are turned into events with.
type explanation struct {
	keys   keys
	parts  []part // of each fact
	events []Event
	ended  int // the last event of a section's end, among events

	granted map[at[acquisition]]struct{} // a waiter that leaves the queue at the revision of its grant has not left
	over    map[at[string]]struct{}      // a session takes all it holds with it, at one revision
}

// part is what a fact is about.
type part struct {
	kind int8
	told bool // who watches is told of it
	lock string
	acq  acquisition // of a waiter
}

const (
	ofNothing = iota
	ofLock
	ofWaiter
)

// at is somebody, or something, at a revision.
type at[T any] struct {
	rev int64
	who T
}

// explain turns facts into what happened to the locks that are told of. One thing that happens may
// change several keys, at one revision, and some changes mean something only beside the others:
//
//	put locks/l for w, delete w's place      w was granted l, and has not left
//	delete locks/l, delete the session       the holder's session ended
//	put locks/l with prev=7, where 7 held    the holder committed
//	put or delete locks/l otherwise          released, discarded or evicted: the note says which
//
// endOf, of every change of a lock, told of or not, says how the section ended, if that is known;
// nil: it is not known of any. open are the events of the last kind for which it is not.
func (k keys) explain(facts []fact, told func(lock string) bool, endOf func(lock string, c fact) (noteValue, bool)) (events []Event, open []int) {
	x := overview(k, facts, told)
	for i, c := range facts {
		switch p := &x.parts[i]; p.kind {
		case ofLock:
			var own noteValue
			known := false
			if endOf != nil {
				own, known = endOf(p.lock, c)
			}
			if p.told && x.lockChanged(p, c, own, known) {
				open = append(open, x.ended)
			}
		case ofWaiter:
			if p.told {
				x.waiterChanged(p, c)
			}
		}
	}
	return x.events, open
}

// overview begins an explanation of facts about the locks that are told of: it notes what others at
// the same revision are explained by.
func overview(k keys, facts []fact, told func(lock string) bool) *explanation {
	x := &explanation{keys: k, parts: make([]part, len(facts)), over: map[at[string]]struct{}{}}
	left := false
	for i, c := range facts {
		key, p := string(c.Kv.Key), &x.parts[i]
		if lock, ok := k.parseLock(key); ok {
			*p = part{kind: ofLock, told: told(lock), lock: lock}
		} else if a, ok := k.parseWaiter(key); ok {
			*p = part{kind: ofWaiter, told: told(a.lock), lock: a.lock, acq: a}
			left = left || p.told && c.Type == clientv3.EventTypeDelete
		} else if id, ok := k.parseSession(key); ok && c.Type == clientv3.EventTypeDelete {
			x.over[at[string]{c.Kv.ModRevision, id}] = struct{}{}
		}
	}
	if !left {
		return x
	}
	x.granted = map[at[acquisition]]struct{}{}
	for i, c := range facts {
		if p := &x.parts[i]; p.kind == ofLock && p.told && c.Type == clientv3.EventTypePut {
			if v, err := c.holder(); err == nil {
				x.granted[at[acquisition]{c.Kv.ModRevision, acquisition{p.lock, v.session, v.request}}] = struct{}{}
			}
		}
	}
	return x
}

// holder is whom a put gives a lock to.
func (c *fact) holder() (holderValue, error) {
	if c.after != nil {
		return c.after.holderValue, nil
	}
	return decodeHolder(c.Kv.Value)
}

// lockChanged adds that whoever held a lock does not any more, if anybody did, and that somebody
// does, if that is so. own is how the section ended, if that is known. It reports whether the event
// of the end, x.ended, is still open.
func (x *explanation) lockChanged(p *part, c fact, own noteValue, known bool) (open bool) {
	rev := c.Kv.ModRevision
	var next holderValue
	var odd error
	if c.Type == clientv3.EventTypePut {
		next, odd = c.holder()
	}
	if e, ok := eventBefore(x.keys, c); ok {
		token := e.Token
		e.Type, e.Revision = EventReleased, rev
		switch {
		case x.isOver(rev, e.Session):
			e.Type, e.Reason = EventLost, sessionEnded
		case next.Prev == token:
			e.Type = EventCommitted
		case known && own.Why != "":
			e.undone(own)
		default:
			open = !known
		}
		x.ended = len(x.events)
		x.events = append(x.events, e)
	}
	switch {
	case c.Type != clientv3.EventTypePut:
	case odd != nil:
		x.put(c)
	default:
		x.events = append(x.events, Event{
			Type: EventGranted, Lock: p.lock, Session: next.session, Request: next.request, Label: next.Label, Owner: next.Owner, Token: rev, Revision: rev,
		})
	}
	return open
}

// waiterChanged adds that a waiter has left, if it has, or that it waits.
func (x *explanation) waiterChanged(p *part, c fact) {
	rev := c.Kv.ModRevision
	if c.Type == clientv3.EventTypePut {
		x.put(c)
		return
	}
	if _, granted := x.granted[at[acquisition]{rev, p.acq}]; granted {
		return
	}
	if e, ok := eventBefore(x.keys, c); ok {
		e.Type, e.Revision = EventLeft, rev
		if x.isOver(rev, p.acq.session) {
			e.Reason = sessionEnded
		}
		x.events = append(x.events, e)
	}
}

// put adds the event that a put is.
func (x *explanation) put(c fact) {
	if e, ok := x.keys.eventOf(c.Kv); ok {
		x.events = append(x.events, e)
	}
}

// isOver reports whether a session has ended at a revision.
func (x *explanation) isOver(rev int64, session string) bool {
	_, over := x.over[at[string]{rev, session}]
	return over
}

// eventBefore is the event that made a key what it was before a change; false: it was not there, or
// is malformed.
func eventBefore(k keys, c fact) (e Event, ok bool) {
	switch b := c.before.(type) {
	case *mirrorHolder:
		return Event{Type: EventGranted, Lock: b.lock, Session: b.session, Request: b.request, Label: b.Label, Owner: b.Owner, Token: b.token}, true
	case *mirrorWaiter:
		return Event{Type: EventWaiting, Lock: b.lock, Session: b.session, Request: b.request, Label: b.Label, Owner: b.Owner}, true
	case *mvccpb.KeyValue:
		return k.eventOf(b)
	}
	return Event{}, false
}
