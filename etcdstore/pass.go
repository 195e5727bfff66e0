package etcdstore

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// pass is the part of a transaction that moves a lock on: to a waiter, or to nobody.
type pass struct {
	ifs   []*pb.Compare
	alive string // the key of the waiter's session, on whose lease the lock is put: see [commit.Txn]
	then  []*pb.RequestOp
	made  []change // what then does, without the revision
}

// heir is the waiter to whom an ending hands a lock; nil: to nobody. If several wait who only
// publish, a run serves them all once the lock is free.
func (s *Store) heir(lock string, skip map[acquisition]bool) *mirrorWaiter {
	if s.runnable(lock) != nil {
		return nil
	}
	return s.mirror.next(lock, skip)
}

// passTo hands a lock to a waiter; nil: frees it. The lock is put on the waiter's own lease, so
// that it ends with the waiter's session and not with that of whoever released it. The place is
// compared at its CreateRevision: the same acquisition may have left, and queued again behind
// others.
func (s *Store) passTo(w *mirrorWaiter, name string) pass {
	lock := s.keys.lock(name)
	if w == nil {
		return pass{then: []*pb.RequestOp{op.Delete(lock)}, made: []change{{key: lock, deleted: true}}}
	}
	place := s.keys.waiter(w.acquisition)
	lease, _ := parseSessionID(w.session)
	v := holderValue{session: w.session, request: w.request, Label: w.Label, Owner: w.Owner, Since: millis(time.Now()), Hold: s.holdOf(name, w.Hold)}
	return pass{
		ifs:   []*pb.Compare{op.CreatedAt(place, w.created)},
		alive: s.keys.session(w.session),
		then:  []*pb.RequestOp{op.PutOn(lease, lock, v.encode()), op.Delete(place)},
		made:  []change{{key: lock, holder: &v}, {key: place, deleted: true}},
	}
}

// hands reports whether the lock goes to a waiter.
func (p pass) hands() bool { return !p.made[0].deleted }

// changes is what the mirror should know once the transaction has succeeded at a revision.
func (p pass) changes(rev int64) []change {
	for i := range p.made {
		p.made[i].rev = rev
	}
	return p.made
}
