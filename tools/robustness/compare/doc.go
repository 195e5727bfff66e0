// Compare puts the locks of other systems under the same seeded faults as dlm's, with the same
// users, and prints one table of what became of their data.
//
//	make robustness-compare
//	make robustness-compare ARGS='-only etcd -faults 20 -seed 7 -markdown'
//
// It is for whoever chooses a lock or doubts what is said of this one, and is never run in CI: what
// the others do is not this project's to fail on. It is a module of its own, so that their clients
// are not among dlm's dependencies. A system that is not installed is skipped, and said to be.
//
// # Workload
//
// It is the set of Jepsen's lock tests. Each lock guards a set of numbers in a plain store, and
// each section acquires the lock, reads the set, and writes it back with one more element, the
// section's number. The set is in two halves, files a and b, which are written one after the other,
// so that a section that broke off in between shows. A section works for a random time, up to
// -work, half of it before each write. It is acknowledged if both writes and the release were.
//
// The store does what a plain file server does: it reads both halves in one step, replaces one half
// in another, with fsync, and knows nothing of locks. With a token it does one thing more: it
// remembers, for each lock, the greatest token that was shown to it with a read or a write, and
// refuses writes with smaller ones. dlm's own files are not in it: a section appends its element to
// file a and to file b of the lock, and the release publishes both.
//
// # Faults
//
// They hit the holder, in the middle of a section, once it has read:
//   - paused: the process is stopped for the TTL and 2 s more, and goes on.
//   - killed: the process is killed, and another one takes its place.
//   - cut off: nothing passes between the holder and the lock's service for as long as a pause. The
//     store is still reached. After the TTL the service's side of the connections ends, which is
//     what TCP's keepalive does to a client whose machine is gone; after the cut the holder's does.
//
// Which fault hits which section at what moment, and how long each section works, are drawn from
// the seed alone, so they are equal for all. How many sections there are between is not: it takes
// as long as it takes until the lock passes on.
//
// # Table
//
// Sections of a lock are numbered in the order in which they said that their acquire had succeeded,
// which they do before anything else.
//   - acknowledged: sections whose writes and release were answered with success.
//   - lost: acknowledged sections whose element is missing from a half in the end.
//   - torn: sections whose element was in one half only, in the end or when a later one read.
//   - stale accepted: writes that took effect after a later section had read or written. The
//     store's own order of events tells; of dlm's own files, what later sections had read, and the
//     order of the elements in the file.
//   - stale refused: the same, but refused. dlm's client refuses some itself, once it knows.
//   - given up: sections that ended by themselves, because their lock said that it was lost.
//   - unavailable: from the fault to the next section's begin, median and worst.
//
// A row is void if fewer than ten faults of a kind hit their holder, or nothing was acknowledged.
//
// # What each promises
//
//   - etcd's Mutex is a key with a lease. Its documentation says that a lease alone excludes nobody
//     for certain, and that what is guarded has to check the key's revision. There is a row without
//     any check, one that asks the session whether it has ended before each write, and one whose
//     store checks that revision.
//   - Kubernetes' leader election, by client-go on a Lease, "does not guarantee that only one
//     client is acting as a leader (a.k.a. fencing)", says its package comment. Its user works
//     until a context ends, which is asked before each write. LeaseDuration is the TTL, 2 s;
//     RenewDeadline 1.3 s and RetryPeriod 0.4 s are about in the proportions of Kubernetes' own
//     15 s, 10 s and 2 s. Waits are tried again after 0.4 s to 0.9 s, in no order. ReleaseOnCancel
//     is set, as in client-go's example: else a lock would be free only LeaseDuration after its
//     release. With it a holder that cannot renew is told only once it has tried to release, for
//     up to 1 s more. One that was paused has a whole RenewDeadline from when it runs again; if the
//     Lease is free by then it is renewed, whoever held it meanwhile, and nothing is told. And a
//     release goes by what was seen last: before the next renewal, it clears a Lease that somebody
//     else holds by then, and whoever tries next holds it beside him.
//     The second row has a token besides: leaseTransitions. client-go hands none to its user, who
//     reads the Lease when told to lead, and goes on if it names him. It is sound so: who takes a
//     Lease over writes the count that he has read and one more, in an update that fails if the
//     Lease has changed since. But identities have to be unique, as each hold's is here, since
//     somebody of the same name renews, and counts nothing; the count has to be read before what is
//     guarded, and not again, since a hold may be lost and come back; and the Lease may never be
//     deleted, since the next one counts from 0. The Lease's resourceVersion, read in the same way,
//     would stand that too.
//   - Redis' page on locks asks for fencing tokens where it matters, and warns that a lock may be
//     gone although its holder lives; it has a way to use several independent servers, while here
//     is one, with every write on disk. redsync and rueidislock are two Go clients. redsync leaves
//     it to its users to extend a lock, which is done every third of the TTL; rueidislock does it
//     by itself, and ends a context when the lock is lost, which is asked before each write.
//   - ZooKeeper's recipe is a queue of nodes that live as long as their session. A client that is
//     cut off learns that its session has ended when it is back, so it has to count itself out
//     before; the Lock of the Go client does not say so, and nothing is asked.
//   - PostgreSQL's advisory locks mean what their users say, who may lock files with them as well.
//     They live as long as their connection and have no TTL: a holder that is paused is waited for,
//     however long that takes, and one that was cut off is not told.
//   - dlm's token, checked by the plain store, has stale writes refused. It does not make one step
//     of two writes: a section that breaks off in between is torn there as behind any lock. dlm's
//     own files are published whole or not at all.
//
// Besides dlm's token the store checks etcd's revision, which its documentation asks for, and
// leaseTransitions, which no documentation calls a token. Each service is a single server: what its
// replication does when members fail is another question.
//
// kube-apiserver is built as deploy/kubernetes/apiserver says, with Go modules from their proxy.
// That takes some minutes, more on a busy machine, and the go command's cache keeps it.
//
// The exit code is 1 if dlm lost or accepted anything in either row, or tore anything in its own
// files; else 2 if a row is void; else 0, whatever the others did.
package main
