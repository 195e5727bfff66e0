package commit

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// patience is how long a batch of nothing but patient transactions waits for company. The patient
// ones are places in queues: they have to wait anyway, and a batch of their own would stand in the
// way of the release that follows.
const patience = 3 * time.Millisecond // longer than most hand-overs of a lock that goes from one to the next

// Answer is told once what became of a transaction. It must not block: others wait behind it.
type Answer func(*pb.TxnResponse, error)

// member is one transaction on its way.
type member struct {
	Txn
	Footprint
	build     func() Txn // makes the transaction when its turn has come; nil: it is made
	since     time.Time
	apart     bool        // it has failed, or was refused, together with others
	abandoned atomic.Bool // its caller has gone
	answer    Answer
	engine    *Engine
}

// made is the transaction.
func (m *member) made() Txn {
	if m.build != nil {
		m.Txn, m.build = m.build(), nil
	}
	return m.Txn
}

// refused is why a transaction whose turn has come is not to be run; nil: it is. A panic of what is
// asked then is a reason.
func (m *member) refused() (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.engine.env.Panicked(p, debug.Stack())
			err = notSent{fmt.Errorf("panic: %v", p)}
		}
	}()
	if refuse := m.made().Refuse; refuse != nil {
		return refuse()
	}
	return nil
}

// doubted notes that the transaction may have taken effect, though that is not what its caller is
// told.
func (m *member) doubted() {
	if m.Doubt != nil {
		*m.Doubt = true
	}
}

// tell gives the caller its answer. A caller that panics over it must not cost the others theirs.
func (m *member) tell(resp *pb.TxnResponse, err error) {
	defer m.engine.rescue()
	m.answer(resp, err)
}

// queue is what waits to be committed.
type queue struct {
	mu      sync.Mutex
	pending []*member // in the order of arrival
	closed  bool
	arrived chan struct{} // of size 1
}

// add takes a transaction in. It reports whether it did: a closed queue takes nothing.
func (q *queue) add(m *member) bool {
	q.mu.Lock()
	taken := !q.closed
	if taken {
		q.pending = append(q.pending, m)
	}
	q.mu.Unlock()
	if taken {
		select {
		case q.arrived <- struct{}{}:
		default:
		}
	}
	return taken
}

// close takes nothing in from now on, and returns what was pending.
func (q *queue) close() []*member {
	q.mu.Lock()
	defer q.mu.Unlock()
	pending := q.pending
	q.pending, q.closed = nil, true
	return pending
}

// take returns what is pending, and leaves nothing. If that should wait for company, it returns how
// long instead.
func (q *queue) take() (pending []*member, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) > 0 && !q.urgent() {
		if wait := patience - time.Since(q.pending[0].since); wait > 0 {
			return nil, wait
		}
	}
	pending, q.pending = q.pending, nil
	return pending, 0
}

// putBack puts what was taken before what has arrived since.
func (q *queue) putBack(members []*member) {
	if len(members) == 0 {
		return
	}
	q.mu.Lock()
	q.pending = append(members, q.pending...)
	q.mu.Unlock()
}

// urgent reports whether what is pending should not wait. mu is held.
func (q *queue) urgent() bool {
	return len(q.pending) >= batchMembers || slices.ContainsFunc(q.pending, func(m *member) bool { return !m.Patient })
}

// idle reports whether nothing is pending that is in a hurry.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.urgent()
}

// len is how many are pending.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending)
}
