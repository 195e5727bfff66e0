package etcdstore

import (
	"bytes"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// What the mirror learns, from the watch and from this store's own transactions, and what each
// change does to it.

// observe takes in the events of a watch, whole revisions at a time.
//
// What this store does comes twice, with the answer of its transaction (take) and with the watch,
// in either order, and is applied once. Of each key the revisions only go up: a change is old news
// if the watch has come past it (rev), or if an own change of that key is as new (ahead).
//
// The answer is first. Through this store w is granted l at 12:
//
//	rev 10  take     locks/l at 12: w holds, and l is ahead at 12
//	rev 11  observe  locks/x at 11: applied; until now the mirror had 12 without 11
//	rev 12  observe  locks/l at 12: old news; l is not ahead any more
//
// The watch is first. Applied, the answer would bring w back, who is evicted:
//
//	rev 12  observe  locks/l at 12: w holds
//	rev 14  observe  locks/l at 14: deleted, through another store
//	        take     locks/l at 12: old news, see granted
//
// Two answers cross, since those of a batch may be told beside the next batch. Here the grant must
// not cover the eviction that came after it. But w did hold the lock, and a call that waits for its
// grant is to hear that this is over: see touch.
//
//	rev 10  take     locks/l at 13: deleted, and l is ahead at 13
//	        take     locks/l at 12: old news; w is touched
//	rev 12  observe  locks/l at 12: old news; l is still ahead at 13
//	rev 13  observe  locks/l at 13: old news; l is not ahead any more
//
// A listing comes between, that was asked for before the grant. It forgets the own change, which
// does no harm: the watch goes on behind the listing, and repeats it.
//
//	rev 10  take     locks/l at 12: w holds, and l is ahead at 12
//	rev 11  reset    as of 11: l is free, and nothing is ahead
//	rev 12  observe  locks/l at 12: w holds
func (m *mirror) observe(events []*clientv3.Event) { tellAll(m.news(events)) }

// news is observe but for the waits that are over by it, which it returns.
func (m *mirror) news(events []*clientv3.Event) []verdict {
	facts := make([]fact, 0, len(events))
	m.mu.Lock()
	defer m.mu.Unlock()
	var t touched
	for _, e := range events {
		c := change{
			key: string(e.Kv.Key), rev: e.Kv.ModRevision, created: e.Kv.CreateRevision, value: e.Kv.Value,
			deleted: e.Type == clientv3.EventTypeDelete,
		}
		m.rev = max(m.rev, c.rev)
		before := m.observeOne(c, e.Kv, &t)
		facts = append(facts, fact{e, before, m.holderAt(c)})
	}
	m.reach(m.rev) // here: a listing beside the watch is to say the revision of what is in it
	if len(facts) > 0 {
		m.feed.put(facts)
	}
	return m.settle(&t)
}

// holderAt is whom a change has given a lock to, if that holds it now. mu is held.
func (m *mirror) holderAt(c change) *mirrorHolder {
	if lock, ok := m.keys.parseLock(c.key); ok && !c.deleted {
		if l := m.locks[lock]; l != nil && l.holder != nil && l.holder.token == c.rev {
			return l.holder
		}
	}
	return nil
}

// observeOne takes in one event of a watch, kv, and returns what the watch has shown of its key
// before. mu is held.
func (m *mirror) observeOne(c change, kv *mvccpb.KeyValue, t *touched) (before past) {
	own, ok := m.ahead[c.key]
	if !ok {
		return m.apply(c, t)
	}
	if c.rev >= own.rev {
		delete(m.ahead, c.key)
	} else {
		shown := lead{rev: own.rev}
		if !c.deleted {
			shown.before = kv
		}
		m.ahead[c.key] = shown
	}
	if c.rev > own.rev {
		m.apply(c, t)
	} else {
		m.touch(c, t) // some waits are over only when the watch gets here: see fate
	}
	return own.before
}

// own takes in what a transaction of this store wrote, without waiting for the watch, and ends the
// waits that are over by it.
func (m *mirror) own(changes ...change) { tellAll(m.take(ownEnd{}, changes...)) }

// take is own for a caller that has something to do before others hear of it: it returns the waits
// that are over. A release tells its own caller first, and then the next holder. by is the section
// that the transaction ended; the zero ownEnd: none.
func (m *mirror) take(by ownEnd, changes ...change) (verdicts []verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := touched{by: by}
	m.decide(by)
	m.feed.ended(by)
	for _, c := range changes {
		if c.holder != nil && c.holder.Prev == 0 {
			if lock, ok := m.keys.parseLock(c.key); ok {
				m.observer.Granted(lock)
			}
		}
		if c.rev <= m.rev { // the watch was faster
			m.granted(c)
			continue
		}
		own, ok := m.ahead[c.key]
		if c.rev <= own.rev { // a later change of this key was answered first
			m.touch(c, &t)
			continue
		}
		c.local = true
		before := m.apply(c, &t)
		if !ok {
			own.before = before
		}
		own.rev = c.rev
		m.ahead[c.key] = own
	}
	return m.settle(&t)
}

// granted notes that a grant was this store's own, if the watch was faster than its answer: the
// event did not say so. It matters to what usage has to count. If the lock has passed on since, it
// does not.
func (m *mirror) granted(c change) {
	name, ok := m.keys.parseLock(c.key)
	if l := m.locks[name]; ok && l != nil && l.holder != nil && l.holder.token == c.rev {
		h := *l.holder // others look at it unlocked
		h.local = true
		l.holder = &h
	}
}

// apply makes a change, and returns what its key was before, of holders and waiters.
func (m *mirror) apply(c change, t *touched) past {
	if name, ok := m.keys.parseLock(c.key); ok {
		return m.applyLock(name, c, t)
	}
	if a, ok := m.keys.parseWaiter(c.key); ok {
		return m.applyWaiter(a, c, t)
	}
	if id, ok := m.keys.parseSession(c.key); ok {
		m.applySession(id, c, t)
	} else if kd, ours := m.keys.kindOf(c.key); ours && kd.family() && !c.deleted {
		m.malformed(c.key, errKey)
	}
	return nil
}

func (m *mirror) applyLock(name string, c change, t *touched) (before past) {
	l := m.lock(name)
	old := l.holder
	if old != nil {
		before = old
		t.acq(old.acquisition(), true)
		t.unheld = append(t.unheld, old)
		old.stop()
		l.holder = nil
	} else if token, ok := m.odd[name]; ok {
		before = oddHolder(token)
	}
	delete(m.odd, name)
	t.lock(name)
	var v holderValue
	var err error
	if !c.deleted {
		v, err = c.asHolder()
	}
	a := acquisition{name, v.session, v.request}
	held := !c.deleted && err == nil // by a; what is malformed is nobody's here, and etcd is asked who holds
	if err != nil {
		m.odd[name] = c.rev
		m.malformed(c.key, err)
	}
	if old != nil && !(held && a == old.acquisition()) {
		m.unhold(old, c, t)
	}
	if old != nil && c.deleted && !c.local { // what this store writes is no session's end
		t.freed = append(t.freed, lapse{
			lock: name, session: old.session, token: old.token, rev: c.rev, label: old.Label, owner: old.Owner, since: old.Since,
		})
	}
	if !held {
		return before
	}
	l.holder = &mirrorHolder{holderValue: v, lock: name, token: c.rev, local: c.local}
	m.time(l.holder, old)
	t.acq(a, true)
	m.index(a)
	return before
}

func (h *mirrorHolder) stop() {
	if h != nil && h.timer != nil {
		h.timer.Stop()
	}
}

func (m *mirror) applyWaiter(a acquisition, c change, t *touched) (before past) {
	t.acq(a, false)
	if w := m.queued[a]; w != nil {
		before = w
		q := &m.lock(a.lock).queue
		q.remove(w)
		if q.len() == shortQueue {
			delete(m.crowded, a.lock)
		}
		delete(m.queued, a)
	}
	if c.deleted {
		return before
	}
	v, err := c.asWaiter()
	if err != nil {
		m.malformed(c.key, err)
		return before
	}
	w := &mirrorWaiter{acquisition: a, waiterValue: v, created: c.created}
	q := &m.lock(a.lock).queue
	q.insert(w)
	if q.len() == shortQueue+1 {
		m.crowded[a.lock] = struct{}{}
	}
	m.queued[a] = w
	m.index(a)
	return before
}

func (m *mirror) applySession(id string, c change, t *touched) {
	if c.deleted {
		how := m.gone(id)
		t.sessionOver(id, c.rev, how)
		if s := m.sessions[id]; s != nil {
			m.left(lapse{session: id, rev: c.rev, label: s.Label, owner: s.Owner, how: how})
		}
		m.disown(m.sessions[id])
		delete(m.sessions, id)
		m.sessionOver(id, c.rev)
		return
	}
	v, err := decodeSession(c.value)
	if err != nil { // what was known of it before counts
		m.malformed(c.key, err)
		return
	}
	s := m.sessions[id]
	if s == nil || !bytes.Equal(s.Secret, v.Secret) {
		s = &mirrorSession{}
		m.sessions[id] = s
	}
	s.sessionValue, s.rev = v, c.rev // the rest stays: it is the same session, attached anew or marked
	if v.Over {
		m.marked(id, c.rev)
	}
}
