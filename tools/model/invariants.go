package main

import "math/bits"

// violation is an invariant that does not hold. The numbers are those of docs/protocol.md.
type violation int8

const (
	holds violation = iota
	grantedWhileHeld
	holderWaits
	unreadable
	changedByAnother
	untrue
	overtaken
	liveHoldEnded
	refusedForAnother
	stuck
)

func (v violation) String() string {
	return [...]string{
		"",
		"invariant 1, the lock is granted while it is held",
		"invariant 1, an acquisition is holder and waiter at once",
		"invariants 2 and 3, what can be read is not what was published",
		"invariant 4, a section is changed by another session's call",
		"invariant 5, an answer is not true",
		"invariant 6, the lock is granted past an earlier waiter",
		"invariant 8, a heartbeat ends what its client still wants",
		"invariant 9, a call is refused for what another asked for",
		"invariant 10, from here not everybody can ever be served",
	}[v]
}

// fail notes the first invariant that the step in hand breaks.
func (s *state) fail(v violation) {
	if s.broken == holds {
		s.broken = v
	}
}

// check looks at what a reader would see: the file, and behind it what is published and not folded
// yet. It must be what was published by its holders' own calls, once, whole, in the order of the
// tokens.
func (m *model) check(s *state) {
	if s.broken != holds {
		return
	}
	r := *s
	for t := token(1); t <= r.granted; t++ {
		if c := r.section(t); c.marker {
			more := m.readable(c)
			if int(r.size)+bits.OnesCount8(uint8(more)) > len(r.file) {
				s.fail(unreadable)
				return
			}
			r.write(t, more)
		}
	}
	i := int8(0)
	for t := token(1); t <= s.granted; t++ {
		for call := range int8(8) {
			if !s.section(t).published.has(call) {
				continue
			}
			if i == r.size || r.file[i] != (entry{t, call}) {
				s.fail(unreadable)
				return
			}
			i++
		}
	}
	if i != r.size {
		s.fail(unreadable)
	}
}

// judge compares an answer with what really happened, whoever gets it: the client that waits for
// it, or nobody any more. A client ends a section in one way only; one that discards a section
// without records, and releases it all the same, is told that it ended it.
func (m *model) judge(s *state, c call, session int8, a answer) {
	if c.token == invented {
		if a == ok || a == outcomeUnknown && s.history <= grantOf(1) {
			s.fail(untrue)
		}
		return
	}
	sec := s.section(c.token)
	if a == dataLoss && s.left.restores == m.faults.restores {
		s.fail(unreadable) // nothing has been restored
	}
	if a == outcomeUnknown && s.history < s.endOf(c.token) {
		s.fail(untrue) // what became of it could be read
	}
	if m.sessionOf(sec.who) != session {
		if a == ok { // it can be told of its own sections only
			s.fail(untrue)
		}
		return
	}
	published := sec.fate == released
	itself := published || sec.fate == discarded && sec.put == 0 || sec.fate == byHand && !c.appended
	switch {
	case c.kind == 'R' && a == ok && !itself,
		c.kind == 'C' && a == lockLost && !itself,
		(c.kind == 'R' || c.kind == 'C') && a == lockExpired && published,
		c.kind == 'D' && a == cameTooLate && !published,
		c.kind == 'D' && a == ok && published && c.appended,
		a == dataLoss && sec.put&^sec.staged == 0:
		s.fail(untrue)
	}
}
