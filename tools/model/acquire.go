package main

// grant gives the lock to an acquisition; past others if that is so.
func (m *model) grant(s *state, a int8, prev token, past bool) {
	if past {
		s.fail(overtaken)
	}
	if s.lock != 0 {
		s.fail(grantedWhileHeld)
	}
	if s.places[a] != 0 {
		s.fail(holderWaits)
	}
	s.granted++
	s.lock = s.granted
	*s.section(s.granted) = section{who: a, prev: prev}
}

// overtakes reports whether a grant to an acquisition passes over one that took its place earlier;
// place 0: it has none.
func (s *state) overtakes(a int8, place clock) bool {
	for b, c := range s.places {
		if int8(b) != a && c != 0 && (place == 0 || c < place) {
			return true
		}
	}
	return false
}

// acquire is the transaction of the same name, through a server whose mirror shows neither holder
// nor queue.
//
//	if   c(locks/L)=0, m(waited/L) <= what the mirror has seen, c(sessions/S)>0
//	then put locks/L
//	else the same grant, or its place; otherwise go on to wait
func (m *model) acquire(s *state, a int8, v *server) txn {
	if !v.vacant() {
		return txn{}
	}
	if !m.alive(s, a) {
		return txn{answer: sessionExpired}
	}
	if s.lock == 0 && (s.waited <= v.seen || m.open.has(acquireByMirror)) {
		return m.direct(s, a)
	}
	if t, ok := m.standing(s, a); ok {
		return t
	}
	return txn{}
}

// try is an acquire that does not wait.
//
//	if   c(locks/L)=0, nothing under queue/L//, c(sessions/S)>0
//	then put locks/L
//	else the same grant; otherwise nothing
func (m *model) try(s *state, a int8, v *server) txn {
	vacant := s.places == [maxAcquisitions]clock{}
	if m.open.has(tryByMirror) {
		vacant = v.vacant()
	}
	switch t, ok := m.standing(s, a); {
	case !m.alive(s, a):
		return txn{answer: sessionExpired}
	case ok:
		return t
	case s.lock == 0 && vacant:
		return m.direct(s, a)
	}
	return txn{answer: busy}
}

// direct grants a free lock. A repeat that found it held, and takes a place, must not share its
// batch.
func (m *model) direct(s *state, a int8) txn {
	t := txn{answer: ok, token: justNow, lease: 1 + m.sessionOf(a), touches: []touch{{key{family: locks}, put}}}
	if !m.open.has(grantBesidePlace) {
		t.touches = append(t.touches, touch{key{family: queue, at: a}, besides})
	}
	past := s.overtakes(a, 0)
	t.write = func(n *state) { m.grant(n, a, 0, past) }
	return t
}

// standing is what an acquisition has already.
func (m *model) standing(s *state, a int8) (txn, bool) {
	switch {
	case s.lock != 0 && s.section(s.lock).who == a:
		return txn{answer: ok, token: s.lock}, true
	case s.places[a] != 0:
		return txn{answer: queued}, true
	}
	return txn{}, false
}

// wait is the transaction of the same name.
//
//	if   held by this very (S, r)
//	then the same grant
//	else put queue/L//S.r once, if c(sessions/S)>0; with it put waited/L
func (m *model) wait(s *state, a int8) txn {
	switch {
	case s.lock != 0 && s.section(s.lock).who == a:
		return txn{answer: ok, token: s.lock}
	case !m.alive(s, a):
		return txn{answer: sessionExpired}
	}
	return m.place(s, a)
}

// place puts a place in the queue, unless it is there. waited/L is put in any case.
func (m *model) place(s *state, a int8) txn {
	is := s.places[a] != 0
	return txn{
		answer: queued, lease: 1 + m.sessionOf(a),
		touches: []touch{{key{family: queue, at: a}, put}, {key{family: waited}, along}},
		write: func(n *state) {
			n.waited = n.latest() + 1
			if is {
				return
			}
			n.places[a] = n.waited
			if n.lock != 0 && n.section(n.lock).who == a {
				n.fail(holderWaits)
			}
		},
	}
}

// cancel is the transaction of the same name. If the wait was over already, its token is the
// answer.
//
//	if   c(queue/L//S.r)>0
//	then delete it
//	else the holder is (S, r): it was granted
func (m *model) cancel(s *state, a int8) txn {
	if s.places[a] != 0 {
		return txn{answer: ok, touches: []touch{{key{family: queue, at: a}, del}}, write: func(n *state) { n.places[a] = 0 }}
	}
	t := txn{answer: ok}
	if s.lock != 0 && s.section(s.lock).who == a {
		t.token = s.lock
	}
	return t
}

// pass is the part of a transaction that moves the lock on: to the first in line that the mirror
// shows and etcd has, or to nobody. Waiters that are gone are skipped, each after an attempt that
// changed nothing; so is everybody from the first on that only this server's own transactions have
// told it of, since others may stand before it.
func (m *model) pass(s *state, v *server) txn {
	next, place := m.next(s, v)
	if next < 0 {
		return txn{touches: []touch{{key{family: locks}, del}}, write: func(n *state) { n.lock = 0 }}
	}
	past := s.overtakes(next, place)
	return txn{
		lease:   1 + m.sessionOf(next),
		touches: []touch{{key{family: locks}, put}, {key{family: queue, at: next}, del}},
		write: func(n *state) {
			n.lock, n.places[next] = 0, 0
			m.grant(n, next, 0, past)
		},
	}
}

// next returns the first waiter, -1 if there is none, and its place.
func (m *model) next(s *state, v *server) (first int8, place clock) {
	line := v.places // waiters that are gone are skipped by one call; the mirror stays as it is
	for {
		first = -1
		for a, c := range line {
			if c != 0 && (first < 0 || c < line[first]) {
				first = int8(a)
			}
		}
		if first < 0 || line[first] > v.seen && !m.open.has(ownWaiterUnseen) {
			return -1, 0
		}
		if s.places[first] == line[first] {
			return first, line[first]
		}
		line[first] = 0
	}
}

// promote is the transaction of the same name, whenever a mirror shows a free lock with a queue.
//
//	if   c(locks/L)=0, the first waiter's key at its CreateRevision, its session alive
//	then put locks/L for it, delete its key
func (m *model) promote(s *state, v *server) txn {
	if v.holder != 0 || v.places == [maxAcquisitions]clock{} || s.lock != 0 && !m.open.has(promoteByMirror) {
		return txn{}
	}
	next, place := m.next(s, v)
	if next < 0 {
		return txn{}
	}
	past := s.overtakes(next, place)
	return txn{
		answer: ok, token: justNow, lease: 1 + m.sessionOf(next),
		touches: []touch{{key{family: locks}, put}, {key{family: queue, at: next}, del}},
		write: func(n *state) {
			n.places[next] = 0
			m.grant(n, next, 0, past)
		},
	}
}

// vacant reports whether a mirror shows neither holder nor queue.
func (v *server) vacant() bool { return v.holder == 0 && v.places == [maxAcquisitions]clock{} }

// catchUp brings a mirror to what etcd is now. It may have been any earlier moment until then.
func (v *server) catchUp(s *state) {
	v.holder, v.places, v.seen = s.lock, s.places, s.latest()
}

// own takes what the server's own transaction has changed into its mirror, before the watch repeats
// it.
func (v *server) own(before, after *state) {
	if before.lock != after.lock {
		v.holder = after.lock
	}
	for a := range v.places {
		if before.places[a] != after.places[a] {
			v.places[a] = after.places[a]
		}
	}
}
