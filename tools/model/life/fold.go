package life

// foldSteps fold the next sections: what they come to is computed from the head, and put if that is
// as it was read. Chunks of a large fold are put before: each step is
//
//	if   m(files/L//F) as it was read, and each marker and bundle
//	then put chunks beyond what the head tells of
//
// and the last one is
//
//	if   the same
//	then put the head, the other chunks, and garbage/L//F; delete the markers and bundles
//
// A fold of several sections is one step: another server that took fewer of them would cut other
// chunks.
func (m *model) foldSteps(s *state, f int8, out func(step, state)) {
	at := s.servers[f].fold
	if at.takes == 0 {
		m.beginFold(s, f, out)
		return
	}
	if !m.stands(s, at) {
		n := *s
		n.servers[f].fold = fold{}
		out(step{what: "is overtaken with its fold", server: f + 1}, n)
		return
	}
	a := m.apply(s.head, m.sections[at.from:at.from+at.takes], at.last)
	var beyond []put
	for _, p := range a.puts {
		if p.at >= s.head.size {
			beyond = append(beyond, p)
		}
	}
	inSteps := at.stage == begun && (at.takes == 1 || m.open == mergedInSteps)
	if inSteps && len(a.puts) > 0 {
		m.putChunks(s, f, beyond, allPut, out)
	}
	if inSteps && len(a.puts) > 1 {
		m.putChunks(s, f, beyond[:len(beyond)-1], allButLast, out)
		return
	}
	m.finish(s, f, a, out)
}

func (m *model) beginFold(s *state, f int8, out func(step, state)) {
	for takes := int8(1); takes <= merges && s.folded+takes <= s.published; takes++ {
		n := *s
		n.servers[f].fold = fold{takes: takes, from: s.folded, head: s.head.put, last: s.chunks[s.head.last]}
		out(step{what: "reads the head, and sections", server: f + 1, count: takes}, n)
	}
}

// stands reports whether a fold's compares hold.
func (m *model) stands(s *state, at fold) bool {
	if m.open == stepWithoutMarker && at.stage == begun && at.from < s.folded {
		return s.head.put == at.head
	}
	return s.head.put == at.head && s.folded == at.from
}

// putChunks is a step of a large fold.
func (m *model) putChunks(s *state, f int8, puts []put, to stage, out func(step, state)) {
	n := *s
	n.now++
	for _, p := range puts {
		n.chunks[p.at] = p.data
	}
	n.servers[f].fold.stage = to
	e := step{what: "puts chunks beyond the head", server: f + 1, count: int8(len(puts))}
	if len(puts) > 0 {
		e.at = puts[0].at
	}
	out(e, n)
}

// finish is a fold's last step.
func (m *model) finish(s *state, f int8, a applied, out func(step, state)) {
	at := s.servers[f].fold
	n := *s
	n.now++
	n.servers[f].fold = fold{}
	n.folded = at.from + at.takes
	for i, p := range a.puts {
		beyond := p.at >= s.head.size
		if at.stage == begun || !beyond || at.stage == allButLast && i == len(a.puts)-1 {
			n.chunks[p.at] = p.data
		}
	}
	made := n.head.made
	if n.head = a.head; a.head.made != 0 {
		n.head.put = n.now
		if n.head.made = made; made == 0 {
			n.head.made = n.now
		}
	}
	e := step{what: "folds", server: f + 1, count: at.takes, at: n.head.base}
	if m.open == garbageLater && a.soils {
		out(step{what: "folds, and dies before it puts the garbage", server: f + 1, at: n.head.base}, n)
	}
	if a.soils {
		n.soil(a.garbage)
	}
	out(e, n)
}

// soil puts the garbage key: what it says only rises.
func (s *state) soil(g garbage) {
	x := &s.garbage
	x.base, x.upto, x.put = max(x.base, g.base), max(x.upto, g.upto), s.now
}
