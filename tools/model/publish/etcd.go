package publish

// A transaction is looked at in one state, which makes a txn of it; then what it writes is applied.

// txn is a transaction whose compares have been looked at.
type txn struct {
	answer answer
	token  revision      // of a grant that there is already
	write  func(*state)  // nil: nothing
	grants bool          // somebody, at this revision
	failed func(*mirror) // what the server learns, if it is to try again
}

// commit applies transactions that share one revision.
func (s *state) commit(ts ...txn) state {
	n := *s
	for _, t := range ts {
		if t.write != nil && n.now == s.now {
			n.now++
		}
	}
	for _, t := range ts {
		if t.write != nil {
			t.write(&n)
		}
	}
	return n
}

// own has a server know what its own transaction changed before its watch repeats it. It adds, and
// it takes away what it shows, and never puts one place for another.
func (v *mirror) own(before, after *state) {
	if before.lock != after.lock {
		v.lock = after.lock
	}
	for c, at := range after.queue {
		if was := before.queue[c]; was != at && was == v.queue[c] {
			v.queue[c] = at
		}
	}
}

// answer is what a client is told.
type answer int8

const (
	nothing answer = iota // to be tried again
	ok                    // granted, ended
	queued                // it stands in the queue
	published
	busy
	conflict
	withdrawn
	superseded
	outcomeUnknown
	sessionExpired
	lost // the hold
)

func (a answer) String() string {
	return [...]string{
		"nothing", "ok", "queued", "PUBLISHED", "BUSY", "CONFLICT", "WITHDRAWN", "SUPERSEDED", "OUTCOME_UNKNOWN",
		"SESSION_EXPIRED", "LOCK_EXPIRED",
	}[a]
}
