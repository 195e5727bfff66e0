package main

// Group commit: a server asks etcd for several transactions as one. Every compare of it sees the
// state before the batch, and all that it writes is one revision. What may share a batch is what
// writes no key in common.

// member is a transaction on its way.
type member struct {
	what   string
	client int8
	call   call
	// look looks at its compares. A plain one does not compare whether the session lives whose
	// lease it puts on.
	look func(s *state, plain bool) txn
}

// pairSteps puts each two transactions that a server may have on their way into one batch, and
// yields what breaks an invariant. A pack, which is one transaction with the compares of many, does
// the same if all of them hold, and nothing otherwise.
func (m *model) pairSteps(s *state, yield func(step, state)) {
	for f := range int8(servers) {
		members := m.pending(s, f)
		for i, a := range members {
			for _, b := range members[i+1:] {
				if n := m.batch(s, a, b); n.broken != holds {
					yield(step{what: "one batch, " + a.what + " and " + b.what, server: f + 1}, n)
				}
			}
		}
	}
}

// pending returns the transactions that a server may have on their way.
func (m *model) pending(s *state, f int8) (all []member) {
	v := &s.servers[f]
	own := func(what string, look func(*state) txn) {
		all = append(all, member{what: what, client: -1, look: func(s *state, _ bool) txn { return look(s) }})
	}
	for a := range m.acquisitions() {
		script, session := m.scripts[a].calls, m.sessionOf(a)
		for i := range min(s.clients[a].call+1, int8(len(script))) {
			c := m.callOf(s, a, i)
			add := func(what string, look func(*state) txn) {
				all = append(all, member{what: what, client: a, call: c, look: func(s *state, _ bool) txn { return look(s) }})
			}
			switch {
			case c.kind == 'A':
				all = append(all, member{what: "acquire", client: a, call: c, look: func(s *state, plain bool) txn {
					if plain && v.vacant() && s.lock == 0 && s.waited <= v.seen {
						return m.direct(s, a)
					}
					return m.acquire(s, a, v)
				}}, member{what: "wait", client: a, call: c, look: func(s *state, plain bool) txn {
					if plain && (s.lock == 0 || s.section(s.lock).who != a) {
						return m.place(s, a)
					}
					return m.wait(s, a)
				}})
				c.kind = 'g'
				add("cancel", func(s *state) txn { return m.cancel(s, a) })
			case c.token == 0:
			case c.kind == 'a':
				add("append", func(s *state) txn { return m.appendRecord(s, c.token, session, c.number) })
			case c.kind == 'C':
				add("commit", func(s *state) txn { return m.commitSection(s, c, session) })
			case c.kind == 'R':
				add("release", func(s *state) txn { return m.release(s, v, c, session) })
			case c.kind == 'D':
				add("discard", func(s *state) txn { return m.discard(s, v, c, session) })
			}
		}
	}
	if s.lock != 0 {
		t := s.lock
		if a := s.section(t).who; s.clients[a].token == t { // which may end its section while an append is on its way
			c := call{kind: 'R', token: t, appended: true}
			all = append(all, member{what: "release", client: a, call: c, look: func(s *state, _ bool) txn {
				return m.release(s, v, c, m.sessionOf(a))
			}})
		}
		own("evict", func(s *state) txn {
			if s.lock != t {
				return txn{}
			}
			return m.evict(s, v, true)
		})
	}
	own("promote", func(s *state) txn { return m.promote(s, v) })
	own("forget waited/", m.forgetWaited)
	var j fold
	if m.readSections(s, &j, 1); j.read {
		j.readHead(s)
		own("fold", func(s *state) txn { return m.foldSections(s, &j) })
	}
	for t := token(1); t <= s.granted; t++ {
		if s.section(t).staged != 0 {
			own("sweep", func(s *state) txn { return m.sweepSection(s, t) })
		}
	}
	return all
}

// batch commits two transactions as one, and returns the state after it.
func (m *model) batch(s *state, members ...member) state {
	n := *s
	txns := make([]txn, len(members))
	dead := false
	for i, b := range members {
		txns[i] = b.look(s, true)
		if txns[i].write == nil {
			return n // a look: it shares a batch with anybody
		}
		dead = dead || txns[i].lease != 0 && s.sessions[txns[i].lease-1] == 0
	}
	if m.meet(txns[0], txns[1]) {
		return n
	}
	if dead { // etcd refuses all of it
		for i, b := range members {
			if m.open.has(refusalForAll) {
				txns[i] = txn{answer: sessionExpired}
			} else { // again, apart, each with that compare
				txns[i] = b.look(&n, false)
				n.commit(txns[i])
			}
		}
	} else {
		for _, last := range []bool{false, true} { // an ending publishes what is staged at its revision
			for _, t := range txns {
				if t.ends == last {
					n.commit(t)
				}
			}
		}
	}
	for i, b := range members {
		if b.client < 0 {
			continue
		}
		if txns[i].answer == sessionExpired && m.alive(s, b.client) {
			n.fail(refusedForAnother)
		}
		if b.call.token != 0 {
			m.judge(&n, b.call, m.sessionOf(b.client), txns[i].answer)
		}
		if b.call.kind == 'g' && txns[i].token == 0 && n.lock != 0 && n.section(n.lock).who == b.client {
			n.fail(untrue) // told that it does not wait any more, and it holds
		}
	}
	m.check(&n)
	return n
}
