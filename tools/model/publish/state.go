package publish

const (
	servers = 2
	clients = 3
	numbers = 4 // of a lane: the positions in a script
	most    = 6 // sections that are published and not folded
	merges  = 2 // sections that one fold takes at most
)

// revision is one of etcd, in order; 0: none. A token is the revision of its transaction.
type revision int8

// state is everything at one moment. It has no pointers, so that a copy of it is a plain
// assignment, and comparing two is comparing bytes.
type state struct {
	// Keys in etcd.
	now       revision
	lock      hold                       // locks/L
	queue     [clients]revision          // queue/L//S.r: its CreateRevision; 0: absent
	waited    revision                   // waited/L: its ModRevision; 0: all have seen it
	gone      [clients]bool              // sessions/S is not there any more
	sections  [most]section              // commits/L//T, and bundles/L//n.server
	notes     [clients]note              // applied/L//lane
	latest    revision                   // latest/L: its ModRevision
	tells     version                    // its value: the last version of the lock
	files     bool                       // there are heads: something was folded that is not empty
	forgotten revision                   // its value
	head      revision                   // files/L//F: its ModRevision
	born      [clients][numbers]revision // of each publish, by lane and number: the client's own

	servers [servers]server
	clients [clients]client
	left    budget

	// What really happened, which no key says.
	unfolded  [most]section // what is published and not folded, in the order of publication
	last      version       // what was published last
	published ids
	never     ids  // somebody was told that it is not published, and never will be
	broken    harm // of what the last step did
}

// hold is the value of locks/L. token 0: nobody holds it.
type hold struct {
	token revision
	who   int8 // the client
}

// version says which section it is: of those of one commit, n says which. n is 0 for a section that
// was held.
type version struct {
	token revision
	n     int8
}

// before is the order of sections.
func (v version) before(w version) bool {
	return v.token < w.token || v.token == w.token && v.n < w.n
}

// section is what is published, as a marker or a bundle. Its version's token 0: there is none.
type section struct {
	version
	id    id
	empty bool // it has no operations
	key   int8 // of a bundle: what tells it from others of the same server
}

// id names a publish: the k-th call of a lane. The section that a client held is named after the
// client: beside those of all lanes.
type id int8

const none id = -1

func idOf(lane, number int8) id { return id(lane*numbers + number) }

func heldBy(c int8) id { return id(clients*numbers + c) }

// ids is a set.
type ids uint16

func (s ids) has(i id) bool { return s&(1<<i) != 0 }

func (s *ids) add(i id) { *s |= 1 << i }

// note is what is remembered of a lane: its last number, from 1, and what became of that. number 0:
// there is none.
type note struct {
	number    int8
	withdrawn bool
	version   version
	put       revision // its ModRevision
}

// server is one, with what it remembers.
type server struct {
	mirror mirror
	fold   fold
	// It has folded what there was at this revision, and before.
	through revision
	known   known
	payload [clients]int8 // 1 + the call that waits; 0: it has none
	counter int8          // hole: it begins again with each start
}

// mirror is what a server takes to be so.
type mirror struct {
	lock  hold
	queue [clients]revision
	seen  revision // it saw everything up to here, and may have seen its own changes beyond
}

// vacant reports whether nobody holds the lock or waits for it.
func (v *mirror) vacant() bool { return v.lock.token == 0 && v.queue == [clients]revision{} }

// first returns who waits longest; false: nobody does, as far as it was seen.
func (v *mirror) first() (c int8, ok bool) { return first(v.queue) }

func first(queue [clients]revision) (c int8, ok bool) {
	for i, at := range queue {
		if at != 0 && (!ok || at < queue[c]) {
			c, ok = int8(i), true
		}
	}
	return c, ok
}

// fold is one that has read, and not written yet.
type fold struct {
	is    bool
	head  revision
	takes [merges]section
	rest  bool     // there was more than it takes
	at    revision // as of which it has read
}

type status int8

const (
	calling status = iota
	ended          // it has all its answers, or one after which it goes on no more
)

type client struct {
	status status
	at     int8     // the call in hand
	token  revision // of its hold
	expect version  // that it has read, or was told
}

// budget is how often things may still happen.
type budget struct {
	duplicates int8 // late ones of calls, and answers that are lost
	expiries   int8
	evictions  int8
	forgets    int8
	crashes    int8
}
