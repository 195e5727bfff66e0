package embedded

import "errors"

// What [Start], [Restore] and [Server.Err] may end with. Errors are wrapped, with the remedy in
// their text.
var (
	// ErrInUse: another process uses the data directory.
	ErrInUse = errors.New("data directory in use")
	// ErrRevisionBack: the cluster's revision is lower than one that this member has seen, so
	// tokens would be granted a second time.
	ErrRevisionBack = errors.New("revision has gone back")
	// ErrOtherCluster: the data directory belongs to a cluster of another shape than the
	// configuration says.
	ErrOtherCluster = errors.New("data directory of another cluster")
	// ErrEmptied: there is a cluster with data, of which this member should have its part, but its
	// data directory is empty. It must be removed and added anew.
	ErrEmptied = errors.New("data directory emptied")
	// ErrNotAdded: this member is to join a cluster to which it was not added, or which its
	// configuration does not name.
	ErrNotAdded = errors.New("not a member of the cluster")
	// ErrRemoved: this member was removed from the cluster. Its data directory is of no use any
	// more.
	ErrRemoved = errors.New("removed from the cluster")
	// ErrStale: the data directory is an old copy of itself: the others know of entries that this
	// member has acknowledged, and that its log does not have.
	ErrStale = errors.New("data directory is an old copy")
	// ErrDisk: the disk is full, or etcd cannot write to it.
	ErrDisk = errors.New("disk")
	// ErrNotEmpty: there is data where a snapshot is to be restored. From [Restore].
	ErrNotEmpty = errors.New("data directory is not empty")
	// ErrStopped: etcd stopped by itself.
	ErrStopped = errors.New("etcd stopped")
)
