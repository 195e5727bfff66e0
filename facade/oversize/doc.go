// Package oversize lets a handler answer a message that is too large to be received.
//
// gRPC refuses such a message by itself, with an error, when it has read how long it is; no handler
// sees the call, and no limit is a method's own. With a larger limit it would keep whatever comes.
// So this package changes what comes before gRPC reads it: where the first message of a call has
// [Limit] bytes or more, its beginning is written over with a message that says so, and behind that
// stands how long the rest is said to be.
//
//	came    0 | length | content ................................................
//	is read 0 | 6 | marker | 0 | length | content ...............................
//
// A handler of a streaming method receives the first of the two, knows it by [Marked], and answers
// what it likes. A unary method takes a single message, and so gRPC looks at the second, and
// refuses it as it would have refused the first. What comes after an answer, it throws away as it
// comes. So nothing is kept of such a message in either case but what a stream's window takes.
//
// To whom frames and calls belong is HTTP/2 (RFC 9113), how long a message is gRPC's own framing.
package oversize
