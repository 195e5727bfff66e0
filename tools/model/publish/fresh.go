package publish

// delivery is one of a publish: it may come several times, under several sessions.
type delivery struct {
	id      id
	lane    int8
	number  int8 // from 1
	born    revision
	client  int8
	session bool // one is given: the client's
	empty   bool // it has no operations

	conditional bool
	expect      version
}

// fresh is the compare by which nothing is published twice, and by which a withdrawal, and the next
// number of the lane, keep away what is still on its way.
//
//	V(applied/L//lane) < hex16(number), or
//	c(applied/L//lane)=0 and V(forgotten) < hex16(born+1)
func (m *model) fresh(s *state, d delivery) bool {
	if n := s.notes[d.lane].number; n > 0 {
		return n < d.number
	}
	return s.forgotten < d.born+1 || m.open == forgottenNotCompared
}

// outcome is the rule by which a delivery is answered that was not published: what is read in the
// failed transaction. The first that matches.
func (m *model) outcome(s *state, d delivery) answer {
	switch n := s.notes[d.lane]; {
	case n.number == d.number && !n.withdrawn:
		return published
	case n.number == d.number:
		return withdrawn
	case n.number > d.number:
		return superseded
	case n.number == 0 && d.born < s.forgotten && m.open != forgottenNotCompared:
		return outcomeUnknown
	case d.session && s.gone[d.client]:
		return sessionExpired
	case s.lock.token != 0 || s.queue != [clients]revision{}:
		return busy
	}
	return nothing
}
