package etcdstore

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// pass is the part of a transaction that moves a lock on: to a waiter, or to nobody.
type pass struct {
	ifs  []clientv3.Cmp
	then []clientv3.Op
	made []change // without their revision
}

// passTo hands a lock to a waiter, on the waiter's own lease; nil: frees it.
func (s *Store) passTo(w *mirrorWaiter) pass {
	lock, place := s.keys.lock(w.lock), s.keys.waiter(w.acquisition)
	lease, _ := parseHex16(w.session)
	grant := holderValue{session: w.session, request: w.request, Label: w.Label, Since: millis(time.Now()), Hold: w.Hold}.encode()
	return pass{
		ifs: []clientv3.Cmp{createdAt(place, w.created), present(s.keys.session(w.session))},
		then: []clientv3.Op{
			clientv3.OpPut(lock, grant, clientv3.WithLease(clientv3.LeaseID(lease))),
			clientv3.OpDelete(place),
		},
		made: []change{{key: lock, value: []byte(grant)}, {key: place, deleted: true}},
	}
}

// passToNobody frees a lock.
func (s *Store) passToNobody(name string) pass {
	lock := s.keys.lock(name)
	return pass{then: []clientv3.Op{clientv3.OpDelete(lock)}, made: []change{{key: lock, deleted: true}}}
}

// changes is what the mirror should know once the transaction has succeeded at a revision.
func (p pass) changes(rev int64) []change {
	for i := range p.made {
		p.made[i].rev = rev
	}
	return p.made
}
