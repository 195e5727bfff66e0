package main

// A transaction is evaluated in two steps, as etcd does it: its compares are looked at in a state,
// which makes a txn of it, and then what it writes is applied. In between others of the same batch
// may have written: none of them sees that.

// txn is a transaction whose compares have been looked at.
type txn struct {
	answer answer
	token  token // granted, where the answer has one; justNow: the one that this transaction grants

	touches []touch
	lease   int8         // 1 + the session whose lease it puts on; 0: none
	ends    bool         // a section
	write   func(*state) // nil: nothing
}

// justNow is the token of a section that does not exist yet.
const justNow = token(-1)

// touch is one key that a transaction may write.
type touch struct {
	key
	op op
}

type op int8

const (
	put op = iota
	del
	along   // put, once for all of its batch
	besides // not written; nothing else in its batch may write it
)

// key is a key, or a range of keys.
type key struct {
	family family
	at     int8 // an acquisition, or a token
	call   int8
}

type family int8

const (
	locks family = iota
	queue
	waited
	staged    // one record
	allStaged // a section's records
	commits
	undone
	files
	horizon
)

// answer is what a client is told.
type answer int8

const (
	none   answer = iota // nothing: to be tried again
	ok                   // granted, appended, ended by this call
	queued               // it stands in the queue
	busy                 // the lock is held or waited for
	lockExpired
	sessionExpired
	lockLost       // committed, but lost since
	cameTooLate    // a discard: the section had been published
	outcomeUnknown // history is gone
	noSpace
	dataLoss // a record that was acknowledged is gone
	asked    // not told yet: what was is to be read
)

func (a answer) String() string {
	return [...]string{
		"nothing", "ok", "queued", "busy", "LOCK_EXPIRED", "SESSION_EXPIRED",
		"published, lock lost", "was published", "OUTCOME_UNKNOWN", "NO_SPACE", "DATA_LOSS", "to be asked",
	}[a]
}

// puts reports whether a transaction has a put: etcd that is full refuses it.
func (t txn) puts() bool {
	for _, w := range t.touches {
		if w.op == put || w.op == along {
			return true
		}
	}
	return false
}

// commit applies a transaction. false: etcd refused it.
func (s *state) commit(t txn) bool {
	if t.write == nil || s.full && t.puts() {
		return false
	}
	t.write(s)
	return true
}

// meet reports whether two transactions may write a key in common.
func (m *model) meet(t, o txn) bool {
	for _, a := range t.touches {
		for _, b := range o.touches {
			if a.op == along || b.op == along || a.op == besides && b.op == besides {
				continue
			}
			if a.family == queue && a.op == del && b.op == del && m.open.has(cancelBesideHandOver) {
				continue // etcd takes it
			}
			if a.key == b.key || a.within(b.key) || b.within(a.key) {
				return true
			}
		}
	}
	return false
}

// within reports whether a record is one of a section's.
func (k key) within(o key) bool { return k.family == staged && o.family == allStaged && k.at == o.at }
