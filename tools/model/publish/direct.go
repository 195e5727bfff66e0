package publish

// publish is the transaction of a section in one call, through a server that takes the lock to be
// free.
//
//	if   vacant: c(locks/L)=0, m(waited/L) <= what the mirror has seen; fresh;
//	     with a session c(sessions/S)>0
//	then put bundles/L//n.server, applied/L//lane, latest/L
//	else the outcome rule
func (m *model) publish(s *state, d delivery, f int8) txn {
	v := &s.servers[f].mirror
	free := s.lock.token == 0 || m.open == lockNotCompared
	vacant := v.vacant() && free && (s.waited <= v.seen || m.open == waitedNotCompared)
	alive := !d.session || !s.gone[d.client] || m.open == sessionNotCompared
	if !vacant || !alive || !m.fresh(s, d) {
		return txn{answer: m.outcome(s, d)}
	}
	return txn{answer: published, write: func(n *state) {
		if s.queue != [clients]revision{} {
			n.fail(overtaken)
		}
		m.putBundle(n, d, f, 0)
	}}
}

// putBundle publishes. Its token is this transaction's revision, unless it is one that was held.
func (m *model) putBundle(n *state, d delivery, f int8, held revision) {
	v := version{token: held}
	if held == 0 {
		v = version{token: n.now, n: 1}
		if n.last.token == n.now {
			v.n = n.last.n + 1
		}
		if n.lock.token == n.now {
			n.fail(sharedToken)
		}
	}
	b := section{version: v, id: d.id, empty: d.empty}
	if m.open == counterBeginsAgain {
		n.servers[f].counter++
		b.key = 1 + f*8 + n.servers[f].counter
	}
	n.add(b)
	n.notes[d.lane] = note{number: d.number, version: v, put: n.now}
	m.touch(n, v)
}

// touch puts latest/L.
func (m *model) touch(n *state, v version) {
	n.latest = n.now
	if m.open != versionByHeads {
		n.tells = v
	}
}

// add publishes a section: it is one more key, and what really happened.
func (s *state) add(x section) {
	if s.published.has(x.id) {
		s.fail(twice)
	}
	if s.never.has(x.id) {
		s.fail(untrue)
	}
	s.published.add(x.id)
	s.last = x.version
	into(&s.unfolded, x)
	for i, y := range s.sections { // a key that is there is put again, and keeps its CreateRevision
		if x.key != 0 && x.key == y.key {
			s.sections[i].id = x.id
			return
		}
	}
	into(&s.sections, x)
	order(&s.sections)
}

// into appends a section.
func into(all *[most]section, x section) {
	for i := range all {
		if all[i].token == 0 {
			all[i] = x
			return
		}
	}
}

// order sorts sections, as a fold takes them.
func order(all *[most]section) {
	for i := range all {
		for j := i; j > 0 && all[j].token != 0 && all[j].before(all[j-1].version); j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
}
