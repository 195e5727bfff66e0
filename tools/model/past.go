package main

// The truth rule is what becomes of an ending whose token does not hold. It asks etcd what is, and
// then, if that says nothing, what was: etcd keeps its history for a while, and can be asked for a
// key as it was at an earlier revision. E is the revision at which the section ended.

// moment is a revision, as far as the history of one lock matters. Section t was granted at 4t; at
// 4t+1 it has been held for a while; it ended at 4t+2, or at the grant of the next one, if that was
// the same transaction; 4t+3 is after that.
type moment int8

func grantOf(t token) moment { return 4 * moment(t) }

func (s *state) endOf(t token) moment {
	if s.section(t).end.passed {
		return grantOf(t + 1)
	}
	return 4*moment(t) + 2
}

// atEnd is what etcd has at E.
type atEnd struct {
	marker  bool // commits/L//T
	note    bool // undone/L//T
	session bool // sessions/S
	passed  bool // the next section was granted
}

// invented is a token that was never granted: a revision soon after the first grant.
const invented = token(-2)

// inquiry is a call that asks what was. It reads three times, and history may go in between.
type inquiry struct {
	client int8
	call   call
	found  bool // when the section ended
}

// truth is the truth rule.
func (m *model) truth(s *state, c call, session int8) answer {
	if m.open.has(truthBySession) || m.open.has(truthByWord) {
		return m.formerTruth(s, c, session)
	}
	switch a := m.present(s, c, session); {
	case a != none:
		return a
	case s.left.compactions > 0:
		return asked // the rest are steps of their own
	}
	return m.past(s, c, session)
}

func (m *model) past(s *state, c call, session int8) answer {
	if a := m.ended(s, c, session); a != none {
		return a
	}
	return m.asOf(s, c)
}

// present is truth 1, one transaction. First match wins.
func (m *model) present(s *state, c call, session int8) answer {
	if c.token == invented {
		if s.lock == 1 { // a lower token holds, and tokens rise
			return lockExpired
		}
		return none
	}
	sec := s.section(c.token)
	switch {
	case sec.marker && (m.sessionOf(sec.who) == session || m.open.has(markerOfAnybody)):
		return ok
	case sec.note, sec.marker, sec.staged != 0, s.lock == c.token:
		return lockExpired
	}
	return none
}

// ended is truth 2, which reads locks/L at revisions from T on. "T holds, or history is gone" is
// true first and false from some revision on, since tokens never come back: halving finds where.
func (m *model) ended(s *state, c call, session int8) answer {
	if c.token == invented {
		if s.history > grantOf(1) {
			return outcomeUnknown
		}
		return lockExpired // nothing was granted at this revision
	}
	switch {
	case s.history > grantOf(c.token) && m.open.has(readAtToken):
		return outcomeUnknown
	case s.history >= s.endOf(c.token): // the last revision of which it is true is gone
		if m.open.has(goneIsNever) {
			return lockExpired
		}
		return outcomeUnknown
	case m.sessionOf(s.section(c.token).who) != session:
		return lockExpired
	}
	return none
}

// asOf is truth 3, one transaction that reads at E. First match wins.
func (m *model) asOf(s *state, c call) answer {
	sec := s.section(c.token)
	note, session := sec.end.note, sec.end.session
	if m.open.has(noteAsOfNow) {
		note = sec.note
	}
	if m.open.has(sessionAsOfNow) {
		session = s.sessions[m.sessionOf(sec.who)] != 0
	}
	switch {
	case s.history > s.endOf(c.token) && m.open.has(goneIsNever):
		return lockExpired
	case s.history > s.endOf(c.token):
		return outcomeUnknown
	case c.kind == 'C' && c.token < s.granted && s.section(c.token+1).prev == c.token:
		return ok // locks/L at E has prev=T
	case sec.end.marker:
		return ok
	case note, !session:
		return lockExpired
	case c.appended && !m.open.has(handIsOwn):
		return lockExpired // its own ending would have left the marker
	}
	return ok // its own ending, of a section without records
}

// formerTruth is an earlier truth rule, which asks what is and no more. For the rest it takes the
// client's word that it has appended, and how old its session is.
func (m *model) formerTruth(s *state, c call, session int8) answer {
	if c.token == invented {
		return ok
	}
	sec := s.section(c.token)
	began := s.sessions[session] // 1 + the last token before it
	switch {
	case sec.note:
		return lockExpired
	case m.open.has(truthBySession) && began != 0:
		return ok
	case m.open.has(truthBySession):
		return lockExpired
	case sec.marker:
		return ok
	case sec.staged != 0, s.lock != 0 && s.lock <= c.token:
		return lockExpired
	case c.token <= s.horizon:
		return outcomeUnknown
	case began > c.token && !m.open.has(truthBySessionID):
		return lockExpired
	case began != 0, c.appended:
		return ok
	}
	return lockExpired
}

// said is what an ending is told when that is the truth of its section.
func said(kind byte, truth answer) answer {
	switch {
	case kind == 'C' && truth == ok:
		return lockLost
	case kind == 'D' && truth == ok:
		return cameTooLate
	case kind == 'D' && truth == lockExpired:
		return ok
	}
	return truth
}

// ask begins an inquiry. There is one at a time: they only read.
func (s *state) ask(a int8, c call) bool {
	if s.inquiry != (inquiry{}) {
		return false
	}
	s.inquiry = inquiry{client: 1 + a, call: c}
	return true
}

// inquirySteps have the inquiry go on.
func (m *model) inquirySteps(s *state, out func(step, state)) {
	if s.inquiry == (inquiry{}) {
		return
	}
	a, c := s.inquiry.client-1, s.inquiry.call
	n := *s
	e := step{client: a + 1, token: max(c.token, 0)}
	if !s.inquiry.found {
		e.what, e.answer = "when it ended, for the call", m.ended(s, c, m.sessionOf(a))
		n.inquiry.found = true
	} else {
		e.what, e.answer = "what was then, for the call", m.asOf(s, c)
	}
	if e.answer == none {
		out(e, n)
		return
	}
	n.inquiry = inquiry{}
	e.answer = said(c.kind, e.answer)
	m.judge(&n, c, m.sessionOf(a), e.answer)
	if h, ok := m.inHand(s, a); ok && h == c {
		m.told(&n, a, c, txn{answer: e.answer})
	} else {
		e.late = true
	}
	out(e, n)
}

// pastSteps are what becomes of etcd's history.
func (m *model) pastSteps(s *state, out func(step, state)) {
	if s.left.compactions == 0 {
		return
	}
	for t := token(1); t <= s.granted; t++ {
		var all []moment
		if t > 1 && s.section(t-1).end.passed {
			all = append(all, grantOf(t))
		}
		all = append(all, grantOf(t)+1)
		if s.lock != t && !s.section(t).end.passed {
			all = append(all, s.endOf(t), s.endOf(t)+1)
		}
		for _, h := range all {
			if h <= s.history {
				continue
			}
			n := *s
			n.history = h
			n.left.compactions--
			var e step
			e.what, e.token = [...]string{
				"history is dropped up to the grant", "history is dropped up to a time in the section",
				"history is dropped up to the end", "history is dropped up to after the end",
			}[h%4], t
			out(e, n)
		}
	}
}
