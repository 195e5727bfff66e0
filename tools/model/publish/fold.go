package publish

// foldSteps fold the oldest sections, markers and bundles alike.
//
//	if   m(files/L//F) unchanged, and each marker and bundle as it was read
//	then put files/L//F, delete them
//
// The notes stay.
func (m *model) foldSteps(s *state, f int8, out func(step, state)) {
	if !m.inSteps {
		if s.sections[0].token != 0 && f == 0 {
			at := s.read(1, m)
			out(step{what: "a fold of the oldest section"}, s.commit(m.write(s, at)))
		}
		return
	}
	switch at := s.servers[f].fold; {
	case at.is && !s.stands(at):
	case at.is:
		n := s.commit(m.write(s, at))
		m.folded(&n, f, at)
		out(step{what: "folds what it has read", server: f + 1}, n)
	default:
		for takes := 1; takes <= merges && s.sections[takes-1].token != 0; takes++ {
			n := *s
			n.servers[f].fold = s.read(takes, m)
			out(step{what: "reads the head, the markers and the bundles", server: f + 1}, n)
		}
	}
}

// read is the first half of a fold.
func (s *state) read(takes int, m *model) fold {
	at := fold{is: true, head: s.head, rest: s.sections[takes].token != 0, at: s.now}
	copy(at.takes[:], s.sections[:takes])
	if !m.reads {
		at.rest, at.at = false, 0
	}
	return at
}

// stands reports whether a fold's compares hold.
func (s *state) stands(at fold) bool {
	if s.head != at.head {
		return false
	}
	for _, x := range at.takes {
		if x.token != 0 && !s.has(x) {
			return false
		}
	}
	return true
}

func (s *state) has(x section) bool {
	for _, y := range s.sections {
		if x == y {
			return true
		}
	}
	return false
}

// write is the second half.
func (m *model) write(s *state, at fold) txn {
	return txn{write: func(n *state) {
		n.head = n.now
		for i, x := range at.takes {
			if x.token == 0 {
				break
			}
			if x != s.unfolded[i] {
				n.fail(outOfOrder)
			}
			if !x.empty {
				n.files = true
				if m.open == versionByHeads {
					n.tells = x.version
				}
			}
			drop(&n.sections, x)
			drop(&n.unfolded, x)
			if m.open == foldTakesNote {
				n.takeNote(x)
			}
		}
	}}
}

// takeNote drops the note of a bundle with it.
func (s *state) takeNote(x section) {
	for lane, y := range s.notes {
		if idOf(int8(lane), y.number-1) == x.id {
			s.notes[lane] = note{}
		}
	}
}

// drop takes a section away, and has the others move up.
func drop(all *[most]section, x section) {
	kept := 0
	for _, y := range all {
		if y != x {
			all[kept] = y
			kept++
		}
	}
	clear(all[kept:])
}

// folded has a server note how far it has folded: as far as it had read, if that was all.
func (m *model) folded(n *state, f int8, at fold) {
	v := &n.servers[f]
	v.fold = fold{}
	if m.reads && !at.rest {
		v.through = max(v.through, at.at)
		if m.open == throughAtWrite {
			v.through = n.now
		}
	}
}

// readSteps answer a read without a look at markers and bundles.
//
//	m(latest/L) <= through: nothing is published that is not folded
func (m *model) readSteps(s *state, f int8, out func(step, state)) {
	if !m.reads {
		return
	}
	if v := &s.servers[f]; v.through < s.now && s.sections[0].token == 0 {
		n := *s
		n.servers[f].through = s.now
		out(step{what: "finds nothing to fold", server: f + 1}, n)
	}
	if s.latest <= s.servers[f].through && s.unfolded[0].token != 0 {
		n := *s
		n.fail(missed)
		out(step{what: "reads the head alone, by latest/L", server: f + 1}, n)
	}
}
