package main

import "fmt"

// step is one that the model takes, to be told.
type step struct {
	what    string
	server  int8 // 1 and 2; 0: does not matter
	client  int8 // whose call it is, from 1; 0: nobody's
	session int8 // from 1; 0: does not matter
	token   token
	answer  answer
	late    bool // a duplicate of a call that was answered
	unheard bool // the answer is lost
	known   bool // to the server's mirror, before its watch repeats it
	swaps   bool // from here on the servers change their numbers
}

func (e step) String() string {
	text := e.what
	if e.server > 0 {
		text = fmt.Sprintf("server %d: %s", e.server, text)
	}
	if e.client > 0 {
		text += fmt.Sprintf(" of client %c", 'a'+e.client-1)
	}
	if e.session > 0 {
		text += fmt.Sprintf(" of session %d", e.session)
	}
	if e.token > 0 {
		text += fmt.Sprintf(", token %d", e.token)
	}
	if e.answer != none {
		text += " -> " + e.answer.String()
	}
	for _, n := range []struct {
		is   bool
		note string
	}{{e.late, "late duplicate"}, {e.unheard, "answer lost"}, {e.known, "its mirror knows"}} {
		if n.is {
			text += ", " + n.note
		}
	}
	return text
}

// steps calls yield with each step that can be taken from a state, and the state after it.
func (m *model) steps(s *state, yield func(step, *state)) {
	out := func(e step, n state) {
		m.check(&n)
		e.swaps = m.canonical(&n)
		yield(e, &n)
	}
	for a := range m.acquisitions() {
		m.callSteps(s, a, out)
		m.clientSteps(s, a, out)
	}
	for f := range int8(servers) {
		m.serverSteps(s, f, out)
	}
	m.etcdSteps(s, out)
	m.inquirySteps(s, out)
	if m.batches {
		m.pairSteps(s, func(e step, n state) { yield(e, &n) })
	}
}
