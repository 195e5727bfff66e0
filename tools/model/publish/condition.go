package publish

// known is what a server has read of a lock, or knows because it has published there itself: at one
// revision.
type known struct {
	is     bool
	at     revision
	latest revision // m(latest/L) as of then
	last   version  // of the lock, as it was told
	really version  // as it really was
}

// know is what a server reads in one transaction.
func (m *model) know(s *state) known {
	return known{is: true, at: s.now, latest: s.latest, last: m.tells(s), really: s.last}
}

// tells is a lock's version. Heads do not have it: a section may have no operations.
func (m *model) tells(s *state) version {
	if m.open != versionByHeads {
		return s.tells
	}
	v := s.tells
	for _, x := range s.sections {
		if x.token != 0 {
			v = x.version
		}
	}
	return v
}

// meets reports whether a lock's version is the one that is expected.
func (m *model) meets(last, expect version) bool {
	return last == expect || m.open == versionIsToken && last.token == expect.token
}

// publishIf is a publish under the condition that nothing was published since a version. It is
// evaluated on what the server knows, and published only if that still is so.
//
//	if   as publish; m(latest/L)=p, as it was at X, when the server knew it;
//	     if there was none, V(forgotten) < hex16(X+1): it may have come and gone
//	then as publish
//	else the outcome rule; latest/L has moved: it is to be read again
func (m *model) publishIf(s *state, d delivery, f int8) txn {
	k := &s.servers[f].known
	switch {
	case !k.is:
		return txn{}
	case !m.meets(k.last, d.expect):
		if m.open == conflictByKnown {
			return txn{answer: conflict}
		}
		return m.conflict(s, d)
	case k.latest != s.latest:
		return txn{}
	case k.latest == 0 && s.forgotten >= k.at+1 && m.open != latestForgotten:
		return txn{}
	}
	t := m.publish(s, d, f)
	if t.write == nil {
		return t
	}
	publishes := t.write
	t.write = func(n *state) {
		met := s.tells == d.expect
		if m.open == versionByHeads {
			met = n.last == d.expect // s.tells is not latest/L's
		}
		if n.last != k.really || !met {
			n.fail(notMet)
		}
		publishes(n)
		n.servers[f].known = m.know(n)
	}
	return t
}

// conflict is told for a condition that is false, as is read for this very delivery: what the
// server knew before may be older than what is expected. With it the note is read: it may be false
// because of an earlier delivery. It is final, for no version comes back; but none may: latest/L is
// forgotten.
//
//	at one revision: the outcome rule, as far as the note; the condition is false
func (m *model) conflict(s *state, d delivery) txn {
	if !m.fresh(s, d) && m.open != conflictWithoutNote {
		return txn{answer: m.outcome(s, d)}
	}
	if m.meets(m.tells(s), d.expect) {
		return txn{}
	}
	return txn{answer: conflict}
}

// knowSteps have a server read the version and latest/L in one transaction.
func (m *model) knowSteps(s *state, f int8, out func(step, state)) {
	if m.conditions {
		n := *s
		n.servers[f].known = m.know(s)
		out(step{what: "reads the lock's version", server: f + 1}, n)
	}
}

// forgetLatest drops latest/L, if the lock has no files, and nothing is published that is not
// folded.
//
//	if   m(latest/L) unchanged since that was seen; m(forgotten)
//	then delete it, raise forgotten to its ModRevision
func (m *model) forgetLatest(s *state, out func(step, state)) {
	if s.latest == 0 || s.sections[0].token != 0 || s.files {
		return
	}
	out(step{what: "latest/L is forgotten"}, s.commit(txn{write: func(n *state) {
		n.left.forgets--
		n.forgotten = max(n.forgotten, n.latest)
		n.latest, n.tells = 0, version{}
	}}))
}
