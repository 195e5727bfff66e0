// Package linger looks at who may end a session before its TTL. A session that lingers is attached
// to a stream, and ends soon after the client's side has closed that stream, unless the session was
// attached to another one in between.
//
// # What a state is
//
// One session: its key in etcd, with the number of its last attachment; a client that opens up to
// three streams, to two servers, and may go over to calls without a stream; what each server
// remembers of each stream. What is on its way is a thing of its own: a heartbeat that was sent and
// not executed, one that is executed and between reading the key and putting it, a close that the
// server has not seen. Another process has a stream of its own, and appends with the session's
// credential.
//
// Faults. Streams are closed at any time, by a proxy too; the client is killed; a server ends a
// stream itself, or crashes; etcd is full; etcd's answer to a put is lost.
//
// # What is left out
//
// Time: a linger is over whenever it likes, so that it cannot matter how long it is, and no TTL
// ends. A proxy that closes the server's side of a stream and leaves the client's open: then the
// client believes that its stream stands.
package linger
