package publish

// faultSteps are what happens to sessions and servers.
func (m *model) faultSteps(s *state, out func(step, state)) {
	for c := range m.scripts {
		if s.left.expiries == 0 || s.gone[c] {
			continue
		}
		out(step{what: "the session ends of", client: int8(c) + 1}, s.commit(txn{write: func(n *state) {
			n.left.expiries--
			n.gone[c] = true
			n.queue[c] = 0
			if n.lock.token != 0 && n.lock.who == int8(c) {
				n.lock = hold{}
			}
		}}))
	}
	for f := range int8(servers) {
		if s.left.crashes == 0 {
			continue
		}
		n := *s
		n.left.crashes--
		n.servers[f] = server{mirror: mirror{lock: s.lock, queue: s.queue, seen: s.now}}
		if m.open == forgottenBeginsAgain {
			n.forgotten = 0
		}
		out(step{what: "crashes, and starts again", server: f + 1}, n)
	}
}
