// Package coursework is lock_service.LockService, the API of a coursework whose clients exist: one
// lock, a hundred files behind it, numbered clients, and no tokens on the wire.
//
// It adapts; the lock logic is the store's. A client is a session of the store and a small durable
// record, which any server finds under the client's number: the session's credential, the hold that
// the client believes in, and the token that each of its last calls was made under. The record is
// written before the call is made. A repeat is then made under the same token as the first time,
// with the same result; a late duplicate from an earlier hold meets a token that is no longer
// valid, and changes nothing.
//
// An id of the form "<client>-<counter>" is counted: its counter is a decimal number from 1, less
// than 2^63, without leading zeros. Every other id is opaque; "1-01" is, and is another id than
// "1-1".
//
// Limits. The ids of a client's last 128 calls are remembered. An older duplicate is recognised by
// its counter; one with an opaque id is not recognised, and is taken for a new call.
package coursework
