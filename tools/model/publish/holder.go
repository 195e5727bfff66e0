package publish

import "strings"

// Who holds the lock beside those that publish. That protocol has a model of its own, which looks
// closer: package main above this one.

// acquire grants a lock that the server's mirror shows to be vacant.
//
//	if   c(locks/L)=0, m(waited/L) <= what the mirror has seen, c(sessions/S)>0
//	then put locks/L
func (m *model) acquire(s *state, c int8, v *mirror) txn {
	switch {
	case !v.vacant():
		return txn{}
	case s.gone[c]:
		return txn{answer: sessionExpired}
	case s.lock.token == 0 && s.waited <= v.seen:
		return s.grant(c, func(*state) {})
	}
	return txn{}
}

// wait takes a place, unless it holds the lock, or has one.
//
//	if   held by this very (S, r)
//	then the same grant
//	else put queue/L//S.r and waited/L, if c(sessions/S)>0
func (m *model) wait(s *state, c int8) txn {
	switch {
	case s.lock.token != 0 && s.lock.who == c:
		return txn{answer: ok, token: s.lock.token}
	case s.gone[c]:
		return txn{answer: sessionExpired}
	case s.queue[c] != 0:
		return txn{answer: queued}
	}
	return txn{answer: queued, write: func(n *state) { n.queue[c], n.waited = n.now, n.now }}
}

// grant makes a client the holder, with whatever else is written.
func (s *state) grant(c int8, besides func(*state)) txn {
	return txn{answer: ok, grants: true, write: func(n *state) {
		for i, at := range n.queue {
			if int8(i) != c && at != 0 && (n.queue[c] == 0 || at < n.queue[c]) {
				n.fail(overtaken)
			}
		}
		besides(n)
		if n.last.token == n.now {
			n.fail(sharedToken)
		}
		n.lock = hold{n.now, c}
		n.queue[c] = 0
	}}
}

// pass moves the lock on, with an ending: to a run, to the first waiter, or to nobody. A waiter
// that only the server's own changes show is not served: others may stand before it. What passes it
// on may publish for a lane: see run.
func (m *model) pass(s *state, f, lane int8) txn {
	if t, is := m.run(s, f, lane); is {
		return t
	}
	v := &s.servers[f].mirror
	switch c, waits := v.first(); {
	case waits && v.queue[c] <= v.seen && s.queue[c] != v.queue[c]:
		return txn{failed: func(v *mirror) { v.queue[c] = 0 }}
	case waits && v.queue[c] <= v.seen:
		return s.grant(c, func(*state) {})
	}
	return txn{answer: ok, write: func(n *state) { n.lock = hold{} }}
}

// release ends a hold.
//
//	if   m(locks/L)=T, and the next waiter's place
//	then pass the lock on; with data put commits/L//T, latest/L
func (m *model) release(s *state, c int8, data bool, f int8) txn {
	token := s.clients[c].token
	if s.lock.token != token {
		return txn{answer: lost}
	}
	t := m.pass(s, f, noLane)
	if t.write == nil {
		return t
	}
	passed := t.write
	t.answer = ok
	t.write = func(n *state) {
		if data {
			n.add(section{version: version{token: token}, id: heldBy(c)})
			m.touch(n, version{token: token})
		}
		passed(n)
	}
	return t
}

// promote serves the first waiter of a free lock.
//
//	if   c(locks/L)=0, and its place
//	then grant it, or a run
func (m *model) promote(s *state, f int8) txn {
	v := &s.servers[f].mirror
	c, waits := v.first()
	if !waits || v.lock.token != 0 || s.lock.token != 0 {
		return txn{}
	}
	if t, is := m.run(s, f, noLane); is {
		return t
	}
	if v.queue[c] > v.seen || s.queue[c] != v.queue[c] {
		return txn{}
	}
	return s.grant(c, func(*state) {})
}

// holdSteps are what a server does about holders.
func (m *model) holdSteps(s *state, f int8, out func(step, state)) {
	if t := m.promote(s, f); t.write != nil {
		m.done(s, f, t, out, step{what: "promotes", server: f + 1})
	}
	if s.lock.token != 0 && s.left.evictions > 0 {
		if t := m.pass(s, f, noLane); t.write != nil {
			x := *s
			x.left.evictions--
			m.done(&x, f, t, out, step{what: "evicts", server: f + 1, client: s.lock.who + 1})
		}
	}
}

// heartbeatSteps end what a client does not list: what it was granted, or queued for, by a call
// that came late.
func (m *model) heartbeatSteps(s *state, c int8, out func(step, state)) {
	if m.lists(s, c) {
		return
	}
	if s.queue[c] != 0 {
		t := txn{write: func(n *state) { n.queue[c] = 0 }}
		out(step{what: "a heartbeat cancels the place of", client: c + 1}, s.commit(t))
	}
	if s.lock.token == 0 || s.lock.who != c {
		return
	}
	for f := range int8(servers) {
		t := m.pass(s, f, noLane)
		if t.write == nil {
			s.retry(f, t, out)
			continue
		}
		m.done(s, f, t, out, step{what: "a heartbeat ends the hold of", server: f + 1, client: c + 1})
	}
}

// lists reports whether a client's heartbeat lists its acquisition: it waits, or holds the lock.
func (m *model) lists(s *state, c int8) bool {
	x := s.clients[c]
	return x.status != ended && strings.IndexByte("ARLQD", m.scripts[c].calls[x.at]) >= 0
}

// done commits a transaction of a server, which may then know its own change, or not.
func (m *model) done(s *state, f int8, t txn, out func(step, state), e step) {
	n := s.commit(t)
	out(e, n)
	n.servers[f].mirror.own(s, &n)
	out(e, n)
}

// retry has a server learn from a transaction that failed.
func (s *state) retry(f int8, t txn, out func(step, state)) {
	if t.failed != nil {
		n := *s
		t.failed(&n.servers[f].mirror)
		out(step{what: "finds that a waiter is gone", server: f + 1}, n)
	}
}

// mirrorSteps have a mirror catch up.
func (m *model) mirrorSteps(s *state, f int8, out func(step, state)) {
	n := *s
	n.servers[f].mirror = mirror{lock: s.lock, queue: s.queue, seen: s.now}
	out(step{what: "its mirror catches up", server: f + 1}, n)
}
