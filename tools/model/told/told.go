package told

import "fmt"

const (
	servers   = 2
	revisions = 10 // at most, of a run
)

// revision is one of etcd, in order; a token is the revision of its grant. 0: none.
type revision int8

// state is everything at one moment.
type state struct {
	// Etcd.
	now   revision
	held  [revisions]revision // by revision: the token of the acquisition; 0: it does not hold
	holds [2]hold             // one after the other: the second one is the grant of a late acquire

	servers [servers]server
	client  client
	left    budget
	harm    harm // of what the last step did
}

// hold is from a grant to its end, over all commits.
type hold struct {
	from      revision // 0: there was none
	end       revision // 0: it goes on
	fate      fate
	released  revision // the token that its own release ended
	committed revision // the token that its commit ended
}

type fate int8

const (
	goesOn fate = iota
	releasedItself
	evicted
	releasedByAnother // with the session's credential
)

// server is one, with what it remembers of the acquisition.
type server struct {
	watch revision // the mirror is as of here,
	own   revision // or as of the server's own last change, if that is later
	ended revision // its own execution of the client's release
	call  bool     // the client's call has reached it, and is not executed
	late  bool     // so has a duplicate of its acquire
}

// view is the revision as of which a mirror is.
func (v server) view() revision { return max(v.watch, v.own) }

// status is what the client does.
type status int8

const (
	acquiring status = iota
	holding
	committing
	releasing
	ended   // by its release
	lost    // it was told so
	refused // its acquire
	unknown // it has given up its release, or its commit
)

type client struct {
	status status
	token  revision
	hold   int8     // which one that is
	kept   revision // it was told that it holds nothing as of here

	// Its stream, and what is on its way there.
	server     int8
	registered bool // with the server, so that it is told
	answer     answer
	loss       loss
	beat       beat
}

// answer is one to the call in hand.
type answer struct {
	is    bool
	ok    bool
	token revision
	hold  int8
}

// loss is a message that nobody asked for: as of a revision the acquisition holds nothing.
type loss struct {
	at    revision // 0: there is none
	token revision // hole: instead, that the server took it to hold
}

// beat is a heartbeat.
type beat struct {
	stage stage
	at    revision // as of which the state was read
	token revision // that is held then
}

type stage int8

const (
	due stage = iota // the first one on a stream
	read
	heard
)

// harm is what a client is told that is not so.
type harm int8

const (
	none harm = iota
	stillHolds
	published
)

// budget is how often things may still happen.
type budget struct {
	evictions int8
	others    int8 // releases by another process
	moves     int8
	commits   int8
	lates     int8 // duplicates of the acquire
	relists   int8
}

// model is one configuration.
type model struct {
	name  string
	beats bool // heartbeats come now and then; otherwise only the first one on each stream
	// The client moves only to a server that knows its hold.
	known bool
	left  budget
	open  hole
}

// hole is a rule that is left out.
type hole int8

const (
	closed hole = iota
	lossDecides
	lossBesideCommit
	lossNamesToken
	readsThenRegisters
	lossBeforeGrant
	ownEvictionUntold
	givenUpIsLost
	beatsCompareNoToken
	lossComparesNothing
	listsInSilence
	grantBehindOwn
)

// step is one that the model takes, to be told.
type step struct {
	what   string
	server int8 // from 1; 0: the client, or nobody
	at     revision
}

func (e step) String() string {
	text := e.what
	if e.server > 0 {
		text = fmt.Sprintf("server %d: %s", e.server, text)
	}
	if e.at > 0 {
		text += fmt.Sprintf(", revision %d", e.at)
	}
	return text
}

// start is before the grant: the acquire is on its way over a stream that is registered.
func (m *model) start() state {
	s := state{now: 1, left: m.left, client: client{registered: true, beat: beat{stage: heard}}}
	for f := range s.servers {
		s.servers[f].watch = 1
	}
	return s
}

// served reports whether the client knows what became of its hold.
func (s *state) served() bool { return s.client.status >= ended }

// current returns the hold that goes on; nil: there is none.
func (s *state) current() *hold {
	for i := range s.holds {
		if h := &s.holds[i]; h.from > 0 && h.end == 0 {
			return h
		}
	}
	return nil
}

// put is a transaction that puts locks/L, or deletes it: token 0.
func (s *state) put(grants bool) {
	s.now++
	s.held[s.now] = 0
	if grants {
		s.held[s.now] = s.now
	}
}

// end ends the hold.
func (s *state) end(f fate) {
	h := s.current()
	s.put(false)
	h.end, h.fate = s.now, f
}

// token is what is held now.
func (s *state) token() revision { return s.held[s.now] }

// lose has the client take a hold for lost.
func (s *state) lose() {
	h := s.holds[s.client.hold]
	switch {
	case h.end == 0:
		s.harm = stillHolds
	case h.fate == releasedItself:
		s.harm = published
	}
	s.client.status = lost
}

// steps calls yield with each step that can be taken from a state, and the state after it.
func (m *model) steps(s *state, yield func(step, *state)) {
	out := func(e step, n state) {
		n.forget()
		yield(e, &n)
	}
	m.etcdSteps(s, out)
	for f := range int8(servers) {
		m.serverSteps(s, f, out)
	}
	if !s.served() {
		m.clientSteps(s, out)
		m.hearSteps(s, out)
	}
}

// forget drops what does not matter any more, to keep the states few.
func (s *state) forget() {
	if s.served() {
		s.client = client{status: s.client.status}
		for f := range s.servers {
			s.servers[f].call = false
		}
	}
}

// etcdSteps are what others do.
func (m *model) etcdSteps(s *state, out func(step, state)) {
	if s.current() == nil {
		return
	}
	for f := range int8(servers) {
		if s.left.evictions > 0 {
			n := *s
			n.left.evictions--
			n.end(evicted)
			m.change(&n, f, m.open != ownEvictionUntold)
			out(step{what: "evicts", server: f + 1, at: n.now}, n)
		}
		if s.left.others > 0 {
			n := *s
			n.left.others--
			n.end(releasedByAnother)
			m.change(&n, f, true)
			out(step{what: "another process releases", server: f + 1, at: n.now}, n)
		}
	}
}

// change has a server take its own change into its mirror. told: whoever loses by it is told.
func (m *model) change(s *state, f int8, told bool) {
	v := &s.servers[f]
	old := v.view()
	if !told {
		v.ended = s.now
	}
	v.own = s.now
	m.notice(s, f, old)
}

// notice has a server tell what its mirror shows to be lost, since it was as of an earlier
// revision.
func (m *model) notice(s *state, f int8, old revision) {
	c, v := &s.client, &s.servers[f]
	was, at := s.held[old], v.view()
	if was != 0 && s.held[at] == 0 && at != v.ended && c.server == f && c.registered && !s.served() {
		c.loss = loss{at, was}
	}
}

// serverSteps are what a server does: its watch goes on, or it lists anew; it executes a call.
func (m *model) serverSteps(s *state, f int8, out func(step, state)) {
	v := s.servers[f]
	if v.watch < s.now {
		n := *s
		n.servers[f].watch++
		before := v.view()
		if v.own > v.watch && m.open != grantBehindOwn {
			before = v.watch + 1 // if it was granted then, it has held until the server's own change
		}
		m.notice(&n, f, before)
		out(step{what: "the watch goes on", server: f + 1, at: v.watch + 1}, n)
	}
	if s.left.relists > 0 && v.watch+1 < s.now {
		n := *s
		n.left.relists--
		n.servers[f].watch = s.now
		if m.open != listsInSilence {
			m.notice(&n, f, v.view())
		}
		out(step{what: "its mirror lists anew", server: f + 1, at: s.now}, n)
	}
	if v.call {
		n := *s
		n.servers[f].call = false
		m.execute(&n, f, func(a answer, what string, n state) {
			if n.client.server == f && !n.client.answer.is {
				x := n
				x.client.answer = a
				out(step{what: what, server: f + 1, at: a.token}, x)
			}
			out(step{what: what + ", answer lost", server: f + 1, at: a.token}, n)
		})
	}
	if v.late {
		n := *s
		n.servers[f].late = false
		m.acquire(&n, f, func(_ answer, what string, n state) {
			out(step{what: "late: " + what, server: f + 1}, n)
		})
	}
	c := &s.client
	if c.server != f || s.served() {
		return
	}
	if !c.registered && (m.open != readsThenRegisters || c.beat.stage > due) {
		n := *s
		n.client.registered = true
		out(step{what: "registers the stream", server: f + 1}, n)
	}
	if c.beat.stage == due && (c.registered || m.open == readsThenRegisters) {
		n := *s
		n.client.beat = beat{read, s.now, s.token()}
		out(step{what: "reads the state for a heartbeat", server: f + 1, at: s.now}, n)
	}
}

// execute is the client's call at a server.
func (m *model) execute(n *state, f int8, done func(answer, string, state)) {
	c := n.client
	h := &n.holds[c.hold]
	holds := n.token() != 0 && n.token() == c.token
	switch c.status {
	case acquiring:
		m.acquire(n, f, done)
	case committing:
		a := answer{is: true, hold: c.hold}
		switch {
		case holds:
			h.committed = c.token
			n.put(true)
			m.change(n, f, true)
			a.ok, a.token = true, n.now
		case h.committed == c.token && h.end == 0:
			a.ok, a.token = true, n.token()
		case h.committed == c.token:
			a.ok = true // published, and lost since
		}
		done(a, "commit", *n)
	case releasing:
		a := answer{is: true, hold: c.hold}
		switch {
		case holds:
			h.released = c.token
			n.end(releasedItself)
			m.change(n, f, false) // its answer tells
			a.ok = true
		case h.released == c.token:
			a.ok = true
		}
		done(a, "release", *n)
	}
}

// acquire is an acquire at a server: the grant that is there, or that was, or a new one.
func (m *model) acquire(n *state, f int8, done func(answer, string, state)) {
	grant := func(i int8) {
		x := *n
		x.put(true)
		x.holds[i] = hold{from: x.now}
		m.change(&x, f, true)
		done(answer{true, true, x.now, i}, "grant", x)
	}
	switch {
	case n.holds[0].from == 0:
		grant(0)
	case n.token() != 0:
		i := int8(0)
		if n.holds[1].from != 0 {
			i = 1
		}
		done(answer{true, true, n.token(), i}, "it has the grant", *n)
	default:
		done(answer{is: true}, "its grant is over", *n)
		if n.holds[1].from == 0 && m.left.lates > 0 { // it may not be known here
			grant(1)
		}
	}
}

// clientSteps are what the client does. A hold that is over without its doing is to be told, not
// asked for: it begins no call then.
func (m *model) clientSteps(s *state, out func(step, state)) {
	c := s.client
	begin := func(what string, to status) {
		n := *s
		n.client.status = to
		n.servers[c.server].call = true
		out(step{what: what}, n)
	}
	if c.status == holding && s.holds[c.hold].end == 0 {
		if s.left.commits > 0 {
			x := *s
			x.left.commits--
			x.client.status = committing
			x.servers[c.server].call = true
			out(step{what: "the client commits"}, x)
		}
		begin("the client releases", releasing)
	}
	calls := c.status == acquiring || c.status == committing || c.status == releasing
	if calls && !c.answer.is && !s.servers[c.server].call {
		begin("the client sends its call", c.status)
	}
	if c.status == committing || c.status == releasing {
		n := *s
		n.client.status = unknown
		if m.open == givenUpIsLost && c.kept > c.token {
			n.lose()
		}
		out(step{what: "the client gives its call up"}, n)
	}
	if s.left.lates > 0 && c.status == holding {
		for f := range servers {
			n := *s
			n.left.lates--
			n.servers[f].late = true
			out(step{what: "a duplicate of the acquire is on its way", server: int8(f) + 1}, n)
		}
	}
	if to := s.servers[1-c.server].view(); s.left.moves > 0 && (!m.known || s.held[to] != 0) {
		n := *s
		n.left.moves--
		n.client.server = 1 - c.server
		n.client.registered, n.client.answer, n.client.loss, n.client.beat = false, answer{}, loss{}, beat{}
		out(step{what: "the client moves to the other server", server: n.client.server + 1}, n)
	}
	if m.beats && c.beat.stage == heard {
		n := *s
		n.client.beat = beat{}
		out(step{what: "the client sends a heartbeat"}, n)
	}
}

// hearSteps are what reaches the client.
func (m *model) hearSteps(s *state, out func(step, state)) {
	c := s.client
	if c.answer.is {
		n := *s
		n.client.answer = answer{}
		m.answered(&n, c.answer)
		out(step{what: "the client hears the answer", at: c.answer.token}, n)
	}
	if c.loss.at > 0 {
		n := *s
		n.client.loss = loss{}
		m.told(&n, c.loss)
		out(step{what: "the client hears of a loss", at: c.loss.at}, n)
	}
	if c.beat.stage == read {
		n := *s
		n.client.beat = beat{stage: heard}
		m.beaten(&n, c.beat)
		out(step{what: "the client hears the answer to a heartbeat", at: c.beat.at}, n)
	}
}

// answered takes the answer to the call in hand. Whether what was told before it is news is known
// by the token.
func (m *model) answered(s *state, a answer) {
	c := &s.client
	switch was := c.status; {
	case was == acquiring && !a.ok:
		c.status = refused
		return
	case was == releasing && a.ok:
		c.status = ended
		return
	case !a.ok, a.token == 0:
		s.lose()
		return
	}
	c.status, c.token, c.hold = holding, a.token, a.hold
	if c.kept > c.token {
		s.lose()
	}
}

// told takes a loss.
func (m *model) told(s *state, l loss) {
	c := &s.client
	if m.open == lossNamesToken && c.status == holding {
		if l.token == c.token {
			s.lose()
		}
		return
	}
	m.holdsNothing(s, l.at)
}

// beaten takes what a heartbeat's answer says.
func (m *model) beaten(s *state, b beat) {
	c := &s.client
	switch {
	case b.token == 0:
		m.holdsNothing(s, b.at)
	case c.status == holding && b.token > c.token && m.open != beatsCompareNoToken:
		s.lose() // it was granted anew, to nobody
	}
}

// holdsNothing takes in that the acquisition holds nothing as of a revision. While a call is on its
// way that is kept, and its answer decides.
func (m *model) holdsNothing(s *state, at revision) {
	c := &s.client
	switch {
	case c.status == holding && (at > c.token || m.open == lossComparesNothing):
		s.lose()
	case c.status == acquiring && m.open != lossBeforeGrant,
		c.status == committing && m.open != lossBesideCommit && m.open != lossDecides,
		c.status == releasing && m.open != lossDecides:
		c.kept = max(c.kept, at)
	case (c.status == committing || c.status == releasing) && m.open == lossDecides && at > c.token:
		s.lose()
	}
}
