package commit

import "sync/atomic"

// Receipt is the highest revision of the answers that somebody's transactions had. A nil Receipt
// takes none.
type Receipt struct{ rev atomic.Int64 }

// Revision is that revision; 0: nothing was answered yet.
func (r *Receipt) Revision() int64 { return r.rev.Load() }

// Raise takes in a revision that etcd has answered.
func (r *Receipt) Raise(rev int64) {
	if r != nil {
		raise(&r.rev, rev)
	}
}

// raise makes a revision the highest, unless it is lower.
func raise(highest *atomic.Int64, rev int64) {
	for {
		before := highest.Load()
		if rev <= before || highest.CompareAndSwap(before, rev) {
			return
		}
	}
}
