package life

const (
	servers = 2
	chunked = 2  // units in a chunk
	long    = 16 // positions
	merges  = 2  // sections that one fold takes at most
)

// revision is one of etcd, in order; 0: none.
type revision int8

// position is one of a unit, over all lives of the file.
type position int8

// unit is what a file consists of: each operation has its own. 0: none.
type unit int8

// state is everything at one moment. It has no pointers, so that comparing two is comparing bytes.
type state struct {
	// Keys in etcd.
	now       revision
	head      head        // files/L//F
	chunks    [long]chunk // chunks/L//F/position
	garbage   garbage     // garbage/L//F
	published int8        // how many sections are
	folded    int8        // how many of them have no marker or bundle any more

	servers [servers]server
	reader  reader
	left    budget
	broken  harm // of what the last step did
}

// chunk is its units, from the first; none: there is no such key.
type chunk [chunked]unit

func (c chunk) size() (n position) {
	for _, u := range c {
		if u != 0 {
			n++
		}
	}
	return n
}

// version is the section that began a life.
type version struct{ token, n int8 }

// head is the value of files/L//F, with its revisions. There is one if made is not 0.
type head struct {
	gone bool
	life version
	base position // where this life begins
	// From start to size there is something to read; last is where the last chunk begins.
	start, size, last position
	made, put         revision // its CreateRevision, and its ModRevision
}

func (h head) exists() bool { return h.made != 0 && !h.gone }

// garbage says what can go: chunks before base, and those that end at upto or before. There is such
// a key if put is not 0.
type garbage struct {
	base, upto position
	put        revision
}

// server is what one is about to do, from what it has read.
type server struct {
	fold   fold
	clean  clean
	retain head // as it was read; no head: it does not
}

// fold is of the next sections.
type fold struct {
	takes int8 // how many; 0: there is none
	from  int8
	head  revision // its ModRevision; 0: there was no head
	last  chunk    // the last chunk, as it was read
	stage stage
}

type stage int8

const (
	begun      stage = iota
	allButLast       // chunks are put, beyond what the head tells of
	allPut
)

// clean is by the garbage key as it was read.
type clean struct {
	garbage revision // 0: there is none
	at      position // the chunk that it will delete
	chosen  bool
}

// reader is a client's, who wants all of the file.
type reader struct {
	reads bool
	ended bool
	again bool // it has gone on with a read of its own
	first head // of its first read
	head  head
	at    position
	got   [long]unit
	size  int8
}

// budget is how often things may still happen.
type budget struct {
	crashes    int8
	retentions int8
	burials    int8
	reads      int8
}
