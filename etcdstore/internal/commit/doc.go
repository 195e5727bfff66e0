// Package commit has transactions reach etcd, many of them in one: the group commit.
//
// Transactions that are asked for while others are being committed go together as one: one
// proposal, one fsync, one answer. So etcd commits at its own pace, some hundreds of times a
// second, however many clients there are.
//
//	Submit ──▶ a line of each client ──▶ fill ──▶ batch of packs ──▶ one etcd transaction
//	              ▲                                                     │
//	              └──────────────────────── run again, apart ◀──────────┤ failed in company
//	                                                                    └─▶ the answer of each
//
// # What may go together
//
// Etcd evaluates every compare of a transaction, also of those nested in it, against the state
// before any write of it. So what may share a batch is what would come to the same if it did not
// see the others: transactions that write no key in common, in either branch. That keeps apart
// whatever moves one lock's holder or one waiter's place. It leaves together appends with each
// other and with the end of their section, whose marker does not look at them, and waiters with
// each other and with the hand-over to another one. All members share one revision.
//
// Nobody is promised an order among what is asked for at the same time: what has to run again runs
// after what came with it, so that an append beside its section's release may be refused.
//
// # Turns
//
// What is pending is taken client by client, one transaction each, and of each client in the order
// in which it came. So a client that asks for thousands costs the others a turn of theirs. What
// keeps something alive or ends it is urgent: it has half of each batch before anything else does,
// so that nobody's flood, not even a client's own, keeps it from releasing. What writes the key of
// another one waits for that alone, and is not looked at meanwhile: see lines.
//
// Calls that do not go into a batch, reads above all, are made so many at a time, and by the same
// turns: see gate.
//
// # Packs
//
// Transactions that have no other branch, and whose compares nearly always hold, are packed: one
// transaction has the compares and the operations of many. It costs etcd much less than as many
// nested ones, but holds for all of them or for none. So when one of them does not hold, all of the
// pack are run again, each as a nested transaction of its own. A transaction with another branch is
// a pack of its own from the start. The packs of a batch are nested transactions of one, or that
// one itself if there is no other.
//
// # When etcd refuses a batch
//
// It refuses all of it, for what one member is.
//
//   - A lease has ended that something is put on ([ErrSessionExpired]): all run again apart, and
//     each compares that its session lives, which a plain transaction leaves to etcd.
//   - Etcd is full ([ErrNoSpace]): whoever puts anything is told so, the deletions go on.
//   - Anything else: each runs alone, so that only the culprit fails.
//   - There is no answer ([ErrNoQuorum]): nobody knows what became of it, and each is told that.
//
// # The wall
//
// The package knows etcd's messages, and neither a lock, nor a key, nor the mirror. What it needs
// it is given ([Env]); what it says is an etcd answer or one of four errors.
package commit
