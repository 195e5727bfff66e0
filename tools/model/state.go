package main

const (
	maxAcquisitions = 3
	maxSessions     = 3
	maxSections     = 12
	maxFile         = 10 // entries
	mergeSections   = 2  // that one fold takes at most
	servers         = 2
)

// token names a section: the n-th grant of the lock has token n, 0 is none. In etcd it is the
// revision of the grant; of revisions only the order matters, and this keeps it.
type token int8

// clock orders the places that were taken in the queue, and what was seen of them. 0 is before all
// of them.
type clock int8

// state is everything at one moment: etcd, the servers' memories, the clients. It has no pointers,
// so that a copy of it is a plain assignment, and comparing two is comparing bytes.
type state struct {
	// Keys in etcd.
	lock     token                  // locks/L: the section that holds it; 0: absent
	places   [maxAcquisitions]clock // queue/L//S.r: its CreateRevision; 0: absent
	waited   clock                  // waited/L: its ModRevision; 0: absent, or so old that every server has seen it
	sessions [maxSessions]token     // sessions/S: 1 + the last token granted before its CreateRevision; 0: absent
	horizon  token
	sections [maxSections]section // in the order of their tokens
	granted  token                // how many there are
	file     [maxFile]entry       // files/L//F and its chunks
	size     int8
	full     bool   // etcd refuses puts
	history  moment // before this, etcd has forgotten what was
	inquiry  inquiry

	servers [servers]server
	clients [maxAcquisitions]client
	left    budget
	broken  violation // of what the last step did
}

// section is what one token covers.
type section struct {
	who    int8    // the acquisition that it was granted to
	prev   token   // in the value of locks/L: the token before a mid-way commit; 0: it was granted anew
	staged records // staged/L//T/
	marker bool    // commits/L//T
	note   bool    // undone/L//T

	end atEnd

	// For hole H2 only.
	covers records // what was staged when the marker was put
	tombs  records // what a fold leaves in place of a record

	// What really happened, which no key says.
	fate      fate
	put       records // were ever staged
	published records // were staged when the holder's own call published them
}

// records is a set of them, by their call's number in the script of the acquisition.
type records uint8

func (r records) has(call int8) bool { return r&(1<<call) != 0 }

// entry is a record in the file.
type entry struct {
	token token
	call  int8
}

// fate is how a section ended.
type fate int8

const (
	open      fate = iota
	released       // by its holder's own release or commit: what it staged is to be readable
	evicted        // by an operator, a hold deadline, or a heartbeat that no longer lists it
	expired        // with its session
	discarded      // by its holder
	byHand         // somebody deleted locks/L
)

// server is what one server has in memory. All of it may be out of date.
type server struct {
	// The mirror.
	holder token
	places [maxAcquisitions]clock
	seen   clock // the watch has come to here

	fold  fold
	sweep token // hole H4: a sweep that is decided
}

// fold is one that is going on.
type fold struct {
	read   bool // the markers and records
	tokens [mergeSections]token
	staged [mergeSections]records

	head  bool // the head was read
	size  int8 // as it was then
	moved bool // the head has been moved since
}

// status is what a client does.
type status int8

const (
	working   status = iota // through its script
	finished                // its script is done
	refused                 // it was told that the lock, or its session, is lost
	givingUp                // it cancels its wait
	returning               // the cancel came too late: it discards what it was granted
	undoing                 // records were lost: it discards the rest
)

// client is one acquisition of the lock, and who made it.
type client struct {
	call   int8 // the one in hand, by its number in the script
	status status
	token  token
	staged records // its appends that were answered with success
	before int8    // 1 + the number of the last of them over a stream that a restore has ended; 0: none
}

// done reports whether the client wants nothing any more: its next heartbeat does not list the
// acquisition.
func (c client) done() bool { return c.status == finished || c.status == refused }

// budget is how often each fault may still happen.
type budget struct {
	duplicates  int8 // replies lost, and late duplicates of calls
	expiries    int8
	evictions   int8
	crashes     int8
	rebirths    int8 // of a session under the same id
	cancels     int8
	forgets     int8 // of undone notes
	fills       int8 // etcd is full
	empties     int8 // it has room again
	compactions int8 // of etcd's history
	hands       int8 // that delete locks/L
	restores    int8 // of etcd, from a copy that lacks the last records
}

func (s *state) section(t token) *section { return &s.sections[t-1] }

// sessionOf returns the session of an acquisition.
func (m *model) sessionOf(a int8) int8 { return m.scripts[a].session }

func (m *model) alive(s *state, a int8) bool { return s.sessions[m.sessionOf(a)] != 0 }

// acquisitions is how many there are.
func (m *model) acquisitions() int8 { return int8(len(m.scripts)) }

// start returns the first state: sessions begun, nothing else.
func (m *model) start() state {
	s := state{left: m.faults}
	for a := range m.acquisitions() {
		s.sessions[m.sessionOf(a)] = 1
	}
	for a := m.acquisitions(); a < maxAcquisitions; a++ {
		s.clients[a].status = finished
	}
	return s
}

// ticks calls f with every clock of a state.
func (s *state) ticks(f func(*clock)) {
	f(&s.waited)
	for i := range s.places {
		f(&s.places[i])
	}
	for i := range s.servers {
		f(&s.servers[i].seen)
		for j := range s.servers[i].places {
			f(&s.servers[i].places[j])
		}
	}
}

// latest returns the last clock there was.
func (s *state) latest() (last clock) {
	s.ticks(func(c *clock) { last = max(last, *c) })
	return last
}
