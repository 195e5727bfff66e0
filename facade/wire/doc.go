// Package wire is how a server reads requests: it looks at what has come before it is decoded.
//
// A few bytes can stand for much: each two of a list's may be an empty element, which takes a
// hundred once it is decoded. So what a message will take is weighed first, and what is too much
// for its type is not decoded; nor is what cannot be. A handler gets an empty message that says so,
// by [Flaw], and answers that one call: gRPC by itself would end a multiplexed stream with all of
// its calls.
//
// Compressed messages are refused, unless [AllowCompressed] was called: a client needs none, and
// they would be taken apart before anybody has looked.
package wire
