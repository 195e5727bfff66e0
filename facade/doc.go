// Package facade serves the dlm.v1 API over gRPC. It decodes a call, makes one call of the store and encodes the
// answer; it knows no rule of locks and keeps no state of sessions, so that any facade can serve any client.
//
// A call runs the same code whether it came by itself or multiplexed on a Stream: the same handler, admission, deadline,
// panic recovery, error mapping and log line.
//
// Errors leave as a gRPC status whose first detail is a google.rpc.ErrorInfo with a reason; the table is in errors.go.
// What gRPC refuses by itself carries no ErrorInfo: a message over MaxMessage (RESOURCE_EXHAUSTED), one that is no
// valid protobuf or has text that is not UTF-8 (INTERNAL), a compression that is not known (UNIMPLEMENTED). On a Stream
// such a message ends the stream, as there is no telling which call it was.
//
// The end of a call, or of the connection that it came by, is the end of its context and no more: an acquisition keeps
// its place in the queue.
package facade
