package publish

import (
	"fmt"
	"strings"
)

// model is one configuration.
type model struct {
	name     string
	scripts  []script
	left     budget
	progress bool // look also at whether everybody can still be served
	inSteps  bool // a fold reads in one step, and writes in another, by either server
	batches  bool // two publishes may share a transaction
	reads    bool // a server answers reads by latest/L
	// Publishes have conditions: there are calls V, C and D.
	conditions bool
	open       hole
}

// script is what a client does, in order, a letter for each call. Its position there is a publish's
// number. Two clients of one lane send the same publishes, each under its own session.
//
//	A  acquire, and wait
//	R  release: the section has data
//	L  release: it has none
//	P  publish under the session, without a wait
//	B  publish without a session
//	N  as B, and it has no operations
//	W  withdraw the publish before
//	V  read the lock's version
//	C  publish without a session, if nothing was published since that version
//	Q  publish under the session, and wait
//	D  as C, and wait
//
// A client has one call at most of A, Q and D: each would be a request of its own.
type script struct {
	lane  int8
	calls string
}

// hole is a rule that is left out.
type hole int8

const (
	closed hole = iota
	foldTakesNote
	forgottenNotCompared
	sessionNotCompared
	busyIsFinal
	bornIsBelieved
	bornIsFilledIn
	counterBeginsAgain
	throughAtWrite
	sessionsEndIsFinal
	waitedNotCompared
	lockNotCompared
	versionIsToken
	latestForgotten
	conditionBesidePublish
	conflictWithoutNote
	conflictByKnown
	placeWithoutFresh
	refuseWithoutFresh
	runPastOthers
	runAndGrant
	publishBesideAcquire
	runTakesLaneTwice
	versionByHeads
	noVersionIsFinal
	forgottenBeginsAgain
)

// harm is what a hole does.
type harm int8

const (
	harmless harm = iota
	twice
	untrue
	outOfOrder
	overtaken
	sharedToken
	missed
	notMet
	parked
	stuck
)

func (h harm) String() string {
	return [...]string{
		"none", "a publish takes effect twice", "a client is told what is not so",
		"what is read is not what was published", "somebody is overtaken",
		"two sections have one token", "a read misses what is published",
		"it is published, and its condition is false", "what is published takes a place",
		"somebody is never served",
	}[h]
}

// fail says what a step did, if it is the first that did harm.
func (s *state) fail(h harm) {
	if s.broken == harmless {
		s.broken = h
	}
}

// step is one that the model takes, to be told.
type step struct {
	what           string
	server, client int8 // from 1; 0: does not matter
	call           byte // 0: none
	answer         answer
	late, lost     bool
}

func (e step) String() string {
	var text strings.Builder
	if e.server > 0 {
		fmt.Fprintf(&text, "server %d: ", e.server)
	}
	text.WriteString(e.what)
	if e.client > 0 {
		fmt.Fprintf(&text, " client %d", e.client)
	}
	if e.call > 0 {
		fmt.Fprintf(&text, "'s %c", e.call)
	}
	if e.answer > nothing {
		fmt.Fprintf(&text, ": %s", e.answer)
	}
	if e.late {
		text.WriteString(", which comes late")
	}
	if e.lost {
		text.WriteString(", which is lost")
	}
	return text.String()
}

func (m *model) start() state {
	s := state{now: 1, left: m.left}
	for i := range s.clients {
		if i >= len(m.scripts) {
			s.clients[i].status = ended
		}
	}
	for i := range s.servers {
		s.servers[i].mirror.seen, s.servers[i].through = 1, 1
	}
	m.canonical(&s)
	return s
}

// steps calls yield with each step that can be taken from a state, and the state after it.
func (m *model) steps(s *state, yield func(step, *state)) {
	out := func(e step, n state) {
		n.check()
		m.canonical(&n)
		yield(e, &n)
	}
	for c := range m.scripts {
		m.callSteps(s, int8(c), out)
		m.heartbeatSteps(s, int8(c), out)
	}
	for f := range int8(servers) {
		m.mirrorSteps(s, f, out)
		m.holdSteps(s, f, out)
		m.foldSteps(s, f, out)
		m.readSteps(s, f, out)
		m.knowSteps(s, f, out)
		m.takeOutSteps(s, f, out)
		m.finishSteps(s, f, out)
	}
	m.batchSteps(s, out)
	m.forgetSteps(s, out)
	m.faultSteps(s, out)
}

// check fails a state in which a reader would not get what was published: all that is not folded,
// in the order of the sections.
func (s *state) check() {
	if s.sections != s.unfolded {
		s.fail(outOfOrder)
	}
}

// served reports whether everybody has what it is to have.
func (s *state) served() bool {
	for _, c := range s.clients {
		if c.status != ended {
			return false
		}
	}
	return s.lock.token == 0 && s.queue == [clients]revision{}
}
