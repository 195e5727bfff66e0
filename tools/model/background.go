package main

// sweep is the transaction of the same name, for a section of which a record was just read.
//
//	if   m(locks/L)!=T, c(commits/L//T)=0, c(a record of T just read)>0
//	then delete staged/L//T/, put undone/L//T unless a note is there
func (m *model) sweepSection(s *state, t token) txn {
	c := s.section(t)
	switch {
	case s.lock == t && !m.open.has(sweepHeld),
		c.marker && !m.open.has(sweepPublished),
		c.staged == 0 && !m.open.has(sweepFolded):
		return txn{}
	}
	w := txn{answer: ok, touches: []touch{{key{family: allStaged, at: int8(t)}, del}}}
	noted := !c.note && !m.open.has(sweepWithoutNote)
	if s.full {
		return txn{answer: ok, touches: w.touches, write: func(n *state) {
			n.section(t).staged &= -n.section(t).staged // one record stays, as evidence
		}}
	}
	w.mark(t, false, noted)
	w.write = func(n *state) {
		n.section(t).staged = 0
		n.section(t).note = n.section(t).note || noted
	}
	return w
}

// sweeping reports whether a sweep is two steps, decided on and made, since a hole is open;
// otherwise its compares make one of them.
func (m *model) sweeping() bool {
	return m.open.has(sweepHeld) || m.open.has(sweepPublished) || m.open.has(sweepFolded)
}

// readSections reads the oldest n published sections and their records, as they are in one state.
func (m *model) readSections(s *state, f *fold, n int) {
	f.read, f.tokens, f.staged = true, [mergeSections]token{}, [mergeSections]records{}
	i := 0
	for t := token(1); t <= s.granted && i < n; t++ {
		if c := s.section(t); c.marker {
			f.tokens[i], f.staged[i] = t, m.readable(c)
			i++
		}
	}
	f.read = i == n
}

// readHead reads the file's head.
func (f *fold) readHead(s *state) { f.head, f.size, f.moved = true, s.size, false }

// foldSections is the last transaction of a fold, which moves the head. What steps come before it
// put bytes beyond the head, which nobody reads.
//
//	if   m(commits/L//T) of some sections, the oldest, and m(files/L//F) are unchanged
//	then put chunks, move the heads, delete the markers and each staged/L//T/
func (m *model) foldSections(s *state, f *fold) txn {
	if f.moved && !m.open.has(foldWithoutHead) {
		return txn{}
	}
	w := txn{answer: ok, touches: []touch{{key{family: files}, put}}}
	for _, t := range f.tokens {
		if t == 0 {
			continue
		}
		if !s.section(t).marker && !m.open.has(foldWithoutMarker) {
			return txn{}
		}
		w.touches = append(w.touches, touch{key{family: commits, at: int8(t)}, del}, touch{key{family: allStaged, at: int8(t)}, del})
	}
	j := *f
	w.write = func(n *state) {
		n.size = j.size
		for i, t := range j.tokens {
			if t == 0 {
				continue
			}
			n.write(t, j.staged[i])
			c := n.section(t)
			c.marker = false
			if !m.tokenSurvives() {
				c.staged = 0
				continue
			}
			c.staged &^= j.staged[i]
			if m.open.has(commitLeavesTombs) {
				c.tombs |= j.staged[i]
			}
		}
		for i := range n.servers {
			n.servers[i].fold.moved = n.servers[i].fold.head
		}
	}
	return w
}

// write adds a section's records to the file, in the order in which their holder sent them.
func (s *state) write(t token, r records) {
	for call := range int8(8) {
		if r.has(call) {
			s.file[s.size] = entry{t, call}
			s.size++
		}
	}
	clear(s.file[s.size:])
}

// forgetNote is the first part of the transaction forget.
//
//	if   m(horizon) is unchanged
//	then delete notes older than a day, raise horizon to their tokens
//
// The truth rule has no use for the horizon; it is kept for servers whose rule is an earlier one.
func (m *model) forgetNote(t token) txn {
	return txn{
		answer: ok, touches: []touch{{key{family: undone, at: int8(t)}, del}, {key{family: horizon}, put}},
		write: func(n *state) {
			n.section(t).note = false
			if m.open.has(truthByWord) && !m.open.has(forgetWithoutHorizon) {
				n.horizon = max(n.horizon, t)
			}
		},
	}
}

// forgetWaited is its second part.
//
//	if   m(waited/L) is unchanged, nothing under queue/L//
//	then delete waited/L
func (m *model) forgetWaited(s *state) txn {
	empty := s.places == [maxAcquisitions]clock{}
	if m.open.has(forgetByMirror) {
		empty = s.servers[0].places == [maxAcquisitions]clock{} || s.servers[1].places == [maxAcquisitions]clock{}
	}
	if s.waited == 0 || !empty {
		return txn{}
	}
	return txn{answer: ok, touches: []touch{{key{family: waited}, del}}, write: func(n *state) { n.waited = 0 }}
}
