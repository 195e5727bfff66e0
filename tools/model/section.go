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
// appended; otherwise it has been told of no record that is.
func (s *state) close(t token, f fate, appended, marked, noted bool) {
	c := s.section(t)
	c.fate = f
	if marked {
		c.marker, c.covers = true, c.staged
	}
	c.note = c.note || noted
	if f == released && appended {
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
//	if   guard; with a waiter: its key at its CreateRevision, its session alive
//	then put locks/L on the waiter's lease and delete its key, or delete locks/L;
//	     put commits/L//T if appended
//	else the truth rule
func (m *model) release(s *state, v *server, t token, session int8, appended bool) txn {
	if !m.guard(s, t, session) {
		return txn{answer: m.truth(s, t, session, appended)}
	}
	return m.end(s, v, t, session, released, appended, false)
}

// discard is the transaction of the same name: as release, without the marker, with a note if
// something was appended.
func (m *model) discard(s *state, v *server, t token, session int8, appended bool) txn {
	if m.guard(s, t, session) {
		return m.end(s, v, t, session, discarded, false, appended && !m.open.has(discardWithoutNote))
	}
	if !appended {
		return txn{answer: ok}
	}
	switch a := m.truth(s, t, session, appended); a {
	case ok:
		return txn{answer: cameTooLate}
	case lockExpired:
		return txn{answer: ok}
	default:
		return txn{answer: a}
	}
}

// commitSection is the transaction commit, by which a holder hands the lock over to itself.
//
//	if   guard
//	then put locks/L again with prev=T: its revision is the next token;
//	     put commits/L//T if appended
//	else the same holder with prev=T: the same answer; otherwise the truth rule
func (m *model) commitSection(s *state, t token, session int8, appended bool) txn {
	if m.guard(s, t, session) {
		marked := m.marks(s, t, appended)
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
			n.close(t, released, appended, marked, false)
			n.lock = 0
			m.grant(n, n.section(t).who, t, false)
		}
		return c
	}
	if s.lock != 0 && s.section(s.lock).prev == t && m.sessionOf(s.section(s.lock).who) == session {
		return txn{answer: ok, token: s.lock}
	}
	a := m.truth(s, t, session, appended)
	if a == ok {
		a = lockLost
	}
	return txn{answer: a}
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

// truth is the truth rule: what became of a section whose token no longer holds. First match wins.
func (m *model) truth(s *state, t token, session int8, appended bool) answer {
	c := s.section(t)
	began := s.sessions[session] // 1 + the last token before it
	switch {
	case c.note:
		return lockExpired
	case c.marker && !m.open.has(truthBySession):
		return ok
	case c.staged != 0 && !m.open.has(truthBySession):
		return lockExpired
	case s.lock == t || s.lock != 0 && s.lock < t:
		return lockExpired // another session's, or never granted
	case t <= s.horizon:
		return outcomeUnknown
	case began != 0 && began > t && !m.open.has(truthBySessionID):
		return lockExpired
	case began != 0:
		return ok
	case appended && !m.open.has(truthBySession):
		return ok // published and folded
	}
	return lockExpired
}
