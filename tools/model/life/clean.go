package life

// cleanSteps delete what the garbage key says can go, the lowest first.
//
//	if   m(garbage/L//F) as it was read
//	then delete a chunk; when none is left, delete the garbage key instead
func (m *model) cleanSteps(s *state, f int8, out func(step, state)) {
	n := *s
	at := &n.servers[f].clean
	switch {
	case at.garbage == 0:
		if s.garbage.put != 0 {
			at.garbage = s.garbage.put
			out(step{what: "reads the garbage key", server: f + 1}, n)
		}
	case at.garbage != s.garbage.put:
		*at = clean{}
		out(step{what: "is overtaken with its cleaning", server: f + 1}, n)
	case at.chosen:
		n.now++
		n.chunks[at.at] = chunk{}
		e := step{what: "deletes a chunk", server: f + 1, at: at.at}
		*at = clean{garbage: at.garbage}
		out(e, n)
	default:
		if p, is := s.dirty(); is {
			at.chosen, at.at = true, p
			out(step{what: "chooses a chunk", server: f + 1, at: p}, n)
			return
		}
		n.now++
		n.garbage = garbage{}
		*at = clean{}
		out(step{what: "has cleaned all", server: f + 1}, n)
	}
}

// dirty returns the first chunk that can go: before base, or such that it ends at upto, however
// long it is.
func (s *state) dirty() (position, bool) {
	for i, c := range s.chunks {
		p := position(i)
		if c != (chunk{}) && (p < s.garbage.base || p+chunked <= s.garbage.upto) {
			return p, true
		}
	}
	return 0, false
}

// retainSteps move the start of the file on, without the lock.
//
//	if   m(files/L//F) as it was read, not gone
//	then start = later, put garbage{base, start}
func (m *model) retainSteps(s *state, f int8, out func(step, state)) {
	n := *s
	at := &n.servers[f].retain
	switch read := *at; {
	case !read.exists():
		if s.left.retentions > 0 && s.head.exists() && s.head.size-s.head.start > 1 {
			n.left.retentions--
			*at = s.head
			out(step{what: "reads the head, to retain less", server: f + 1}, n)
		}
	case read.put != s.head.put && m.open != retainWithoutHead:
		*at = head{}
		out(step{what: "is overtaken with its retention", server: f + 1}, n)
	default:
		n.now++
		n.head = read
		n.head.start++
		n.head.put = n.now
		n.soil(garbage{base: n.head.base, upto: n.head.start})
		*at = head{}
		out(step{what: "moves the start on", server: f + 1, at: n.head.start}, n)
	}
}

// bury deletes the head of a file that was removed. What was read, and what the transaction then
// finds unchanged, is one step.
//
//	if   m(files/L//F) as it was read, gone; c(garbage/L//F)=0
//	then delete it, and all chunks: positions come back, and a fold that goes on may have put some
func (m *model) bury(s *state, out func(step, state)) {
	if s.left.burials > 0 && s.head.gone && s.garbage.put == 0 {
		n := *s
		n.left.burials--
		n.now++
		n.head = head{}
		if m.open != buryHeadAlone {
			n.chunks = [long]chunk{}
		}
		out(step{what: "the head is buried", at: s.head.size}, n)
	}
}
