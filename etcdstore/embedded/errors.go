package embedded

import "errors"

// What Start and Err tell.
var (
	// ErrInUse: another process uses the data directory.
	ErrInUse = errors.New("data directory in use")
	// ErrRevisionBack: the cluster's revision is lower than one this member has seen, so tokens would be issued anew.
	ErrRevisionBack = errors.New("revision has gone back")
	// ErrOtherCluster: the data directory belongs to a cluster of another shape than the configuration says.
	ErrOtherCluster = errors.New("data directory of another cluster")
	// ErrEmptied: the cluster knows this member, but its data directory is empty. It must be removed and added anew.
	ErrEmptied = errors.New("data directory emptied")
	// ErrRemoved: this member was removed from the cluster. Its data directory is of no use any more.
	ErrRemoved = errors.New("removed from the cluster")
	// ErrStopped: etcd stopped by itself.
	ErrStopped = errors.New("etcd stopped")
)
