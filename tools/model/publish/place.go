package publish

// placed is a publish that waits, through a server that found the lock held, or waited for: it
// takes a place, and when that has come to be the hold, it is finished. The server keeps what is to
// be published in its memory.
func (m *model) placed(s *state, d delivery, f int8) txn {
	if s.lock.token != 0 && s.lock.who == d.client {
		return m.finish(s, d, f)
	}
	return m.place(s, d)
}

// place is the transaction of the same name.
//
//	if   fresh, c(sessions/S)>0
//	then put queue/L//S.r once, on the session's lease, and waited/L
//	else the outcome rule
func (m *model) place(s *state, d delivery) txn {
	switch {
	case !m.fresh(s, d) && m.open != placeWithoutFresh:
		return txn{answer: m.outcome(s, d)}
	case s.gone[d.client]:
		return txn{answer: sessionExpired}
	case s.queue[d.client] != 0:
		return txn{answer: queued}
	}
	return txn{answer: queued, write: func(n *state) {
		if n.published.has(d.id) {
			n.fail(parked)
		}
		n.queue[d.client], n.waited = n.now, n.now
	}}
}

// finish is for a placed publish that was granted the lock like any waiter: another server passed
// it on.
//
//	if   m(locks/L)=T, fresh, the next waiter as in release
//	then put the section with token T, applied/L//lane, latest/L; pass the lock on
//	else applied there: end the hold without data, and the outcome rule
//
// With a condition, which is read while T holds, and so cannot change before T's end:
//
//	refuse: it is false: as above without the three puts, CONFLICT
func (m *model) finish(s *state, d delivery, f int8) txn {
	t := m.pass(s, f, d.lane)
	if t.write == nil {
		return t
	}
	refuses := d.conditional && !m.meets(m.tells(s), d.expect)
	token, passes := s.lock.token, t.write
	t = txn{answer: published, write: func(n *state) {
		if d.conditional && m.tells(n) != d.expect {
			n.fail(notMet)
		}
		m.putBundle(n, d, f, token)
		passes(n)
	}}
	switch {
	case !m.fresh(s, d) && (m.open != refuseWithoutFresh || !refuses):
		t.answer, t.write = m.outcome(s, d), passes
	case refuses:
		t.answer, t.write = conflict, passes
	}
	return t
}
