// Package etcdstore is the lock service as etcd transactions: sessions, locks, their queues,
// sections and files. It is the only package that knows etcd; its errors and types are its own.
//
// Terms. A session is a client's lease. A lock has at most one holder, an acquisition named by
// (session, request), and a FIFO queue of waiters. The holder's token is the ModRevision of the
// lock's key, which only a grant writes, so that for one lock tokens rise. A section is what one
// token covers; its records are staged under the token and become readable all at once, at the
// revision of its marker. A section that ends without being published is undone, which a note says.
//
// docs/protocol.md is the account for a reader without the code: why each compare is there, and how
// a pause, a duplicate and a crash are survived. In the code, acquire.go draws the path of one
// call, mirror.go says what is remembered and how far it may be trusted, feed.go how watchers are
// told, plain.go how calls are started, publish.go how a section is published in one call, and
// life.go what becomes of a file.
//
// # Keys
//
// See keys.go. Every key is built and parsed there.
//
// # Transactions
//
// Each transition is one etcd transaction. L lock, S session, r request, T token; m(k) ModRevision,
// c(k) CreateRevision. guard is m(locks/L)=T and Lease(locks/L)=S; the second is left out if this
// store has seen that S was granted T, for what was put at a revision does not change. What is put
// on a lease is preceded by c(sessions/S)>0, except in the plain transactions: etcd refuses what is
// put on a lease that has ended, and all that shares its transaction.
//
//	acquire    if   c(locks/L)=0, c(sessions/S)>0,
//	                m(waited/L) is no later than a revision at which nobody waited
//	           then put locks/L on S's lease; T is this revision
//	           else, and if the lock looks held or waited for: wait
//	wait       if   held by this very (S, r)
//	           then the same grant
//	           else put queue/L//S.r once, if c(sessions/S)>0; with it put waited/L
//	try        if   c(locks/L)=0, nothing under queue/L//, c(sessions/S)>0
//	           then put locks/L on S's lease
//	           else held by this very (S, r): the same grant; otherwise nothing
//	           the plain one, if the lock looks held: it only reads who holds it
//	append     if   guard, c(record)=0
//	           then put the record
//	           else success if it is there and its section is open, or published by S;
//	                otherwise ErrLockExpired
//	release    if   guard; c(staged/L//T/r)>0 of the last appends r that it names;
//	                with a waiter: its key at its CreateRevision, its session alive
//	           then put locks/L on the waiter's lease and delete its key, or delete locks/L;
//	                put commits/L//T, with S as its value, and latest/L, if appended
//	           else a waiter that vanished: the next; the guard holds, and one of them is not
//	                there: ErrDataLoss; otherwise the truth rule
//	publish    if   c(locks/L)=0, m(waited/L) as acquire has it; nothing in the bundle's slot;
//	                applied/L//lane is below the number, or absent with forgotten not above born;
//	                with a condition: m(latest/L) as it was when that held
//	           then put bundles/L//slot and applied/L//lane; with it put latest/L
//	           else what applied/L//lane says of the number; ErrOutcomeUnknown if it is above
//	                it, or forgotten is above born; Conflict if its condition does not hold;
//	                Occupied
//	withdraw   if   the same of the lane
//	           then put applied/L//lane, withdrawn
//	           else as publish
//	place      if   the same of the lane, c(sessions/S)>0
//	           then put queue/L//S.r once, for a publish; with it put waited/L
//	           else as publish
//	finish     if   m(locks/L)=T, granted to the place of a publish; the same of the lane
//	           then put its records, commits/L//T and latest/L, applied/L//lane; pass the lock on
//	                as release does
//	           else without the lane: only pass it on; otherwise place
//	run        if   c(locks/L)=0, the first waiters are publishes of this server's: their keys
//	                at their CreateRevisions, the same of the lane of each
//	           then delete the keys, put as publish does for each
//	           else promote
//	commit     if   guard; c(staged/L//T/r)>0 of the last appends r that it names
//	           then put locks/L again with prev=T: its revision is the next token;
//	                put commits/L//T, with S as its value, and latest/L, if appended
//	           else the same holder with prev=T: the same answer; otherwise as release
//	discard    as release, without the marker and the last appends, with undone/L//T if appended
//	evict      if   m(locks/L)=T
//	           then pass the lock on as release does, put undone/L//T
//	promote    if   c(locks/L)=0, the first waiter's key at its CreateRevision, its session alive
//	           then put locks/L for it, delete its key
//	cancel     if   c(queue/L//S.r)>0
//	           then delete it
//	           else the holder is (S, r): it was granted
//	           the plain one, if it looks as if it did not wait: it only reads both
//	sweep      if   m(locks/L)!=T, c(commits/L//T)=0, c(a record of T just read)>0
//	           then delete staged/L//T/, put undone/L//T unless a note is there
//	fold       if   m(commits/L//T) of some sections, the oldest, m(bundle) of the oldest of those
//	                that were published in one call, and m(files/L//F) of every file touched are
//	                unchanged; of many files: no m(files/L//) is later than these reads
//	           then put chunks; in the last step move the heads, put folded/L, and garbage/L//F
//	                of what was replaced, removed or cut; delete the markers, each
//	                staged/L//T/ and the bundles
//	clean      if   m(garbage/L//F) is unchanged
//	           then delete chunks that it says can go; when none is left, delete it instead
//	bury       if   m(files/L//F) is unchanged, and removed for a day; c(garbage/L//F)=0
//	           then delete it, and all chunks/L//F//
//	retain     if   m(files/L//F) is unchanged, the file there
//	           then move its start on to one of its marks, put garbage/L//F
//	attach     if   m(sessions/S) is unchanged since it was read, with at < n and not over
//	           then put sessions/S with at = n: A is this revision; renew the lease
//	           else read again; ErrSessionExpired if over
//	linger     if   m(sessions/S)=A
//	           then put sessions/S, over; revoke the lease
//	           else nothing: it was attached elsewhere
//	forget     if   m(horizon) is unchanged
//	           then delete notes older than a day, raise horizon to their tokens
//	           if   m(waited/L) is unchanged, nothing under queue/L//
//	           then delete waited/L
//	           if   m(forgotten), and m(applied/L//lane) of lanes that are old, are unchanged
//	           then delete these, raise forgotten to the highest of their revisions
//
// Whether anybody waits for a free lock could be asked of the queue alone, but etcd passes over
// each key that was ever deleted there until history is dropped, thousands of a busy lock. So
// whoever takes a place in a queue puts waited/L as well, and a grant relies on the mirror for all
// that was before: up to the revision that the watch has come to, nobody waited.
//
// The truth rule is what an ending comes to whose token does not hold the lock for its session. One
// transaction reads what is there now, and the first line that applies is taken:
//
//   - the token is above etcd's revision: [ErrWentBack].
//   - a marker: success if it is this session's; another's: [ErrLockExpired].
//   - a note: [ErrLockExpired], it was undone.
//   - a record: [ErrLockExpired]. What is published has a marker until it is folded, and its
//     records are then deleted.
//   - the lock is held under this token, by another session, or under a lower one:
//     [ErrLockExpired]. Tokens rise, so this one was never granted.
//
// Otherwise etcd's history is asked. E is the revision at which the token stopped holding the lock;
// k@E is a key as of then. Reads of locks/L at revisions from T on find it, by bisection:
//
//   - not at the token at T: [ErrLockExpired], it was never granted.
//   - E is compacted away: [ErrOutcomeUnknown].
//   - the lock was on another session's lease until E: [ErrLockExpired].
//   - commits/L//T@E: success.
//   - undone/L//T@E: [ErrLockExpired].
//   - no sessions/S@E: [ErrLockExpired], it ended with its session.
//   - locks/L@E is S's with prev=T: success, a commit.
//   - appended: [ErrLockExpired], since its own ending would have put the marker.
//   - otherwise success: its own ending, of a section without records.
//
// The section is over when it is asked, and what it asks of does not change any more, but by being
// forgotten: evidence.go says why it is exact.
//
// Transactions that are asked for together and write no key in common share one: see
// internal/commit. Acquire, append and release are first tried without their else: see plain.go.
//
// # Owners
//
// A session is the identity's that began it ([WithOwner]), and its credential of use to nobody
// else, while it lives and afterwards: see owner.go. Every call with a credential may be refused
// with [ErrNotOwner], before anything else is done. Transactions have no part in it.
//
// # Hold deadlines
//
// A holder's record may say how long it may hold ([AcquireArgs], [Store.LimitHolds]): then
// whichever store's time comes first evicts it, under its token. deadline.go says by which clock.
//
// # Losses
//
// What a session loses by decision, an eviction above all, its client is told at once over the
// streams that it said so on ([Link]): the acquisition, and the revision as of which it holds
// nothing. The mirror notices and never waits; told.go finds out why. Nothing relies on it.
//
// # Listings and the past
//
// Who holds and waits is listed from the mirror, once its watch has come to a revision that etcd
// has answered with since the call: list.go. The last changes are remembered as the watch has told
// them: recent.go. What has happened after an earlier revision is read by a watch of etcd of its
// own, as far as its history goes: since.go.
//
// # Going back
//
// Tokens are revisions, and an etcd that goes back would grant them again. meta.go says whose an
// etcd is, wentback.go how a store notices that it went back, and by what its clients know.
//
// # What is malformed
//
// Others may write to etcd as well. What is not as a store writes it is passed over, logged once,
// and listed for operators ([Store.Problems], [Store.Repair]): malformed.go says what becomes of
// each kind. Background work that panics goes on: see background.go.
//
// # Limits of the guarantee
//
// No clock decides safety: leases decide only when a lock may pass on. A client that goes by its
// own clock must count from when it sent the last heartbeat that was answered. Files live in etcd
// and share its space quota; at 80 % of it records are refused, at 90 % new sessions and acquires
// too, while releases, folds, discards and sweeps go on: see space.go.
package etcdstore
