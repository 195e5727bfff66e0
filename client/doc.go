// Package client is the Go SDK of dlm: fenced locks with append-only files behind them.
//
// # Terms
//
// A [Client] keeps one connection to one server of a cluster, and moves to the next when that one
// fails; any server serves any client. A session is the client's lease: it is made by the first
// [Client.Lock], kept alive by heartbeats, and replaced when it is lost. A [Lock] is one hold of
// one lock under a token, which only rises for that lock. A section is what one token covers: its
// appends become readable all at once when it is unlocked or committed, and never if it is
// discarded or lost. Two goroutines that share a Client exclude each other.
//
// # Guarantee
//
// An append that returned nil is in its section exactly once. A section whose [Lock.Unlock] or
// [Lock.Commit] returned nil is readable exactly once, whole. Both are decided by the server within
// the transaction that checks the token, so they hold however late a packet is and however long a
// process was stopped. Every call is repeated with the same ids until it is answered: this package
// is the only layer that retries, do not wrap another one around it.
//
// What is known in advance needs no holder: [Client.Publish] publishes a whole section in one call,
// while nobody holds the lock, with the same guarantee.
//
// # Limit
//
// Work other than appends is protected by time alone: [Lock.Context] ends before the lease can, but
// a process that is stopped does not notice before it wakes. Hand [Lock.Token] to whatever else is
// written to, and let it refuse smaller tokens. With Config.Linger, something in between that
// closes connections may have the lock pass on a little before the Context ends: see there. The
// monotonic clock stands still while a machine is suspended: a Context may end late after that, and
// the token check is what refuses the writes.
//
// A lock that is taken away, by an eviction for instance, may have its next holder at once. A
// server tells the Client so, and the Context ends a moment later; with the next heartbeat if the
// message gets lost.
//
// # Outages
//
// While no server answers, a call that holds nothing fails with [ErrUnavailable] after
// Config.ConnectTimeout. A call about a lock that is held goes on trying until the lease is no
// longer certain, then says what is true.
//
// # Limits
//
// A server refuses calls that would take what its other clients need. The client waits such limits
// out: it asks the server again, at growing intervals, for as long as the caller's context lasts or
// a lock's bounded wait. A call that is given up meanwhile says so: its error is that of the
// context, and an [ErrLimit] as well. What goes on under a lock that is held has as long as the
// lock lasts. [Client.Limited] says what is waited for.
//
// # Identity
//
// Servers may want to know who a client is: by its certificate, see Config.TLS and [TLSFromFiles],
// or by a token, see Config.BearerFile. Both may be replaced while the client runs. A connection is
// replaced before the first ends of what was shown on it, at two thirds of what is left of its life
// then, by one that shows what is there by now; the old one is left once the new one serves, so
// that no call fails and no session ends. If the new one would end no later, or is refused, the old
// one goes on to its end, and that is tried again each time that half of what was left is over.
//
// What servers refuse is an [ErrPermissionDenied] if their policy does not allow it, and an
// [ErrUnauthenticated] if they do not accept who this is. Neither has changed anything. A call that
// holds nothing fails with it as soon as every server has refused it, or cannot be reached: another
// one may have other clocks, or know other authorities. A wait for a lock, which would lose its
// place, and what goes on under a lock go on trying as in an outage: what is refused now may only
// be about to be replaced. A lock is then lost when its lease says so, and its error is an
// ErrUnauthenticated as well. Meanwhile connections are made no more often than in an outage.
//
// # Traces and metrics
//
// [Hooks] are told what a Client does: calls, and how long they took; what was lost; heartbeats;
// servers. This package has no library for traces or metrics, and needs none. Package oteltrace
// below it makes OpenTelemetry traces by its hooks.
package client
