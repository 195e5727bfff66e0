package life

// readSteps are a reader's: it takes the head, and then chunk after chunk, each as it is then. If
// one is missing it looks at the head again.
//
// After a burial positions come back, so that the head's CreateRevision is read with each chunk.
func (m *model) readSteps(s *state, out func(step, state)) {
	r := s.reader
	n := *s
	switch {
	case !r.reads && !r.ended:
		if s.left.reads > 0 && s.head.exists() {
			n.left.reads--
			n.reader = reader{reads: true, first: s.head, head: s.head, at: s.head.start}
			out(step{what: "the reader reads the head", at: s.head.start}, n)
		}
		return
	case !r.reads:
		return
	case r.at >= r.head.size:
		m.judge(&n)
		n.reader = reader{}
		out(step{what: "the reader has read all", at: r.at}, n)
		return
	}
	m.readChunk(s, out)
	m.goOn(s, out)
}

// readChunk reads the first chunk, in the order of keys, that has the byte.
func (m *model) readChunk(s *state, out func(step, state)) {
	n := *s
	r := &n.reader
	if s.head.made != r.head.made && m.open != readWithoutMade {
		n.reader = reader{}
		out(step{what: "the reader finds the file to be another one"}, n)
		return
	}
	for p := max(0, r.at-chunked+1); p <= r.at; p++ {
		c := s.chunks[p]
		if end := p + c.size(); c.size() > 0 && end > r.at {
			for ; r.at < min(end, r.head.size); r.at++ {
				r.got[r.size] = c[r.at-p]
				r.size++
			}
			out(step{what: "the reader reads a chunk", at: p}, n)
			return
		}
	}
	changed := !s.head.exists() || !m.sameLife(s.head, r.head) || s.head.start > r.at
	if !changed || m.open == readOnce {
		n.fail(damage)
	}
	n.reader = reader{}
	out(step{what: "the reader finds no chunk, and that the file was changed", at: r.at}, n)
}

// goOn is a further read of the same life, from an offset.
func (m *model) goOn(s *state, out func(step, state)) {
	n := *s
	r := &n.reader
	if r.again || r.size == 0 || s.head == r.head {
		return
	}
	at := r.at - r.head.base + s.head.base
	if !s.head.exists() || !m.sameLife(s.head, r.head) || at < s.head.start {
		n.reader = reader{}
		out(step{what: "the reader is told that the file was changed", at: at}, n)
		return
	}
	r.again, r.head, r.at = true, s.head, at
	out(step{what: "the reader goes on with another read", at: at}, n)
}

func (m *model) sameLife(a, b head) bool {
	return a.life == b.life || m.open == lifeIsToken && a.life.token == b.life.token
}

// judge compares what was read with the life that it was read of.
func (m *model) judge(s *state) {
	r := s.reader
	all := m.truths[s.published].lives[r.first.life]
	from, to := int(r.first.start-r.first.base), int(r.head.size-r.head.base)
	if to > len(all) || to-from != int(r.size) {
		s.fail(mixed)
		return
	}
	for i, u := range all[from:to] {
		if r.got[i] != u {
			s.fail(mixed)
		}
	}
}
