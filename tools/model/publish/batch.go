package publish

// batchSteps have two publishes share a transaction.
func (m *model) batchSteps(s *state, out func(step, state)) {
	if !m.batches {
		return
	}
	for f := range int8(servers) {
		for a := range m.scripts {
			for b := range m.scripts {
				if a != b {
					m.batch(s, f, [2]int8{int8(a), int8(b)}, out)
				}
			}
		}
	}
}

// batch has the calls in hand of two clients be published together.
func (m *model) batch(s *state, f int8, both [2]int8, out func(step, state)) {
	sent := *s
	var ts [2]txn
	var ds [2]delivery
	for i, c := range both {
		at := s.clients[c].at
		if s.clients[c].status == ended {
			return
		}
		way := m.scripts[c].calls[at]
		if !m.mayShare(way) {
			return
		}
		ds[i] = m.deliver(&sent, c, at, way)
		ts[i] = m.transaction(&sent, c, ds[i], f, way)
		if ts[i].write == nil || ts[i].answer == queued {
			return
		}
	}
	if ds[0].lane == ds[1].lane {
		return // they put one note
	}
	n := sent.commit(ts[:]...)
	for i := range both {
		m.judge(&n, ds[i], 'P', ts[i].answer)
	}
	e := step{what: "publishes together, the second one is that of", server: f + 1, client: both[1] + 1, answer: published}
	m.told(&sent, n, f, ts[0], out, e, func(n *state) {
		for i, c := range both {
			m.reply(n, c, m.scripts[c].calls[s.clients[c].at], ts[i])
		}
	})
}

// mayShare reports whether a call may share a transaction with a publish. Neither may one on a
// condition that is about the other, nor an acquire, whose section would have the same token.
func (m *model) mayShare(way byte) bool {
	switch way {
	case 'P', 'B', 'N', 'Q':
		return true
	case 'C':
		return m.open == conditionBesidePublish
	case 'A':
		return m.open == publishBesideAcquire
	}
	return false
}
