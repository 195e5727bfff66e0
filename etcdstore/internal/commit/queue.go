package commit

import (
	"fmt"
	"runtime/debug"
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
	owner     lineOwner   // of the line in which it is pending
	patient   bool        // it is pending in no hurry
	apart     bool        // it has failed, or was refused, together with others
	expired   bool        // it was answered, as it has waited for too long
	abandoned atomic.Bool // its caller has gone
	answer    Answer
	engine    *Engine

	older, newer *member // of all that is pending
}

// made is the transaction.
func (m *member) made() Txn {
	if m.build != nil {
		caller := m.Caller
		m.Txn, m.build = m.build(), nil
		m.Caller = caller
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
	if err == nil {
		m.Receipt.Raise(resp.Header.Revision)
	}
	m.answer(resp, err)
}

// queue is what waits to be committed.
type queue struct {
	mu      sync.Mutex
	inbox   []*member // what has arrived since the last batch was made
	closed  bool
	arrived chan struct{} // of size 1
	sorted  []*member     // the inbox before, to be used again

	pending, hasty atomic.Int64 // how many there are, and of these in a hurry
	lines
}

func newQueue() queue {
	return queue{arrived: make(chan struct{}, 1), lines: lines{byOwner: map[lineOwner]*line{}}}
}

// put takes a transaction in. It reports whether it did: a closed queue takes nothing.
func (q *queue) put(m *member) bool {
	q.mu.Lock()
	taken := !q.closed
	if taken {
		q.count(m, 1)
		q.inbox = append(q.inbox, m)
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
func (q *queue) close() (pending []*member) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.sort()
	for m := q.oldest; m != nil; m = q.oldest {
		q.leave(m)
		pending = append(pending, m)
	}
	return pending
}

// sort has all that has arrived stand in its line.
func (q *queue) sort() {
	q.mu.Lock()
	inbox := q.inbox
	q.inbox = q.sorted[:0]
	q.mu.Unlock()
	for _, m := range inbox {
		q.add(m)
	}
	clear(inbox)
	q.sorted = inbox
}

// due reports whether a batch is to be made of what is pending. If that should wait for company, it
// returns for how long.
func (q *queue) due() (due bool, wait time.Duration) {
	hurried := q.hurried() // asked first, so that all who count for it stand in their lines then
	q.sort()
	if q.oldest == nil {
		return false, 0
	}
	if !hurried {
		if wait := patience - time.Since(q.oldest.since); wait > 0 {
			return false, wait
		}
	}
	return true, 0
}

// putBack has what was taken go before what has arrived since.
func (q *queue) putBack(members []*member) {
	for _, m := range members {
		q.count(m, 1)
	}
	q.repeat(members)
}

// left notes that one is not pending any more.
func (q *queue) left(m *member) { q.count(m, -1) }

func (q *queue) count(m *member, n int64) {
	q.pending.Add(n)
	if !m.patient {
		q.hasty.Add(n)
	}
}

// hurried reports whether what is pending should not wait.
func (q *queue) hurried() bool { return q.len() >= batchMembers || q.hasty.Load() > 0 }

// len is how many are pending.
func (q *queue) len() int { return int(q.pending.Load()) }
