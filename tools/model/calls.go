package main

// call is one that a client has sent, which may arrive at any time from then on, through either
// server, more than once.
type call struct {
	kind     byte  // as in a script; g: cancel
	number   int8  // in the script
	token    token // that it was sent with
	appended bool  // what it says
}

// callSteps has the call in hand, and every earlier one, arrive.
func (m *model) callSteps(s *state, a int8, out func(step, state)) {
	c := s.clients[a]
	script := m.scripts[a].calls
	for i := int8(0); i <= c.call && int(i) < len(script); i++ {
		inHand := i == c.call && !c.done()
		if !inHand && s.left.duplicates == 0 {
			continue
		}
		call := m.callOf(s, a, i)
		if inHand {
			switch c.status {
			case givingUp:
				call.kind = 'g'
			case returning:
				call.kind, call.token, call.appended = 'D', c.token, false
			}
		}
		if call.token == 0 && call.kind != 'A' && call.kind != 'T' && call.kind != 'g' {
			continue
		}
		m.arrive(s, a, call, inHand, out)
	}
}

// callOf returns what a call of a script was sent with.
func (m *model) callOf(s *state, a, number int8) call {
	script := m.scripts[a].calls
	c := call{kind: script[number], number: number, token: s.clients[a].token}
	switch c.kind {
	case 'x':
		c.kind, c.token = 'R', s.clients[0].token
		return c
	case 'd':
		c.kind = 'D'
	case 'u':
		c.kind = 'a'
	}
	for i := s.clients[a].call - 1; i >= number && c.token != 0; i-- { // each commit since then has made a new token
		if script[i] == 'C' && !m.tokenSurvives() {
			c.token = s.section(c.token).prev
		}
	}
	for i := number - 1; i >= 0 && script[i] != 'C'; i-- {
		c.appended = c.appended || s.clients[a].staged.has(i) || script[i] == 'u' || script[i] == 'a' && m.open.has(refusedCounts)
	}
	return c
}

// arrive has a call reach each server that makes a difference.
func (m *model) arrive(s *state, a int8, c call, inHand bool, out func(step, state)) {
	for f := range int8(servers) {
		v := &s.servers[f]
		session := m.sessionOf(a)
		r := func(what string, t txn) {
			m.answered(s, step{what: what, server: f + 1, client: a + 1, token: c.token, answer: t.answer}, a, c, t, inHand, out)
		}
		switch c.kind {
		case 'A':
			r("acquire", m.acquire(s, a, v))
			r("wait", m.wait(s, a))
		case 'T':
			r("try", m.try(s, a, v))
			r("acquire", m.acquire(s, a, v))
		case 'a':
			if f == 0 { // no mirror has a part in it
				r("append", m.appendRecord(s, c.token, session, c.number))
			}
		case 'C':
			r("commit", m.commitSection(s, c.token, session, c.appended))
		case 'R':
			r("release", m.release(s, v, c.token, session, c.appended))
		case 'D':
			r("discard", m.discard(s, v, c.token, session, c.appended))
		case 'g':
			r("cancel", m.cancel(s, a))
		}
	}
}

// answered takes what a call's transaction came to, and whether its answer arrives.
func (m *model) answered(s *state, e step, a int8, c call, t txn, inHand bool, out func(step, state)) {
	if t.answer == none {
		return
	}
	n := *s
	wrote := t.write != nil
	if wrote && !n.commit(t) {
		e.answer, e.token = noSpace, c.token
		t.answer, wrote = noSpace, false
	}
	if t.token == justNow {
		t.token = n.granted
	}
	if t.token != 0 {
		e.token = t.token
	}
	if c.token != 0 {
		m.judge(&n, c, m.sessionOf(a), t.answer)
	}
	if !inHand {
		n.left.duplicates--
		e.late = true
	}
	if !inHand && !wrote && n.broken == holds {
		return // it has changed nothing
	}
	waits := t.answer == queued || t.answer == noSpace && c.kind != 'a' // or tries again; of a record it is told
	arrives := inHand && !waits
	for _, seen := range []bool{true, false} {
		x := n
		e := e
		if seen {
			if !wrote || e.server == 0 {
				continue
			}
			x.servers[e.server-1].own(s, &n)
			e.known = true
		}
		if !arrives {
			if x != *s {
				out(e, x)
			}
			continue
		}
		if wrote && x.left.duplicates > 0 {
			y, e := x, e
			y.left.duplicates--
			e.unheard = true
			out(e, y)
		}
		m.told(&x, a, c, t)
		out(e, x)
	}
}

// told has a client take an answer.
func (m *model) told(s *state, a int8, c call, t txn) {
	w := &s.clients[a]
	script := m.scripts[a].calls
	switch {
	case c.kind == 'g' && t.token != 0:
		w.status, w.token = returning, t.token
		return
	case w.status == givingUp || w.status == returning || t.answer == busy || t.answer == queued:
		w.status = finished
		return
	case t.answer == lockExpired && script[c.number] == 'x':
	case t.answer == lockExpired, t.answer == sessionExpired, t.answer == lockLost, t.answer == outcomeUnknown:
		w.status = refused
		return
	}
	if t.token != 0 {
		w.token = t.token
	}
	if c.kind == 'a' && t.answer == ok {
		w.staged |= 1 << c.number
	}
	w.call++
	if int(w.call) == len(script) {
		w.status = finished
	}
}
