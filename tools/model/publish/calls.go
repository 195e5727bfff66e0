package publish

// callSteps have a call of a client reach a server: the one in hand as often as it likes, and late
// duplicates of any that it has sent.
func (m *model) callSteps(s *state, c int8, out func(step, state)) {
	x := s.clients[c]
	for at := int8(0); at <= x.at && int(at) < len(m.scripts[c].calls); at++ {
		late := at < x.at || x.status == ended
		if late && s.left.duplicates == 0 {
			continue
		}
		kind := m.scripts[c].calls[at]
		for f := range int8(servers) {
			if (kind == 'W' || kind == 'V') && f > 0 {
				continue // it does not matter which
			}
			for _, way := range ways(kind) {
				m.callStep(s, c, at, f, way, late, out)
			}
		}
	}
}

// ways are the transactions that a call may come to, in any order. One that waits has another one
// for that.
func ways(kind byte) []byte {
	switch kind {
	case 'A':
		return []byte{'A', 'w'}
	case 'Q', 'D':
		return []byte{kind, 'p'}
	}
	return []byte{kind}
}

// callStep is one execution of a call.
func (m *model) callStep(s *state, c, at, f int8, way byte, late bool, out func(step, state)) {
	sent := *s
	d := m.deliver(&sent, c, at, way)
	t := m.transaction(&sent, c, d, f, way)
	if t.answer == busy && (way == 'Q' || way == 'D' || way == 'p') {
		return // it waits
	}
	if t.answer == nothing {
		sent.retry(f, t, out)
		return
	}
	n := sent.commit(t)
	if way == 'p' && t.answer == queued {
		n.servers[f].payload[c] = at + 1
	}
	m.judge(&n, d, way, t.answer)
	e := step{what: "executes", server: f + 1, client: c + 1, call: m.scripts[c].calls[at], answer: t.answer, late: late}
	if late {
		n.left.duplicates--
	}
	m.told(&sent, n, f, t, out, e, func(n *state) {
		if !late && t.answer != queued {
			m.reply(n, c, way, t)
		}
	})
}

// told ends an execution: with the server knowing its own change, or not; with the answer, or with
// one that is lost.
func (m *model) told(s *state, n state, f int8, t txn, out func(step, state), e step, reply func(*state)) {
	for known := range 2 {
		if known > 0 {
			if t.write == nil {
				return
			}
			n.servers[f].mirror.own(s, &n)
		}
		if !e.late && t.answer != queued && s.left.duplicates > 0 && t.write != nil {
			x, l := n, e
			x.left.duplicates--
			l.lost = true
			out(l, x)
		}
		x := n
		reply(&x)
		out(e, x)
	}
}

// deliver is the publish that a call is about. It is born when the client first sends it: then the
// client may have heard of the latest revision, and the higher it is, the less it protects.
func (m *model) deliver(s *state, c, at int8, way byte) delivery {
	x := m.scripts[c]
	if way == 'W' {
		at--
	}
	d := delivery{id: idOf(x.lane, at), lane: x.lane, number: at + 1, client: c, session: way != 'B' && way != 'C' && way != 'N'}
	d.empty = way == 'N'
	d.conditional = x.calls[at] == 'C' || x.calls[at] == 'D'
	if way == 'A' || way == 'w' || way == 'R' || way == 'L' || way == 'V' {
		d.id = none
		return d
	}
	born := &s.born[x.lane][at]
	if *born == 0 {
		*born = s.now
	}
	d.born, d.expect = *born, s.clients[c].expect
	switch m.open {
	case bornIsBelieved:
		d.born = 100
	case bornIsFilledIn:
		d.born = s.now
	}
	return d
}

// transaction looks at what a call asks of etcd.
func (m *model) transaction(s *state, c int8, d delivery, f int8, way byte) txn {
	switch way {
	case 'A':
		return m.acquire(s, c, &s.servers[f].mirror)
	case 'w':
		return m.wait(s, c)
	case 'R', 'L':
		if s.clients[c].token == 0 {
			return txn{}
		}
		return m.release(s, c, way == 'R', f)
	case 'W':
		return m.withdraw(s, d)
	case 'V':
		return txn{answer: ok}
	case 'C', 'D':
		return m.publishIf(s, d, f)
	case 'p':
		return m.placed(s, d, f)
	}
	return m.publish(s, d, f)
}

// reply has the client hear the answer to its call in hand.
func (m *model) reply(s *state, c int8, way byte, t txn) {
	x := &s.clients[c]
	switch t.answer {
	case sessionExpired, lost, outcomeUnknown:
		x.status = ended
		return
	case published:
		if m.conditions && way != 'C' && way != 'D' {
			x.expect = s.notes[m.scripts[c].lane].version
		}
	case ok:
		if t.grants && s.lock.who == c && (way == 'A' || way == 'w') {
			t.token = s.now
		}
		if t.token != 0 {
			x.token = t.token
		}
		if way == 'V' {
			x.expect = m.tells(s)
		}
	}
	x.at++
	if int(x.at) == len(m.scripts[c].calls) {
		x.status = ended
	}
}

// judge compares an answer about a publish with what really happened. It does so with every answer,
// also one that comes to nobody any more.
func (m *model) judge(s *state, d delivery, way byte, a answer) {
	if d.id == none {
		return
	}
	switch is := s.published.has(d.id); a {
	case published:
		if !is {
			s.fail(untrue)
		}
		for number := range d.number - 1 { // what its lane has given up
			s.settle(idOf(d.lane, number))
		}
	case withdrawn, conflict:
		if is || a == conflict && m.tells(s) == d.expect {
			s.fail(untrue)
		}
		if a != conflict || d.expect != (version{}) || m.open == noVersionIsFinal {
			s.settle(d.id)
		}
	case sessionExpired:
		if is {
			s.fail(untrue)
		}
		if !m.elsewhere(d) || m.open == sessionsEndIsFinal {
			s.settle(d.id)
		}
	case superseded, outcomeUnknown: // whatever it is
		s.settle(d.id)
	case busy:
		if m.open == busyIsFinal && way != 'W' {
			s.settle(d.id)
		}
	}
}

// elsewhere reports whether a publish may be sent under another session as well, or under none.
func (m *model) elsewhere(d delivery) bool {
	for c, x := range m.scripts {
		if int8(c) != d.client && x.lane == d.lane {
			return true
		}
	}
	return false
}

// settle says that what is not published by now never will be.
func (s *state) settle(i id) {
	if !s.published.has(i) {
		s.never.add(i)
	}
}
