// Package coursework is lock_service.LockService, the API of a coursework whose clients exist: one lock, a hundred files
// behind it, numbered clients, and no tokens on the wire.
//
// It adapts; the lock logic is the store's. A client is a session of the store and a small durable record, which any
// server finds under the client's number: the session's credential, the hold that the client believes in, and which
// token each of its last calls was made under. The record is written before the call is made. A repeat is then made
// under the same token as the first time, and the store answers it the same; a late duplicate from an earlier hold meets a
// token that is no longer valid, and changes nothing.
//
// Limits. A call's id is remembered for the last 128 calls of its client. Older duplicates are told by their counter if
// the id has the form "<client>-<counter>"; of opaque ids they are not told.
package coursework
