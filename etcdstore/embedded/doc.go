// Package embedded runs an etcd server inside this process.
//
// A single node opens no port: the process reaches its etcd by function calls. With members given,
// servers form one cluster and talk to each other on a peer port.
//
// The data directory holds
//
//	LOCK       locked by the process that uses the directory, with its process id
//	highwater  the highest revision this member has seen
//	etcd/      etcd's own
//
// Guarantees: one process at a time uses a data directory; a server that was started has read from
// a quorum; the revision, from which fencing tokens are made, has not gone back since this
// directory was last used, as it does when a backup is restored carelessly.
//
// Limits: if etcd cannot write its log (disk full, input/output error), it ends the whole process
// at once, after a line on the logger; that loses nothing that was acknowledged. The in-process
// client knows this member only: it does not fail over, its Defragment must not be called, and a
// watch of it says nothing when the quorum is lost.
package embedded
