package main

// serverSteps are what a server does on its own.
func (m *model) serverSteps(s *state, f int8, out func(step, state)) {
	v := &s.servers[f]
	n := *s
	n.servers[f].catchUp(s)
	if n.servers[f] != *v {
		out(step{what: "its mirror catches up", server: f + 1}, n)
	}
	commits := func(e step, t txn, spend func(*state)) {
		n := *s
		if t.write == nil || !n.commit(t) {
			return
		}
		e.token = t.token
		if e.token == justNow {
			e.token = n.granted
		}
		spend(&n)
		out(e, n)
		n.servers[f].own(s, &n)
		if n.servers[f] != *v {
			e.known = true
			out(e, n)
		}
	}
	free := func(*state) {}
	commits(step{what: "promote", server: f + 1}, m.promote(s, v), free)
	if s.lock != 0 && s.left.evictions > 0 {
		t := m.evict(s, v, !m.open.has(evictWithoutNote))
		t.token = s.lock
		commits(step{what: "evict", server: f + 1}, t, func(n *state) { n.left.evictions-- })
	}
	m.foldSteps(s, f, out)
	m.sweepSteps(s, f, out)
	if s.left.crashes > 0 {
		n := *s
		n.servers[f] = server{}
		n.servers[f].catchUp(s)
		n.left.crashes--
		if n.servers[f] != *v {
			out(step{what: "crashes, and begins anew", server: f + 1}, n)
		}
	}
}

func (m *model) sweepSteps(s *state, f int8, out func(step, state)) {
	v := &s.servers[f]
	for t := token(1); t <= s.granted; t++ {
		if s.section(t).staged == 0 {
			continue
		}
		if !m.sweeping() {
			if f == 0 {
				m.sweepNow(s, f, t, out)
			}
		} else if v.sweep == 0 && v.holder != t && !s.section(t).marker {
			n := *s
			n.servers[f].sweep = t
			out(step{what: "finds records of nobody that it knows to hold", server: f + 1, token: t}, n)
		}
	}
	if v.sweep != 0 {
		m.sweepNow(s, f, v.sweep, out)
	}
}

func (m *model) sweepNow(s *state, f int8, t token, out func(step, state)) {
	n := *s
	n.servers[f].sweep = 0
	if w := m.sweepSection(s, t); w.write == nil || !n.commit(w) {
		return
	}
	if n != *s {
		out(step{what: "sweep", server: f + 1, token: t}, n)
	}
}

func (m *model) foldSteps(s *state, f int8, out func(step, state)) {
	published := 0
	for t := token(1); t <= s.granted; t++ {
		if s.section(t).marker {
			published++
		}
	}
	j := s.servers[f].fold
	write := func(j fold, e step) {
		n := *s
		if w := m.foldSections(s, &j); w.write != nil && n.commit(w) {
			n.servers[f].fold = fold{}
			out(e, n)
		}
	}
	if m.foldAtOnce {
		for n := 1; n <= min(published, mergeSections) && f == 0; n++ {
			var j fold
			m.readSections(s, &j, n)
			j.readHead(s)
			write(j, step{what: "fold", server: f + 1, token: j.tokens[0]})
		}
		return
	}
	if !j.read {
		for k := 1; k <= min(published, mergeSections); k++ {
			n := *s
			m.readSections(s, &n.servers[f].fold, k)
			e := step{what: "fold: reads a section", server: f + 1, token: n.servers[f].fold.tokens[0]}
			if k > 1 {
				e.what = "fold: reads two sections"
			}
			out(e, n)
		}
	}
	if !j.head && (published > 0 || j.read) {
		n := *s
		n.servers[f].fold.readHead(s)
		out(step{what: "fold: reads the head", server: f + 1}, n)
	}
	if j.read && j.head {
		write(j, step{what: "fold", server: f + 1, token: j.tokens[0]})
		n := *s
		n.servers[f].fold = fold{}
		out(step{what: "fold: broken off", server: f + 1}, n)
	}
}
