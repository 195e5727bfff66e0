package main

// etcdSteps are what happens to etcd, and what is forgotten there.
func (m *model) etcdSteps(s *state, out func(step, state)) {
	if w := m.forgetWaited(s); w.write != nil {
		n := *s
		n.commit(w)
		var e step
		e.what = "forget waited/"
		out(e, n)
	}
	if s.left.forgets > 0 {
		for t := token(1); t <= s.granted; t++ {
			n := *s
			if s.section(t).note && n.commit(m.forgetNote(t)) {
				n.left.forgets--
				var e step
				e.what, e.token = "forget the note", t
				out(e, n)
			}
		}
	}
	for i := range int8(maxSessions) {
		n, e := *s, step{}
		switch {
		case s.sessions[i] != 0 && s.left.expiries > 0:
			m.expire(&n, i)
			e.what, e.session = "expiry", i+1
			out(e, n)
		case s.sessions[i] == 0 && s.left.rebirths > 0 && m.used(i):
			n.left.rebirths--
			n.sessions[i] = 1 + s.granted
			e.what, e.session = "a second life", i+1
			out(e, n)
		}
	}
	if s.lock != 0 && s.left.hands > 0 {
		n, e := *s, step{}
		n.left.hands--
		n.close(s.lock, byHand, false, false, false)
		n.lock = 0
		e.what, e.token = "somebody deletes the lock's key by hand", s.lock
		out(e, n)
	}
	m.restoreSteps(s, out)
	m.pastSteps(s, out)
	if !s.full && s.left.fills > 0 {
		n, e := *s, step{}
		n.full = true
		n.left.fills--
		e.what = "etcd is full"
		out(e, n)
	}
	if s.full && s.left.empties > 0 {
		n, e := *s, step{}
		n.full = false
		n.left.empties--
		e.what = "etcd has room again"
		out(e, n)
	}
}

func (m *model) used(session int8) bool {
	for a := range m.acquisitions() {
		if m.sessionOf(a) == session {
			return true
		}
	}
	return false
}

// expire ends a session, and with it everything that is on its lease.
func (m *model) expire(s *state, session int8) {
	s.left.expiries--
	s.sessions[session] = 0
	for a := range m.acquisitions() {
		if m.sessionOf(a) == session {
			s.places[a] = 0
		}
	}
	if s.lock != 0 && m.sessionOf(s.section(s.lock).who) == session {
		s.close(s.lock, expired, false, false, false)
		s.lock = 0
	}
}

// restoreSteps stop the servers and restore etcd from a copy that was made in the section that
// holds: it lacks the last records. Revisions are raised, so that none is given out twice, and
// history is gone. All streams have ended.
func (m *model) restoreSteps(s *state, out func(step, state)) {
	if s.lock == 0 || s.left.restores == 0 {
		return
	}
	for call := range int8(8) {
		if !s.section(s.lock).staged.has(call) {
			continue
		}
		n, e := *s, step{}
		n.left.restores--
		n.history = grantOf(s.lock) + 1
		n.inquiry = inquiry{}
		c := n.section(s.lock)
		lost := c.staged &^ (1<<call - 1)
		c.staged &^= lost
		c.put &^= lost &^ s.clients[c.who].staged // of these nobody has been told
		n.clients[c.who].before = m.callOf(s, c.who, s.clients[c.who].call).last
		for f := range n.servers {
			n.servers[f] = server{}
			n.servers[f].catchUp(&n)
		}
		e.what, e.token = "restored from before a record was appended", s.lock
		out(e, n)
	}
}
