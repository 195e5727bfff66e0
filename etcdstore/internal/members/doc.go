// Package members has a store work with one member of an etcd elsewhere, and leave it for another
// one when it does not commit while the other does.
//
// A client that spreads its calls over all members cannot do that: one that is cut off from the
// others takes every third call, holds it for seconds, and neither the client nor its caller knows
// which one it was. So each member has a client of its own here, and one of them is in use.
//
//	asked every half a second ──▶ answers in time ──▶ stays
//	                         └──▶ fails, or owes the answer for a second: all others are asked too
//	                                 ├──▶ it answers before them ──▶ stays: it is only slow
//	                                 ├──▶ another one answers ─────▶ that one is in use, and
//	                                 │                               what was under way is cut off
//	                                 └──▶ nobody answers ──────────▶ stays: there is no quorum
//
// The question is a linearizable read. No member can answer it without a majority, and one that is
// cut off from its leader, whose disk hangs, or that is stopped, does not answer it.
//
// A member that is back is not moved to: it is one of those to be asked when the one in use fails.
package members
