// Package coursework is lock_service.LockService, the API of a coursework whose clients exist: one
// lock, a hundred files behind it, numbered clients, and no tokens on the wire.
//
// It adapts; the lock logic is the store's. A client is a session of the store and a small durable
// record, which any server finds under the client's number: the session's id, the hold that the
// client believes in, its place in the queue, and the kind of each of its last calls and the token
// that it was made under. The record is written before the call is made. A repeat is then
// made under the same token as the first time, with the same result; a late duplicate from an
// earlier hold meets a token that is no longer valid, and changes nothing. That a release has
// succeeded, and which appends it published, is in the record before the release is answered, so
// that repeats are answered alike when etcd has nothing left that says so.
//
// A client has one place in the queue. An acquire that comes while another of the client waits, as
// after a timeout of the client's own, waits in the same place; both are granted the same hold.
//
// An id of the form "<client>-<counter>" is counted: its counter is a decimal number from 1, less
// than 2^63, without leading zeros. Every other id is opaque; "1-01" is, and is another id than
// "1-1". A call without an id is a call of its own; sent again, it is another one.
//
// Limits. The ids of a client's last 128 calls are remembered, and of the last 16 acquires that
// wait, in at most 32 KiB. An older duplicate is recognised by its counter; one with an opaque id
// is not recognised, and is taken for a new call.
//
// Where callers have an identity ([etcdstore.WithOwner]), a client belongs to that of its
// client_init, and so does its session: its number is as good as none to any other, then and after
// the session has ended.
//
// A client whose session has ended is remembered for 24 hours, and may come back. Then it is
// forgotten, and told what a client is told that there never was. No record has a credential: each
// server acts for its clients' sessions by itself, see the store's Credential. Until the feature
// "bare" is switched on, when an upgraded cluster has no older server any more, records have the
// credential that such a server needs.
package coursework
