package life

import "fmt"

// model is one configuration.
type model struct {
	name     string
	sections []section
	left     budget
	open     hole

	truths []truth // by how many sections are folded
}

// section is what is published at once.
type section struct {
	version
	operations []operation
}

// operation is one of a file: a, r or c with a number of units; d.
type operation struct {
	kind  byte // append, replace, remove (d), cut
	units int8
	unit  unit // that it consists of
}

// hole is a rule that is left out.
type hole int8

const (
	closed hole = iota
	positionsComeBack
	unputIsNotCounted
	lifeIsToken
	mergedInSteps
	garbageLater
	retainWithoutHead
	readOnce
	readWithoutMade
	stepWithoutMarker
	buryHeadAlone
)

// harm is what a hole does.
type harm int8

const (
	harmless harm = iota
	unreadable
	mixed
	damage
	leftBehind
	wrongHead
)

func (h harm) String() string {
	return [...]string{
		"none", "the head tells of bytes that are not there, or not right",
		"a reader gets what no life of the file was", "a reader takes it for damage that the file was changed",
		"chunks are left behind", "the head is not what the operations come to",
	}[h]
}

func (s *state) fail(h harm) {
	if s.broken == harmless {
		s.broken = h
	}
}

// step is one that the model takes, to be told.
type step struct {
	what   string
	server int8 // from 1; 0: the reader, or whoever publishes
	at     position
	count  int8
}

func (e step) String() string {
	text := e.what
	if e.server > 0 {
		text = fmt.Sprintf("server %d %s", e.server, text)
	}
	if e.count > 0 {
		text += fmt.Sprintf(": %d", e.count)
	}
	return fmt.Sprintf("%s, position %d", text, e.at)
}

// steps calls yield with each step that can be taken from a state, and the state after it.
func (m *model) steps(s *state, yield func(step, *state)) {
	out := func(e step, n state) {
		m.check(&n)
		n.canonical()
		yield(e, &n)
	}
	m.publish(s, out)
	for f := range int8(servers) {
		m.foldSteps(s, f, out)
		m.cleanSteps(s, f, out)
		m.retainSteps(s, f, out)
		m.crash(s, f, out)
	}
	m.bury(s, out)
	m.readSteps(s, out)
}

// publish has the next sections be published: all of one commit.
func (m *model) publish(s *state, out func(step, state)) {
	if int(s.published) == len(m.sections) {
		return
	}
	n := *s
	for n.published++; int(n.published) < len(m.sections); n.published++ {
		if m.sections[n.published].token != m.sections[n.published-1].token {
			break
		}
	}
	out(step{what: "sections are published", count: n.published}, n)
}

func (m *model) crash(s *state, f int8, out func(step, state)) {
	if s.left.crashes > 0 && s.servers[f] != (server{}) {
		n := *s
		n.left.crashes--
		n.servers[f] = server{}
		out(step{what: "crashes", server: f + 1}, n)
	}
}
