package publish

// longest is how many places a run takes.
const longest = 2

const noLane = -1

// run is part of whatever passes the lock on, and of promote: the first waiters are publishes whose
// payload this server has, without a condition. Nobody is granted.
//
//	if   each one's place at its CreateRevision, and fresh
//	then delete the places, put the bundles and the notes, latest/L; delete locks/L
//	else the next waiter is served without a run; a place that is gone is known to be
//
// What it is part of may publish by itself, for a lane; noLane: it does not. No two of one lane are
// among them: their notes are one key.
func (m *model) run(s *state, f, lane int8) (t txn, is bool) {
	v := &s.servers[f]
	places := v.mirror.queue
	var ds []delivery
	var taken [clients]bool
	if lane != noLane {
		taken[lane] = m.open != runTakesLaneTwice
	}
	for len(ds) < longest {
		c, waits := first(places)
		if !waits || places[c] > v.mirror.seen {
			break
		}
		at := places[c]
		places[c] = 0
		if v.payload[c] == 0 || m.call(c, v.payload[c]) == 'D' {
			if m.open == runPastOthers {
				continue
			}
			break
		}
		if s.queue[c] != at {
			return txn{failed: func(v *mirror) { v.queue[c] = 0 }}, true
		}
		x := *s
		d := m.deliver(&x, c, v.payload[c]-1, 'p')
		if !m.fresh(s, d) || taken[d.lane] {
			break
		}
		taken[d.lane] = m.open != runTakesLaneTwice
		ds = append(ds, d)
	}
	if len(ds) == 0 {
		return txn{}, false
	}
	return txn{answer: ok, write: func(n *state) {
		n.lock = hold{}
		for _, d := range ds {
			c, _ := first(n.queue)
			if c != d.client {
				n.fail(overtaken)
			}
			n.queue[d.client] = 0
			m.putBundle(n, d, f, 0)
		}
		if c, waits := first(n.queue); waits && m.open == runAndGrant {
			s.grant(c, func(*state) {}).write(n)
		}
	}}, true
}

// call is the letter of what a payload is of.
func (m *model) call(c, payload int8) byte { return m.scripts[c].calls[payload-1] }

// finishSteps finish what a server has the payload of, when its mirror shows that it was granted.
func (m *model) finishSteps(s *state, f int8, out func(step, state)) {
	v := &s.servers[f]
	c := s.lock.who
	if s.lock.token == 0 || v.mirror.lock != s.lock || v.payload[c] == 0 {
		return
	}
	x := *s
	d := m.deliver(&x, c, v.payload[c]-1, 'p')
	t := m.finish(s, d, f)
	if t.write == nil {
		s.retry(f, t, out)
		return
	}
	done := t.write
	t.write = func(n *state) {
		done(n)
		m.judge(n, d, 'p', t.answer)
	}
	m.done(s, f, t, out, step{what: "finishes, with the payload of", server: f + 1, client: c + 1, answer: t.answer})
}

// takeOutSteps drop the place of a publish that is not fresh any more.
//
//	if   its place, and not fresh
//	then delete it
func (m *model) takeOutSteps(s *state, f int8, out func(step, state)) {
	for c, at := range s.servers[f].payload {
		if at == 0 || s.queue[c] == 0 {
			continue
		}
		x := *s
		if d := m.deliver(&x, int8(c), at-1, 'p'); !m.fresh(s, d) {
			m.done(s, f, txn{write: func(n *state) { n.queue[c] = 0 }}, out,
				step{what: "takes out the place of", server: f + 1, client: int8(c) + 1})
		}
	}
}
