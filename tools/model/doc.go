// Command model looks at every state that the lock service's protocol can come to, in small
// configurations, and says whether its invariants hold. docs/protocol.md is the account of the
// protocol, and of the invariants by their numbers; the package comment of etcdstore is the table
// of its transactions. `go test ./tools/model/...` looks at the small configurations, `make model`
// at larger ones.
//
// Who may end a session that lingers, and what a client is told of a loss, are machines of another
// shape: packages linger and told, below this one. So are sections that are published in one call,
// of which more is designed than is built, and what becomes of files: packages publish and life.
// Package search is what they share.
//
// # What a state is
//
// One lock with one file: its keys in etcd; two servers, each with a mirror that may be as old as
// it likes, and that may know its own changes before its watch repeats them, or not; up to three
// clients, each with one acquisition and a script of calls. A step is one thing that happens: a
// transaction, one look of a mirror, one fault. What a server decides in its memory, and what it
// then asks of etcd, are different steps wherever something may come between them.
//
// Calls. The call that a client has in hand may reach either server, as often as it likes, so that
// any mixture of a full call, a plain transaction that is tried first, and a repeat is among the
// runs. From the budget of a configuration come answers that are lost, and late duplicates of any
// earlier call.
//
// Faults. A session expires, or begins again under the same id; a holder is evicted; a server
// crashes; a client gives up its wait; a note is forgotten; etcd is full; its history is dropped,
// up to any revision, also between two reads of the truth rule; somebody deletes a lock's key by
// hand; etcd is restored from a copy that lacks the last records of the section that is open.
// Folding, sweeping, promoting and heartbeats may happen at any time, or not. Another process may
// append with the session's credential.
//
// # What is left out
//
// Time, and with it hold deadlines, which are evictions. Several locks and files: names.go looks at
// their keys. Sizes: a large fold that takes several transactions, sections that are too large for
// one read. Values, other than whose a key is. The watch itself: a mirror catches up all at once,
// to what is then. What a mirror remembers of ended acquisitions, by which a server refuses most
// late acquires: here none is refused, and a heartbeat ends what they are granted. Restores other
// than that one, and those in which another process has appended after the holder's last record.
// Servers of different versions: markers that do not say whose they are, and the horizon.
//
// Every answer is judged by what really happened, also one that comes to nobody any more, and to a
// call with another session's token, or one that was never granted. A session that begins again
// under its id has no data here: etcd never gives a lease id twice.
//
// # How it corresponds to the code
//
// Each transaction of the table is a method that looks at the compares in one state and returns
// what is then written, with its rule in the comment.
//
//	table       here              in package etcdstore
//	acquire     acquire           Store.Acquire, if the mirror shows neither holder nor queue
//	wait        wait, place       Store.Acquire, otherwise
//	try         try, acquire      Store.Acquire without a wait
//	append      appendRecord      Store.Append
//	release     release, end      Store.Release
//	commit      commitSection     Store.Commit
//	discard     discard, end      Store.Discard
//	evict       evict, end        Store.Evict, hold deadlines, Store.Heartbeat
//	promote     promote           in the background, when a mirror shows a free lock with a queue
//	cancel      cancel            Store.Cancel, the end of a bounded wait, Store.Heartbeat
//	sweep       sweepSection      in the background
//	fold        foldSections      in the background, and before a read
//	attach      none: see above   Store.Heartbeat
//	linger      none: see above   in the background, after a link's close
//	forget      forgetNote,       in the background
//	            forgetWaited
//	attach      package linger    Store.Heartbeat
//	linger      package linger    in the background, after a stream's close
//	publish     package publish   Store.Publish
//	withdraw    package publish   Store.Withdraw
//	place       package publish   Store.Publish of a session that waits
//	finish      package publish   Store.Publish, when its turn has come
//	run         package publish   in the background, before promote
//	clean       package life      in the background
//	bury        package life      in the background
//	retain      package life      in the background
//
// The truth rule is in past.go. What moves a lock on, in release, discard and evict, is pass.
// A batch of two transactions is in batch.go.
//
// # What it proves, and what makes that believable
//
// An exhaustive run says that within its bounds no order of steps breaks an invariant; with
// progress, that from every state all clients can still be served. That the search would find a
// hole is tested: each fix of the protocol can be switched off, and then the search must find the
// harm that it is there for. These are in holes.go, by the ids that the tests of etcdstore and
// docs/protocol.md use. What is known to be open today is among the gaps of tools/model/told.
package main
