package commit

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// ErrWentBack is that etcd is at an older revision than one that it has shown before. Nothing is
// committed any more.
var ErrWentBack = errors.New("etcd went back")

// Seen is the highest revision that etcd has shown, by which is noticed if it goes back: tokens are
// revisions, and would be given out twice.
//
// Compared are only the answers of transactions and of linearizable reads, and only with what was
// seen before etcd was asked. Of several answers that are on their way at once, the later one may
// have the lower revision; of three members one may be behind, and say so in a serializable read, a
// lease's answer or a watch. What these show is committed, and raises the highest.
type Seen struct {
	highest atomic.Int64
	why     atomic.Pointer[error] // why nothing is to be committed any more; nil: nothing is wrong
	once    sync.Once
	noticed chan struct{} // closed when why is set
}

// NewSeen has seen nothing.
func NewSeen() *Seen { return &Seen{noticed: make(chan struct{})} }

// Highest is the highest revision so far. It is to be taken before etcd is asked, for Answered.
func (s *Seen) Highest() int64 { return s.highest.Load() }

// Raise takes in a revision that etcd has shown in whatever way.
func (s *Seen) Raise(rev int64) { raise(&s.highest, rev) }

// Answered takes in the revision of a transaction's answer, or of a linearizable read's. before is
// the highest when etcd was asked. An answer below it is [ErrWentBack], and so is the end of it
// all.
func (s *Seen) Answered(before, rev int64) error {
	if rev < before {
		s.Refuse(Back("this server", before, rev))
		return s.Err()
	}
	s.Raise(rev)
	return nil
}

// Refuse has nothing be committed any more, for good. The first reason counts.
func (s *Seen) Refuse(why error) {
	s.once.Do(func() {
		s.why.Store(&why)
		close(s.noticed)
	})
}

// Err is why nothing is to be committed any more; nil: nothing is wrong.
func (s *Seen) Err() error {
	if why := s.why.Load(); why != nil {
		return *why
	}
	return nil
}

// Noticed returns a channel that is closed when Err has something to say.
func (s *Seen) Noticed() <-chan struct{} { return s.noticed }

// slack is added to the advised bump, for revisions that only others have seen.
const slack = 1_000_000

// Back is the error of an etcd whose revision is below one that somebody has seen.
func Back(who string, seen, rev int64) error {
	return fmt.Errorf("%w: it is at revision %d, and %s has seen %d. An older state was restored, and tokens would be "+
		"granted a second time. %s", ErrWentBack, rev, who, seen, Remedy(seen-rev))
}

// Remedy is what to do about an etcd that has lost so many revisions.
func Remedy(lost int64) string {
	return fmt.Sprintf("Stop all servers, restore with `dlm snapshot restore --raise %d`, an external etcd with `etcdutl snapshot restore "+
		"--bump-revision %d --mark-compacted`, and start them; or start them with another prefix, and their clients anew",
		lost+slack, lost+slack)
}

// serializable reports whether a transaction is one that etcd answers from a single member, which
// may be behind: it does nothing but serializable reads, or nothing at all but to compare.
func serializable(t Txn) bool {
	for _, ops := range [][]*pb.RequestOp{t.Then, t.Else} {
		for _, o := range ops {
			if r := o.GetRequestRange(); r == nil || !r.Serializable {
				return false
			}
		}
	}
	return true
}
