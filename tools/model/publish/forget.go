package publish

// forgetSteps drop a note, or latest/L, as they may at any time: a clock decides what is old, and
// never what is right.
//
//	if   m(forgotten), and m of each note, unchanged
//	then delete it, raise forgotten to its ModRevision
//
// What was read, and what the transaction then finds unchanged, is one step.
func (m *model) forgetSteps(s *state, out func(step, state)) {
	if s.left.forgets == 0 {
		return
	}
	m.forgetLatest(s, out)
	for lane, x := range s.notes {
		if x.number == 0 {
			continue
		}
		out(step{what: "the note is forgotten of lane of", client: int8(lane) + 1}, s.commit(txn{write: func(n *state) {
			n.left.forgets--
			n.notes[lane] = note{}
			n.forgotten = max(n.forgotten, x.put)
		}}))
	}
}
