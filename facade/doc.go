// Package facade serves the dlm.v1 API over gRPC. It decodes a call, makes one call of the store
// and encodes the result; it knows no rule of locks and keeps no state of sessions, so that any
// facade can serve any client.
//
// # One way in
//
// A call runs the same code whether it comes by itself or multiplexed on a Stream: the same
// admission, handler, panic recovery, error mapping and log line. See [call.admit], which every
// call has to pass, and [call.end].
//
// # Who calls, and whether they may
//
// Part of the admission is the gate: see gate.go. It knows a caller by its certificate or its
// token, and asks the policy of the moment, by what package auth says that a call needs. A
// connection with a certificate that is not good is taken, and its calls are refused: so its client
// learns why. The store's calls are made in the caller's name ([etcdstore.WithOwner]), for a
// session is its owner's.
//
// What lasts is looked at again when a file changes, and each second: see review.go. Answers are
// rid of what their caller may not see, and what was changed, or refused, is written down: see
// written.go.
//
// # How long a call lasts
//
//   - A wait for a lock, a Tail and a Watch: until the client ends it, or the server's shutdown
//     does.
//   - Any other unary call: 10 s at most, whatever the store does.
//   - Any other multiplexed call: 10 s as well, but for Acquire, Release and Append. These the
//     store only starts; it bounds each step of them by itself, and the call ends when the store
//     says so.
//
// The end of a call, or of the connection that it came by, is the end of its context and no more:
// an acquisition keeps its place in the queue.
//
// # Errors
//
// Errors leave as a gRPC status whose first detail is a google.rpc.ErrorInfo with a reason; the
// table is in errors.go. What gRPC refuses by itself carries no ErrorInfo, and leaves no line in
// the log unless it ends a stream:
//
//   - RESOURCE_EXHAUSTED: a message over [MaxMessage].
//   - INTERNAL: a compressed message; no request where one is due.
//   - UNIMPLEMENTED: a message in a compression that is not known, a method's name that is
//     malformed.
//
// On a Stream such a message ends the stream, as there is no telling which call it was. A message
// that is no valid protobuf, that is too large for its type, or that would take too much memory
// once it is decoded, fails its own call and no other: see package wire.
//
// # Limits
//
// What a client may take, and all of them together, is bounded: see [Limits], package budget, and
// docs/limits.md. A limit refuses in [call.admit], or before (tap); it never costs a call that has
// begun, but for what a connection has sent or not read too much of: then it is closed.
package facade
