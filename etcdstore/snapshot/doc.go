// Package snapshot reads the file of a snapshot of etcd, which needs no etcd for it: whether it is
// whole, and which keys it has at its last revision.
//
// A snapshot is a copy of etcd's database and the SHA-256 of that. A member's own database, at
// member/snap/db in etcd's directory, is the same without the hash.
package snapshot
