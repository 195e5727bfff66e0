package linger

import "fmt"

const (
	servers = 2
	streams = 3
)

// revision is one of sessions/S, in order.
type revision int8

// number is one of an attachment.
type number int8

// state is everything at one moment.
type state struct {
	// sessions/S.
	put   revision // its ModRevision
	at    number   // the last attachment
	over  bool     // its linger is over
	ended bool     // its lease is revoked

	full bool // etcd refuses puts

	streams [streams]stream
	another stream        // another process's, which has the credential
	alone   number        // a heartbeat outside any stream that is on its way; 0: none
	marked  [servers]bool // it has put that the session is over, and is about to revoke the lease

	client client
	left   budget
	// The client is dead, and yet nobody may notice: its last attachment was forgotten with a
	// crash, or was to no stream, or ended by the server. Then the TTL ends the session.
	unnoticed bool
	broken    bool // of what the last step did
}

// end is what became of a stream.
type end int8

const (
	unopened end = iota
	stands
	closed // by the client's side; its server has not seen it
	seen   // by its server as well
	cut    // by its server, in whatever way
)

// stream is one, with what is on its way there, and what its server remembers of it.
type stream struct {
	end      end
	server   int8
	number   number    // of its attachment
	sent     [2]number // heartbeats that were not executed yet, the higher one first
	job      job
	answered bool // a heartbeat, while it stood

	attached revision // A; 0: it is not
	linger   linger
}

// job is a heartbeat whose server has read sessions/S and is about to put it.
type job struct {
	number number // 0: there is none
	read   revision
}

// linger is what comes of a stream's close.
type linger int8

const (
	no linger = iota
	begun
	looked // hole: it has looked whether the session was attached elsewhere, and is about to revoke
)

type client struct {
	dead     bool
	highest  number // that it has given out
	using    int8   // the stream; -1: none, it calls by itself
	alone    number // of its attachment to no stream
	attached bool   // it was told that it is, and counts on it
}

// budget is how often things may still happen.
type budget struct {
	beats   int8
	fills   int8
	drains  int8 // a server ends a stream
	crashes int8
	lost    int8 // answers of etcd to a put
}

// model is one configuration.
type model struct {
	name  string
	races bool // it opens several streams at once, and uses the one that answers first
	alone bool // the client may go over to heartbeats outside any stream
	left  budget
	open  hole
}

// hole is a rule that is left out.
type hole int8

const (
	none hole = iota
	looksThenRevokes
	anyStreamCounts
	withoutNumber
	aloneAttachesNothing
	closedBefore
	keepsNumber
	sharesNumber
	keptBySession
	attachWithoutCompare
	lowerCounts
	ownEndCounts
	putUnheard
)

// step is one that the model takes, to be told.
type step struct {
	what           string
	server, stream int8 // from 1; 0: does not matter
	number         number
}

func (e step) String() string {
	text := e.what
	if e.server > 0 {
		text = fmt.Sprintf("server %d: %s", e.server, text)
	}
	if e.stream > 0 {
		text += fmt.Sprintf(", stream %d", e.stream)
	}
	if e.number > 0 {
		text += fmt.Sprintf(", attachment %d", e.number)
	}
	return text
}

// start is after Init over the first stream, which was answered.
func (m *model) start() state {
	s := state{put: 1, at: 1, left: m.left, client: client{highest: 1, attached: true}}
	s.streams[0] = stream{end: stands, number: 1, answered: true, attached: 1}
	s.another = stream{end: stands, server: 1}
	if m.open == anyStreamCounts {
		s.another.attached = 1
	}
	return s
}

// check fails a state in which a client that counts on its attachment has lost its session. It does
// not count on one whose stream has ended.
func (s *state) check() {
	c := s.client
	if stand := c.using < 0 || s.streams[c.using].end == stands; (s.over || s.ended) && !c.dead && c.attached && stand {
		s.broken = true
	}
}

// noticed reports whether the session of a dead client has ended, or nobody can know.
func (s *state) noticed() bool { return !s.client.dead || s.ended || s.unnoticed }

// steps calls yield with each step that can be taken from a state, and the state after it.
func (m *model) steps(s *state, yield func(step, *state)) {
	if s.ended {
		return
	}
	out := func(e step, n state) {
		n.check()
		yield(e, &n)
	}
	m.clientSteps(s, out)
	for i := range s.streams {
		m.streamSteps(s, int8(i), out)
	}
	m.aloneSteps(s, out)
	m.anotherSteps(s, out)
	m.endSteps(s, out)
	m.faultSteps(s, out)
}

// clientSteps are what the client does.
func (m *model) clientSteps(s *state, out func(step, state)) {
	c := s.client
	if c.dead {
		return
	}
	n := *s
	n.client.dead = true
	for i := range n.streams {
		n.hangUp(i)
	}
	n.unnoticed = n.unnoticed || c.using < 0
	out(step{what: "the client is killed"}, n)

	opened := int8(0)
	for i := range s.streams {
		x := &s.streams[i]
		if x.end != unopened {
			opened++
		}
		if x.end == stands && s.left.beats > 0 && x.sent[1] == 0 {
			n := *s
			n.left.beats--
			n.streams[i].send(x.number)
			out(step{what: "the client sends a heartbeat", stream: int8(i) + 1, number: x.number}, n)
		}
		if c.using != int8(i) && x.end == stands && x.answered {
			n := *s
			m.use(&n, int8(i))
			out(step{what: "the client uses the stream that answered first", stream: int8(i) + 1, number: n.streams[i].number}, n)
		}
	}
	for server := int8(0); server < servers && opened < streams; server++ {
		n := *s
		n.client.highest++
		n.client.attached = false
		n.streams[opened] = stream{end: stands, server: server, number: n.client.highest}
		if !m.races {
			n.move(opened)
		}
		out(step{what: "the client opens a stream", server: server + 1, stream: opened + 1, number: n.client.highest}, n)
	}
	if m.alone && s.alone == 0 && s.left.beats > 0 {
		n := *s
		n.left.beats--
		if c.using >= 0 {
			if m.open != sharesNumber {
				n.client.highest++
			}
			n.client.alone, n.client.attached = n.client.highest, false
			n.move(-1)
		}
		n.alone = n.client.alone
		out(step{what: "the client sends a heartbeat outside any stream", number: n.alone}, n)
	}
}

// use settles on a stream that was answered. If others were opened after it, their heartbeats may
// still be on their way, with higher numbers: then it takes one that is higher than all.
func (m *model) use(s *state, i int8) {
	x := &s.streams[i]
	s.client.attached = x.number == s.client.highest || m.open == keepsNumber
	if !s.client.attached {
		s.client.highest++
		x.number, x.answered = s.client.highest, false
	}
	s.move(i)
}

// move has the client use a stream, and close all others; -1: use none.
func (s *state) move(i int8) {
	s.client.using = i
	for j := range s.streams {
		if int8(j) != i {
			s.hangUp(j)
		}
	}
}

// hangUp closes a stream at the client's side.
func (s *state) hangUp(i int) {
	if s.streams[i].end == stands {
		s.streams[i].end = closed
	}
}

// send puts a heartbeat on its way.
func (x *stream) send(n number) {
	x.sent = [2]number{max(n, x.sent[0]), min(n, x.sent[0])}
}

// streamSteps are what happens on one stream.
func (m *model) streamSteps(s *state, i int8, out func(step, state)) {
	x := &s.streams[i]
	e := step{server: x.server + 1, stream: i + 1}
	told := func(what string, n state) {
		e.what = what
		out(e, n)
	}
	if x.end == stands {
		n := *s
		n.hangUp(int(i))
		told("a proxy closes the stream", n)
	}
	if x.end == closed {
		n := *s
		n.streams[i].end = seen
		if x.attached > 0 {
			n.streams[i].linger = begun
		}
		told("sees the close", n)
	}
	for j, beat := range x.sent {
		if beat == 0 || x.job.number != 0 || j == 1 && x.sent[0] == x.sent[1] {
			continue
		}
		n := *s
		n.streams[i].sent = [2]number{x.sent[1-j]}
		e.number = beat
		m.heartbeat(&n, i, beat, told)
	}
	if e.number = x.job.number; e.number != 0 {
		m.putSteps(s, i, told)
	}
}

// heartbeat is executed: sessions/S is read.
func (m *model) heartbeat(s *state, i int8, n number, told func(string, state)) {
	x := &s.streams[i]
	attaches := n > s.at
	if m.open == withoutNumber {
		attaches = n != s.at
	}
	switch {
	case s.over && (attaches || n == s.at):
		told("a heartbeat: the session has ended", *s)
		return
	case attaches:
		x.job = job{n, s.put}
		told("a heartbeat is to attach", *s)
		return
	case n == s.at && x.attached == 0: // its put was not answered
		s.unnoticed = false
		if m.open != putUnheard {
			m.attach(s, i, s.put)
		}
	}
	m.answer(s, i, n, "a heartbeat", told)
}

// putSteps are the put of a heartbeat that attaches.
func (m *model) putSteps(s *state, i int8, told func(string, state)) {
	n := *s
	x := &n.streams[i]
	j := x.job
	x.job = job{}
	switch {
	case s.over && m.open != attachWithoutCompare:
		told("the session has ended meanwhile", n)
	case s.full:
		m.answer(&n, i, 0, "etcd is full, it is not attached", told)
	case s.put != j.read && m.open != attachWithoutCompare:
		m.heartbeat(&n, i, j.number, told)
	default:
		n.put++
		n.at, n.over = j.number, false
		if n.left.lost > 0 {
			l := n
			l.left.lost--
			l.unnoticed = true
			told("is attached, and does not hear so", l)
		}
		m.attach(&n, i, n.put)
		m.answer(&n, i, j.number, "is attached", told)
	}
}

// attach has a server remember that a stream is the one that counts, since a revision.
func (m *model) attach(s *state, i int8, a revision) {
	x := &s.streams[i]
	x.attached = a
	s.unnoticed = x.end == cut && m.open != ownEndCounts
	if (x.end == seen || x.end == cut && m.open == ownEndCounts) && m.open != closedBefore {
		x.linger = begun
	}
	if m.open == keptBySession {
		for j := range s.streams {
			if y := &s.streams[j]; y.server == x.server && y.attached > 0 {
				y.attached = a
			}
		}
	}
}

// answer has the client hear a heartbeat's answer, if the stream stands. at is what it says.
func (m *model) answer(s *state, i int8, at number, what string, told func(string, state)) {
	x := &s.streams[i]
	if s.client.dead || x.end != stands {
		told(what+", nobody hears", *s)
		return
	}
	if at == x.number || m.open == lowerCounts || m.open == withoutNumber {
		x.answered = true
		if s.client.using == i {
			s.client.attached = x.number == s.client.highest || m.open == keepsNumber
		}
	}
	told(what+", answered", *s)
}

// aloneSteps are a heartbeat outside any stream.
func (m *model) aloneSteps(s *state, out func(step, state)) {
	if s.alone == 0 {
		return
	}
	n := *s
	e := step{what: "a heartbeat outside any stream", number: s.alone}
	n.alone = 0
	told := true
	switch {
	case m.open == aloneAttachesNothing:
	case s.over:
		told = false
	case s.alone > s.at && s.full:
		told = false
	case s.alone > s.at:
		n.put++
		n.at = s.alone
		n.unnoticed = true
	}
	if c := s.client; !c.dead && c.using < 0 {
		n.client.attached = told && s.alone == c.highest
	}
	out(e, n)
}

// anotherSteps are of the other process, and of what comes of its stream.
func (m *model) anotherSteps(s *state, out func(step, state)) {
	if s.another.end == stands {
		n := *s
		n.another.end = seen
		if s.another.attached > 0 {
			n.another.linger = begun
		}
		out(step{what: "the other process's stream is closed", server: s.another.server + 1}, n)
	}
}

// endSteps are a linger that is over, and a session that is.
func (m *model) endSteps(s *state, out func(step, state)) {
	all := func(n *state) []*stream {
		return []*stream{&n.streams[0], &n.streams[1], &n.streams[2], &n.another}
	}
	for i, x := range all(s) {
		e := step{server: x.server + 1, stream: (int8(i) + 1) % (streams + 1)}
		n := *s
		y := all(&n)[i]
		switch {
		case x.linger == looked:
			n.ended = true
			e.what = "revokes the lease"
		case x.linger == no || s.over:
			continue
		case x.attached != s.put:
			y.linger = no
			e.what = "its linger is over: attached elsewhere"
		case m.open == looksThenRevokes:
			y.linger = looked
			e.what = "its linger is over: not attached elsewhere"
		case s.full: // to be tried again
			continue
		default:
			y.linger = no
			n.put++
			n.over, n.marked[x.server] = true, true
			n.broken = x.end == cut && !s.client.dead // the client's side has closed nothing
			e.what = "its linger is over: the session is marked"
		}
		out(e, n)
	}
	for f, marked := range s.marked {
		if marked || s.over {
			n := *s
			n.ended = true
			out(step{what: "revokes the lease of a session that is over", server: int8(f) + 1}, n)
		}
	}
}

// faultSteps are what happens besides.
func (m *model) faultSteps(s *state, out func(step, state)) {
	if s.full {
		n := *s
		n.full = false
		out(step{what: "etcd has room again"}, n)
	} else if s.left.fills > 0 {
		n := *s
		n.full = true
		n.left.fills--
		out(step{what: "etcd is full"}, n)
	}
	for i := range s.streams {
		if x := &s.streams[i]; s.left.drains > 0 && x.end == stands {
			n := *s
			n.left.drains--
			n.cut(m, i)
			out(step{what: "ends the stream itself", server: x.server + 1, stream: int8(i) + 1}, n)
		}
	}
	for f := range int8(servers) {
		if s.left.crashes == 0 {
			break
		}
		n := *s
		n.left.crashes--
		n.marked[f] = false
		for i := range n.streams {
			if x := &n.streams[i]; x.server == f && x.end != unopened {
				*x = stream{end: cut, server: f, number: x.number}
			}
		}
		n.unnoticed = true
		out(step{what: "crashes", server: f + 1}, n)
	}
}

// cut ends a stream at its server's side.
func (s *state) cut(m *model, i int) {
	x := &s.streams[i]
	x.end = cut
	if m.open == ownEndCounts && x.attached > 0 {
		x.linger = begun
	}
	s.unnoticed = s.unnoticed || x.attached == s.put
}
