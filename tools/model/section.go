package main

// guard holds while a session holds the lock under a token.
//
//	m(locks/L)=T and Lease(locks/L)=S
func (m *model) guard(s *state, t token, session int8) bool {
	return t != 0 && s.lock == t && (m.sessionOf(s.section(t).who) == session || m.open.has(guardByToken))
}

// owned checks that a section is changed by its own session only.
func (m *model) owned(n *state, t token, session int8) {
	if m.sessionOf(n.section(t).who) != session {
		n.fail(changedByAnother)
	}
}

// appendRecord is the transaction append.
//
//	if   guard, c(record)=0
//	then put the record
//	else success if it is there and its section is open or published; else ErrLockExpired
func (m *model) appendRecord(s *state, t token, session, call int8) txn {
	c := s.section(t)
	held := m.guard(s, t, session)
	there := c.staged.has(call) || c.tombs.has(call)
	switch {
	case held && !there:
	case there && (held || c.marker):
		return txn{answer: ok}
	default:
		return txn{answer: lockExpired}
	}
	return txn{
		answer: ok, touches: []touch{{key{staged, int8(t), call}, put}},
		write: func(n *state) {
			m.owned(n, t, session)
			n.section(t).staged |= 1 << call
			n.section(t).put |= 1 << call
		},
	}
}

// end is an ending: what it does to the section, and the lock passed on.
func (m *model) end(s *state, v *server, t token, session int8, f fate, appended, noted bool) txn {
	marked := f == released && m.marks(s, t, appended)
	p := m.pass(s, v)
	if s.full && !marked && f != evicted && !m.open.has(fullNeedsPut) { // the lock is freed with a deletion and nothing else
		p, noted = txn{touches: []touch{{key{family: locks}, del}}, write: func(n *state) { n.lock = 0 }}, false
	}
	bare := s.full && f == discarded && m.open.has(fullDropsEvidence)
	e := txn{answer: ok, lease: p.lease, touches: p.touches, ends: true}
	e.mark(t, marked, noted)
	e.write = func(n *state) {
		if f != evicted {
			m.owned(n, t, session)
		}
		n.close(t, f, appended, marked, noted)
		if bare {
			n.section(t).staged = 0
		}
		p.write(n)
		n.section(t).end.passed = n.lock != 0
	}
	return e
}

// mark adds the keys that say what became of a section.
func (t *txn) mark(of token, marked, noted bool) {
	if marked {
		t.touches = append(t.touches, touch{key{family: commits, at: int8(of)}, put})
	}
	if noted {
		t.touches = append(t.touches, touch{key{family: undone, at: int8(of)}, put})
	}
}

// close ends a section. What it publishes is all that is staged, if its client says that it has
// appended, or if a record was acknowledged; otherwise nobody has been told of one.
func (s *state) close(t token, f fate, appended, marked, noted bool) {
	c := s.section(t)
	c.fate = f
	c.end = atEnd{marker: marked, note: noted, session: f != expired}
	if marked {
		c.marker, c.covers = true, c.staged
	}
	c.note = c.note || noted
	if f == released && (appended || c.put&s.clients[c.who].staged != 0) {
		c.published = c.put
	}
}

// marks reports whether a publishing call puts the marker: if its client says that it has appended.
func (m *model) marks(s *state, t token, appended bool) bool {
	if m.open.has(markerByLooking) {
		return s.section(t).staged != 0
	}
	return appended
}

// release is the transaction of the same name.
//
//	if   guard, the holder's last records are there; with a waiter: its key at its CreateRevision,
//	     its session alive
//	then put locks/L on the waiter's lease and delete its key, or delete locks/L;
//	     put commits/L//T if appended
//	else DATA_LOSS if only the record is missing; otherwise the truth rule
func (m *model) release(s *state, v *server, c call, session int8) txn {
	switch {
	case !m.guard(s, c.token, session):
		return txn{answer: m.truth(s, c, session)}
	case m.lacks(s, c):
		return txn{answer: dataLoss}
	}
	return m.end(s, v, c.token, session, released, c.appended, false)
}

// lacks reports whether a record is gone that an ending names, the last over each stream that its
// holder knows to be staged.
func (m *model) lacks(s *state, c call) bool {
	for _, last := range []int8{c.last, c.before} {
		if last > 0 && !s.section(c.token).staged.has(last-1) && !m.tokenSurvives() && !m.open.has(lastIsNotNamed) {
			return true
		}
	}
	return false
}

// discard is the transaction of the same name: as release, without the marker, with a note if
// something was appended.
func (m *model) discard(s *state, v *server, c call, session int8) txn {
	if m.guard(s, c.token, session) {
		return m.end(s, v, c.token, session, discarded, false, c.appended && !m.open.has(discardWithoutNote))
	}
	if !c.appended {
		return txn{answer: ok}
	}
	return txn{answer: said('D', m.truth(s, c, session))}
}

// commitSection is the transaction commit, by which a holder hands the lock over to itself.
//
//	if   guard, the holder's last records are there
//	then put locks/L again with prev=T: its revision is the next token;
//	     put commits/L//T if appended
//	else the same holder with prev=T: the same answer; DATA_LOSS if only the record is missing;
//	     otherwise the truth rule
func (m *model) commitSection(s *state, call call, session int8) txn {
	t := call.token
	if m.guard(s, t, session) {
		if m.lacks(s, call) {
			return txn{answer: dataLoss}
		}
		marked := m.marks(s, t, call.appended)
		c := txn{answer: ok, token: justNow, lease: 1 + session, ends: true, touches: []touch{{key{family: locks}, put}}}
		c.mark(t, marked, false)
		if m.open.has(commitKeepsToken) && s.section(t).published != 0 {
			return txn{answer: ok, token: t} // even if a repeat of it did no harm
		}
		if m.tokenSurvives() {
			c.token = t
			c.write = func(n *state) { n.closeHalf(t) }
			return c
		}
		c.write = func(n *state) {
			m.owned(n, t, session)
			n.close(t, released, call.appended, marked, false)
			n.lock = 0
			m.grant(n, n.section(t).who, t, false)
			n.section(t).end.passed = true
		}
		return c
	}
	if s.lock != 0 && s.section(s.lock).prev == t && m.sessionOf(s.section(s.lock).who) == session {
		return txn{answer: ok, token: s.lock}
	}
	return txn{answer: said('C', m.truth(s, call, session))}
}

// tokenSurvives reports whether hole H2 is open: a commit that does not give the section that
// follows a token of its own.
func (m *model) tokenSurvives() bool {
	return m.open.has(commitKeepsToken) || m.open.has(commitLeavesTombs)
}

// closeHalf is a commit of that kind. Its marker is for what is staged when it is put. What it
// publishes is meant to be what was staged when it was first made.
func (s *state) closeHalf(t token) {
	c := s.section(t)
	c.marker, c.covers = true, c.staged
	if c.published == 0 {
		c.published = c.put
	}
}

// readable returns the records of a section with a marker.
func (m *model) readable(c *section) records {
	if m.tokenSurvives() {
		return c.staged & c.covers
	}
	return c.staged
}

// evict is the transaction of the same name.
//
//	if   m(locks/L)=T
//	then pass the lock on as release does, put undone/L//T
func (m *model) evict(s *state, v *server, noted bool) txn {
	return m.end(s, v, s.lock, -1, evicted, false, noted)
}
