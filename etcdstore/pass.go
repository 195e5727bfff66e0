package etcdstore

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// pass is the part of a transaction that moves a lock on: to a waiter, or to nobody.
type pass struct {
	ifs   []*pb.Compare
	alive string // the key of the waiter's session
	then  []*pb.RequestOp
	made  []change // without their revision
}

// passTo hands a lock to a waiter, on the waiter's own lease; nil: frees it.
func (s *Store) passTo(w *mirrorWaiter, name string) pass {
	lock := s.keys.lock(name)
	if w == nil {
		return pass{then: []*pb.RequestOp{op.Delete(lock)}, made: []change{{key: lock, deleted: true}}}
	}
	place := s.keys.waiter(w.acquisition)
	lease, _ := parseSessionID(w.session)
	v := holderValue{session: w.session, request: w.request, Label: w.Label, Since: millis(time.Now()), Hold: w.Hold}
	return pass{
		ifs:   []*pb.Compare{op.CreatedAt(place, w.created)},
		alive: s.keys.session(w.session),
		then:  []*pb.RequestOp{op.PutOn(lease, lock, v.encode()), op.Delete(place)},
		made:  []change{{key: lock, holder: &v}, {key: place, deleted: true}},
	}
}

// changes is what the mirror should know once the transaction has succeeded at a revision.
func (p pass) changes(rev int64) []change {
	for i := range p.made {
		p.made[i].rev = rev
	}
	return p.made
}
