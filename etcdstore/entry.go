package etcdstore

import (
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// entry is an acquisition on its way in. It makes the transactions that let it in, and with each
// the change that the mirror takes in if the transaction succeeds.
type entry struct {
	acquisition
	keys   keys
	lease  clientv3.LeaseID
	label  string
	owner  string
	now    int64        // ms
	asked  int64        // ms: how long it wants to hold at most; 0: for ever
	hold   int64        // ms: how long it may, if it is granted now
	refuse func() error // asked when its transaction has its turn
}

func (s *Store) entry(c session, args AcquireArgs) entry {
	e := entry{
		acquisition: acquisition{args.Lock, c.id, args.Request}, keys: s.keys, lease: c.lease, label: args.Label, owner: c.owner,
		now: millis(time.Now()), asked: args.Hold.Milliseconds(), hold: s.holdOf(args.Lock, args.Hold.Milliseconds()),
	}
	e.refuse = s.unlessStale(e.acquisition)
	if e.label == "" {
		e.label = c.label
	}
	return e
}

// errStale: when the turn of an acquire had come, its acquisition had ended, or its end was on its
// way.
var errStale = errors.New("it has ended, or its end is on its way")

// unlessStale refuses a late duplicate. A repeat may have waited for its turn while what it repeats
// was granted, and ended.
func (s *Store) unlessStale(a acquisition) func() error {
	return func() error {
		if over, _ := s.mirror.hasEnded(a); over || s.mirror.endsSoon(a) {
			return errStale
		}
		return nil
	}
}

// free holds while nobody holds the lock, and nobody has taken a place in its queue since a
// revision at which it was empty. It asks two keys. To ask the queue itself has etcd pass over
// every place that was ever deleted there, until history is dropped.
func (e entry) free(since int64) []*pb.Compare {
	return []*pb.Compare{op.Absent(e.keys.lock(e.lock)), op.ModifiedBy(e.keys.waited(e.lock), since)}
}

// unclaimed holds while nobody holds the lock, and nobody waits for it. It asks the queue itself,
// for an acquire that does not wait: free fails as well if somebody took a place since, and left it
// again, and Busy would then be untrue.
func (e entry) unclaimed() []*pb.Compare {
	return []*pb.Compare{op.Absent(e.keys.lock(e.lock)), op.Empty(e.keys.queue(e.lock))}
}

// again holds while the acquisition holds the lock. A holder's value begins with its name and a
// NUL, so it sorts between the name and the name with \x01.
func (e entry) again() []*pb.Compare {
	lock := e.keys.lock(e.lock)
	return append(op.Between(lock, e.name(), e.name()+"\x01"), op.HeldOn(lock, e.lease))
}

// grant takes the lock, if the compares hold. It names its own place as well (Besides), so that it
// does not share a batch with a repeat that saw the lock held and takes that place: neither would
// see the other, and the acquisition would be holder and waiter at once.
func (e entry) grant(ifs []*pb.Compare) (commit.Txn, change) {
	v := holderValue{session: e.session, request: e.request, Label: e.label, Owner: e.owner, Since: e.now, Hold: e.hold}
	lock := e.keys.lock(e.lock)
	return commit.Txn{
		If: ifs, Then: []*pb.RequestOp{op.PutOn(e.lease, lock, v.encode())}, Alive: e.keys.session(e.session),
		Besides: e.keys.waiter(e.acquisition), Refuse: e.refuse,
	}, change{key: lock, holder: &v}
}

// enqueue takes a place in the queue, once. If the acquisition holds the lock, it takes none, and
// reads the holder. No key but the place is written, so that any number of waiters share a batch.
// If the lock is free by now, promote hands it over.
func (e entry) enqueue() (commit.Txn, change) {
	t, c := e.place()
	enter := commit.Txn{If: []*pb.Compare{op.Absent(c.key)}, Then: t.Then, Alive: t.Alive}
	t.If, t.Then, t.Else, t.Alive = e.again(), []*pb.RequestOp{op.Get(e.keys.lock(e.lock))}, []*pb.RequestOp{enter.WithAlive().Op()}, ""
	return t, c
}

// enqueueFirst is enqueue without another branch, so that it packs. It fails for a repeat that has
// its place, and if the session holds the lock, by this request or another.
func (e entry) enqueueFirst() (commit.Txn, change) {
	t, c := e.place()
	t.If = []*pb.Compare{op.NotHeldOn(e.keys.lock(e.lock), e.lease), op.Absent(c.key)}
	return t, c
}

// place puts its key in the queue. It is Patient, since it has to wait anyway: a few milliseconds
// long it is committed only together with what is in a hurry, so that no batch of places is in the
// way of the release that comes next.
func (e entry) place() (commit.Txn, change) {
	v := waiterValue{Label: e.label, Owner: e.owner, Since: e.now, Hold: e.asked}
	place := e.keys.waiter(e.acquisition)
	return commit.Txn{
		Then: []*pb.RequestOp{op.PutOn(e.lease, place, encode(v))}, Alive: e.keys.session(e.session),
		Touch: e.keys.waited(e.lock), Patient: true, Refuse: e.refuse,
	}, change{key: place, waiter: &v}
}
