package life

// truth is what the operations of some sections come to.
type truth struct {
	exists bool
	life   version
	lives  map[version][]unit // what each was in the end, from offset 0
}

// truthsOf returns it for each number of sections.
func truthsOf(sections []section) []truth {
	t := truth{lives: map[version][]unit{}}
	all := []truth{t}
	for _, x := range sections {
		lives := map[version][]unit{}
		for life, units := range t.lives {
			lives[life] = units
		}
		t.lives = lives
		for _, op := range x.operations {
			t.operate(op, x.version)
		}
		all = append(all, t)
	}
	return all
}

func (t *truth) operate(op operation, by version) {
	switch op.kind {
	case 'd':
		t.exists, t.life = false, version{}
		return
	case 'c':
		return
	case 'r':
		t.exists, t.life, t.lives[by] = true, by, nil
	case 'a':
		if !t.exists {
			t.exists, t.life, t.lives[by] = true, by, nil
		}
	}
	units := t.lives[t.life]
	for range op.units {
		units = append(units[:len(units):len(units)], op.unit)
	}
	t.lives[t.life] = units
}

// check fails a state in which the head tells of what is not there, or not so; and one that is at
// rest, and has what nobody will clean.
func (m *model) check(s *state) {
	t := m.truths[s.folded]
	if h := s.head; h.exists() {
		all := t.lives[h.life]
		for at := h.start; at < h.size; at++ {
			if o := int(at - h.base); o >= len(all) || s.at(at) != all[o] {
				s.fail(unreadable)
			}
		}
	}
	idle := s.servers == [servers]server{} && int(s.folded) == len(m.sections)
	if !idle || s.garbage.put != 0 {
		return
	}
	h := s.head
	if h.exists() != t.exists || t.exists && (h.life != t.life || int(h.size-h.base) != len(t.lives[t.life])) {
		s.fail(wrongHead)
	}
	for i, c := range s.chunks {
		p := position(i)
		past := p < h.base || p+chunked <= h.start || p >= h.size
		if c != (chunk{}) && (!h.exists() || past) {
			s.fail(leftBehind)
		}
	}
}

// at returns the unit at a position; whichever chunk has it, the first in the order of keys.
func (s *state) at(p position) unit {
	for from := max(0, p-chunked+1); from <= p; from++ {
		if u := s.chunks[from][p-from]; u != 0 {
			return u
		}
	}
	return 0
}
