// Package publish looks at sections that are published in one call: acquire, operations and release
// are one transaction, which only compares that nobody holds the lock or waits for it. The service
// does less than is modelled in two places: a run is made by promote alone, and a finish puts what
// a holder puts, so that its version is (token, 0).
//
// # What is modelled of the design
//
// In the order in which it is to be built:
//
//	publish without a wait, direct.go    with fresh.go: what keeps an id from taking effect twice
//	withdraw, withdraw.go
//	forget, forget.go                    notes, with the horizon that is raised
//	fold and read, fold.go               bundles beside the markers of held sections; latest/L
//	conditions, condition.go             on the lock's version
//	place, finish, refuse, place.go      publishes that wait
//	run, run.go                          several of them by whoever passes the lock on
//
// A configuration whose scripts have none of a later one's calls shows a step alone. Who holds the
// lock beside publishes is in holder.go, as far as it matters here: package main above this one
// looks closer. What may share a transaction is in batch.go.
//
// # What a state is
//
// One lock: its keys in etcd; two servers, each with a mirror that may be as old as it likes, and
// that may know its own changes before its watch repeats them, or not; up to three clients, each
// with a script of calls. A publish is named by a lane and a number, and a client's calls are those
// of a lane; two clients of one lane are two deliveries of the same publishes, under two sessions.
// Each transaction looks at its compares and writes in one step: its rule is in the comment, as in
// the design. What a server knows, and the payload of the publishes that wait there, is in its
// memory, and may be old when it is used.
//
// Of a section only its version, (token, n), and its id are there. A state keeps what is published
// and not folded twice: as keys, and as it really happened; a fold must take the oldest. What is
// folded is forgotten, but for the set of ids.
//
// # Faults
//
// Answers that are lost, and late duplicates of any earlier call; sessions that end; evictions;
// notes that are forgotten at any time; servers that start again. Folds are merged, and done in two
// steps by both servers at once. Publishes share a transaction.
//
// # What is judged
//
// No id is published twice. Nobody is told that a publish took effect, or never will, if that is
// not so: WITHDRAWN is final, and so is SESSION_EXPIRED for whoever sent it under that session
// only; after SUPERSEDED and OUTCOME_UNKNOWN it is as it is; a lane's next publish ends what was
// sent before it. BUSY says nothing. Nobody is overtaken. No two sections have one token, but
// publishes of one commit, which n tells apart. A condition is met at the revision at which it is
// published on, and CONFLICT is told for one that is false; it is final, but for who expects that
// there is no version. What a reader gets after folding is what was published, in that order, and a
// read by latest/L misses nothing. With progress: from every state all clients can be answered, and
// the lock be freed.
//
// # What is left out
//
// Conditions on files: they are evaluated on the same state, and compared by the same key, as one
// on the lock. Time, sizes, space, values and files; staged records, sweeps and commits of held
// sections, the truth about their ends, restores: see package main. Session ids never come back.
// Clients of a lane keep to its rules: they number upwards, one at a time, and a publish that is
// sent again is born when it was first, and under the same condition.
package publish
