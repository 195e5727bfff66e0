// Package budget bounds what a server keeps in memory for its clients, and how long.
//
// gRPC keeps what has come of a request until all of it is there, and what is to be sent until the
// client reads it, and bounds neither for a server. Here each connection's HTTP/2 frames are looked
// at as they pass, and each call has an account of both:
//
//	unread     what has come, less what its handler was given
//	unsent     what its handler has answered, less what was written
//	held       what the handler itself keeps: the request, and the answer that it prepares
//
// All accounts together are the server's, those of a connection the connection's. What would exceed
// a bound is refused, if it can be: a call, or an answer before it is prepared. What has come
// already cannot be refused, so then a connection is closed: the one whose own bound it is, or of
// all the one that keeps the most. A request that does not come to its end in time, and an answer
// that is not read in time, cost the connection as well: gRPC has no way to end them alone.
//
// Accounts are by stream, and gRPC tells nobody which stream a call has. So a read of the
// connection ends where a call's headers end: the call that gRPC asks about next (its tap) is that
// one.
//
// Connections themselves are bounded too: each is a descriptor of the process, and etcd's server,
// which may run in it, ends when it gets none.
package budget
