package publish

import (
	"math/bits"
	"slices"
	"strings"
)

// canonical gives states that differ in nothing that matters the same form.
func (m *model) canonical(s *state) {
	for f := range s.servers {
		if at := s.servers[f].fold; at.is && !s.stands(at) {
			s.servers[f].fold = fold{} // it can only be refused
		}
	}
	m.forgetBorn(s)
	if !m.reads && !m.conditions {
		s.latest = 0
	}
	if s.left.forgets == 0 {
		for lane := range s.notes {
			s.notes[lane].put = 0
		}
	}
	if !m.conditions {
		s.last, s.tells, s.files = version{}, version{}, false
		for lane := range s.notes {
			s.notes[lane].version = version{}
		}
	}
	m.forgetKnown(s)
	m.forgetPayload(s)
	if !m.inSteps {
		s.head = 0
	}
	if s.waited <= s.servers[0].mirror.seen && s.waited <= s.servers[1].mirror.seen {
		s.waited = 0
	}
	for f := range s.servers {
		s.servers[f].mirror.forgetSeen(s)
	}
	var used uint64
	s.revisions(func(r *revision) { used |= 1 << *r })
	s.revisions(func(r *revision) {
		if *r > 0 {
			*r = revision(bits.OnesCount64(used&(1<<*r-1)&^1)) + 1
		}
	})
	if a, b := s.servers[0].bytes(), s.servers[1].bytes(); m.open != counterBeginsAgain && slices.Compare(a[:], b[:]) > 0 {
		s.servers[0], s.servers[1] = s.servers[1], s.servers[0] // which is which does not matter
	}
}

// forgetBorn drops when a publish was born, if nothing depends on it any more. One that is not born
// is born later than all that was forgotten.
func (m *model) forgetBorn(s *state) {
	if s.left.forgets > 0 {
		return
	}
	for lane := range s.born {
		for number, at := range s.born[lane] {
			if at >= s.forgotten {
				s.born[lane][number] = 0
			}
		}
	}
}

// forgetKnown drops what a server knows that it can use no more: latest/L has moved since, or only
// conditions depend on it that are answered.
func (m *model) forgetKnown(s *state) {
	asked := false
	for c, x := range m.scripts {
		y := s.clients[c]
		open := y.status != ended || s.left.duplicates > 0
		asked = asked || open && strings.ContainsAny(x.calls, "CD")
		if !open {
			s.clients[c].expect = version{}
		}
	}
	for f := range s.servers {
		k := &s.servers[f].known
		if !asked || k.latest != s.latest && m.open == closed {
			*k = known{}
		}
		if s.left.forgets == 0 && k.at >= s.forgotten {
			k.at = s.forgotten // all that it is compared with
		}
		if !m.reads {
			s.servers[f].through = 0
		}
	}
}

// forgetPayload drops what is published only at a place that nobody can take any more.
func (m *model) forgetPayload(s *state) {
	for c, x := range s.clients {
		for f := range s.servers {
			at := &s.servers[f].payload[c]
			calling := x.status != ended && x.at == *at-1
			if s.queue[c] == 0 && s.left.duplicates == 0 && !calling {
				*at = 0
			}
		}
	}
}

// forgetSeen keeps of where a watch is only its order to the places, and to waited/L.
func (v *mirror) forgetSeen(s *state) {
	last := revision(0)
	low := func(r revision) {
		if r <= v.seen {
			last = max(last, r)
		}
	}
	low(s.waited)
	for c := range s.queue {
		low(s.queue[c])
		low(v.queue[c])
	}
	v.seen = last
}

// revisions calls f with each of them.
func (s *state) revisions(f func(*revision)) {
	for _, r := range []*revision{&s.now, &s.lock.token, &s.waited, &s.latest, &s.forgotten, &s.head, &s.last.token, &s.tells.token} {
		f(r)
	}
	for i := range s.sections {
		f(&s.sections[i].token)
		f(&s.unfolded[i].token)
	}
	for c := range s.queue {
		f(&s.queue[c])
		f(&s.notes[c].put)
		f(&s.notes[c].version.token)
		f(&s.clients[c].token)
		f(&s.clients[c].expect.token)
		for number := range s.born[c] {
			f(&s.born[c][number])
		}
	}
	for i := range s.servers {
		v := &s.servers[i]
		f(&v.mirror.lock.token)
		f(&v.mirror.seen)
		for c := range v.mirror.queue {
			f(&v.mirror.queue[c])
		}
		f(&v.fold.head)
		f(&v.fold.at)
		for j := range v.fold.takes {
			f(&v.fold.takes[j].token)
		}
		f(&v.through)
		f(&v.known.at)
		f(&v.known.latest)
		f(&v.known.last.token)
		f(&v.known.really.token)
	}
}

// bytes is a server as a row of numbers, by which two are put in order.
func (v *server) bytes() (row [32]int8) {
	next := 0
	put := func(b int8) {
		row[next] = b
		next++
	}
	put(int8(v.mirror.lock.token))
	put(v.mirror.lock.who)
	put(int8(v.mirror.seen))
	for _, at := range v.mirror.queue {
		put(int8(at))
	}
	if v.fold.is {
		put(1)
	}
	if v.fold.rest {
		put(1)
	}
	put(int8(v.fold.head))
	put(int8(v.fold.at))
	for _, x := range v.fold.takes {
		put(int8(x.token))
		put(x.n)
		put(int8(x.id))
	}
	put(int8(v.through))
	put(int8(v.known.at))
	put(int8(v.known.latest))
	put(int8(v.known.last.token))
	put(v.known.last.n)
	put(int8(v.known.really.token))
	put(v.known.really.n)
	for _, at := range v.payload {
		put(at)
	}
	return row
}
