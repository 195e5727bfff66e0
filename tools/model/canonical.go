package main

import "slices"

// canonical gives states that differ in nothing that matters the same form. It reports whether it
// swapped the servers.
func (m *model) canonical(s *state) (swapped bool) {
	for i := range s.servers {
		f := &s.servers[i].fold
		if !m.open.has(foldWithoutHead) && !m.open.has(foldWithoutMarker) && f.hopeless(s) {
			*f = fold{} // it can only be refused
		}
	}
	for t := token(1); t <= s.granted; t++ {
		switch end := &s.section(t).end; {
		case m.faults.compactions == 0: // it does not matter when exactly it ended
			end.passed = false
		case s.history > s.endOf(t): // nobody will know
			*end = atEnd{}
		}
	}
	if s.waited <= s.servers[0].seen && s.waited <= s.servers[1].seen {
		s.waited = 0
	}
	for i := range s.servers { // of where a watch is only its order to the places, and to waited/, matters
		v := &s.servers[i]
		var last clock
		for _, c := range append([]clock{s.waited}, append(s.places[:], v.places[:]...)...) {
			if c <= v.seen {
				last = max(last, c)
			}
		}
		v.seen = last
	}
	var used [64]bool
	s.ticks(func(c *clock) { used[*c] = true })
	var rank [64]clock
	next := clock(1)
	for c := 1; c < len(used); c++ {
		if used[c] {
			rank[c] = next
			next++
		}
	}
	s.ticks(func(c *clock) { *c = rank[*c] })
	if compareServers(&s.servers[0], &s.servers[1]) > 0 { // which is which does not matter
		s.servers[0], s.servers[1] = s.servers[1], s.servers[0]
		swapped = true
	}
	return swapped
}

func (f *fold) hopeless(s *state) bool {
	if f.head && f.moved {
		return true
	}
	for _, t := range f.tokens {
		if t != 0 && !s.section(t).marker {
			return true
		}
	}
	return false
}

func compareServers(a, b *server) int {
	if a.holder != b.holder {
		return int(a.holder) - int(b.holder)
	}
	if c := slices.Compare(a.places[:], b.places[:]); c != 0 {
		return c
	}
	if a.seen != b.seen {
		return int(a.seen) - int(b.seen)
	}
	if a.sweep != b.sweep {
		return int(a.sweep) - int(b.sweep)
	}
	return a.fold.number() - b.fold.number()
}

// number puts folds in some order.
func (f *fold) number() int {
	n := int(f.size)
	for _, bit := range []bool{f.read, f.head, f.moved} {
		n <<= 1
		if bit {
			n |= 1
		}
	}
	for i := range f.tokens {
		n = n<<12 | int(f.tokens[i])<<8 | int(f.staged[i])
	}
	return n
}
