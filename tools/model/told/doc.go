// Package told looks at what a client is told of a hold that it loses: by messages that nobody
// asked for, by heartbeats, and by the answers to its own calls, which come in any order.
//
// # What a state is
//
// One acquisition of one lock: what locks/L said at each revision; two servers, each with a watch
// that is behind, or lists anew, and with its own changes ahead of the watch; a client with one
// stream at a time, which moves from one server to the other; its call, its answer, a loss and a
// heartbeat on their way. The client acquires, commits and releases. Each call may be sent again,
// over either server, until it is answered or given up, and an acquire may come late. An operator
// evicts, through either server; another process releases with the session's credential.
//
// # What is left out
//
// Sessions that end: those losses are told in the same way. Reasons. Several streams of a session,
// since hearing of a loss twice is the same as hearing of it late. Servers that crash: then the
// client moves.
package told
