package publish

// withdraw is the transaction by which a client learns for good what became of a publish.
//
//	if   fresh
//	then put applied/L//lane: number, withdrawn
//	else the outcome rule
func (m *model) withdraw(s *state, d delivery) txn {
	if !m.fresh(s, d) {
		return txn{answer: m.outcome(s, d)}
	}
	return txn{answer: withdrawn, write: func(n *state) {
		n.notes[d.lane] = note{number: d.number, withdrawn: true, put: n.now}
	}}
}
