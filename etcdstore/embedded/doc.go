// Package embedded runs an etcd server inside this process.
//
// A single node opens no port: the process reaches its etcd by function calls. With members given,
// servers form one cluster and talk to each other on a peer port.
//
// The data directory holds
//
//	LOCK       locked by the process that uses the directory, with its process id
//	highwater  the highest revision this member has seen, and one above which it has handed out none
//	revoked    the numbers of peers' revoked certificates, as etcd reads them; made from TLS.CRL
//	founding   how far this member has come with founding a cluster; gone when etcd has started
//	etcd/      etcd's own, and in etcd/member/id the id by which highwater knows it
//
// and while a snapshot is restored, etcd.restoring/, which then becomes etcd/.
//
// Guarantees: one process at a time uses a data directory; a cluster is founded by all of its
// members together, and only if none of them has data, nor do members of another connect to them; a
// member that has started does not come back with an empty directory; one that was added counts for
// no majority before it has caught up; a server that was started has read from a quorum, and votes;
// the revision, from which fencing tokens are made, has not gone back since this directory was last
// used, as it does when a backup is restored carelessly.
//
// Limits: if etcd cannot write its log (disk full, input/output error), it ends the whole process
// at once, after a line on the logger and a call of [Config.Fatal]; that loses nothing that was
// acknowledged. A data directory that is put back from a copy, highwater and all, is found out only
// if the leader has not changed since the member acknowledged more. The in-process
// client knows this member only: it does not fail over, its Defragment must not be called, and a
// watch of it says nothing when the quorum is lost.
package embedded
