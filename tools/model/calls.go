package main

// call is one that a client has sent, which may arrive at any time from then on, through either
// server, more than once.
type call struct {
	kind     byte  // as in a script; g: cancel
	number   int8  // in the script
	token    token // that it was sent with
	appended bool  // what it says
	last     int8  // 1 + the number of the last record that its holder knows to be staged; 0: none
	before   int8  // the same of the stream before, if etcd was restored in between
}

// callSteps has the call in hand, and every earlier one, arrive.
func (m *model) callSteps(s *state, a int8, out func(step, state)) {
	c := s.clients[a]
	script := m.scripts[a].calls
	for i := int8(0); i <= c.call && int(i) < len(script); i++ {
		call, inHand := m.inHand(s, a)
		if inHand = inHand && i == c.call; !inHand {
			call = m.callOf(s, a, i)
		}
		child := script[i] == 'b'
		if child && (i == c.call || c.token == 0) { // it is not handed out yet
			continue
		}
		if !inHand && s.left.duplicates == 0 && !(child && !c.staged.has(i)) {
			continue
		}
		if call.token == 0 && call.kind != 'A' && call.kind != 'T' && call.kind != 'g' {
			continue
		}
		m.arrive(s, a, call, inHand, out)
	}
}

// inHand returns the call that a client waits for.
func (m *model) inHand(s *state, a int8) (c call, ok bool) {
	w := s.clients[a]
	if w.done() {
		return c, false
	}
	c = m.callOf(s, a, w.call)
	switch w.status {
	case givingUp:
		c.kind = 'g'
	case returning:
		c.kind, c.token, c.appended, c.last, c.before = 'D', w.token, false, 0, 0
	case undoing:
		c.kind, c.appended, c.last, c.before = 'D', true, 0, 0
	}
	return c, true
}

// callOf returns what a call of a script was sent with.
func (m *model) callOf(s *state, a, number int8) call {
	script := m.scripts[a].calls
	c := call{kind: script[number], number: number, token: s.clients[a].token}
	switch c.kind {
	case 'x':
		c.kind, c.token = 'R', s.clients[0].token
		return c
	case 'y':
		if c.kind = 'R'; s.granted > 0 {
			c.token = invented
		}
		return c
	case 'd':
		c.kind = 'D'
	case 'u', 'b':
		c.kind = 'a'
	}
	for i := s.clients[a].call - 1; i >= number && c.token != 0; i-- { // each commit since then has made a new token
		if script[i] == 'C' && !m.tokenSurvives() {
			c.token = s.section(c.token).prev
		}
	}
	for i := number - 1; i >= 0 && script[i] != 'C'; i-- {
		switch script[i] {
		case 'a', 'u': // answered or not
			c.appended = true
			if s.clients[a].staged.has(i) {
				c.last = max(c.last, i+1)
				if before := s.clients[a].before; i+1 == before && !m.open.has(oneLastIsNamed) {
					c.before = before
				}
			}
		case 'b':
			c.appended = c.appended || !m.open.has(credentialIsNoAppend)
		}
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
			r("commit", m.commitSection(s, c, session))
		case 'R':
			r("release", m.release(s, v, c, session))
		case 'D':
			r("discard", m.discard(s, v, c, session))
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
	if e.token = max(e.token, 0); t.answer == asked {
		if n.ask(a, c) {
			if e.late = !inHand; e.late {
				n.left.duplicates--
			}
			out(e, n)
		}
		return
	}
	child := m.scripts[a].calls[c.number] == 'b' && !s.clients[a].staged.has(c.number)
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
	switch {
	case child && t.answer == ok:
		n.clients[a].staged |= 1 << c.number
	case !inHand && !child:
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
	case w.status == givingUp || w.status == returning || w.status == undoing || t.answer == busy || t.answer == queued:
		w.status = finished
		return
	case t.answer == dataLoss:
		w.status = undoing
		return
	case (t.answer == lockExpired || t.answer == outcomeUnknown) && (script[c.number] == 'x' || script[c.number] == 'y'):
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
