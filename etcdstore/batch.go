package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Group commit. Transactions that are asked for while others are being committed go together as one: one proposal, one
// fsync, one answer. etcd evaluates every compare of a batch against the state before any write of it, so what may share a
// batch is what would come to the same if it did not see the others: transactions that write no key in common, in either
// branch. That keeps apart whatever moves one lock's holder or one waiter's place; it leaves together appends with each
// other and with the end of their section, whose marker does not look at them, and waiters with each other and with the
// hand-over to another one. All members share one revision. See pack.go for what a batch looks like to etcd.
//
// Nobody is promised an order among what is asked for at the same time: who has to run again runs after what came with it, so
// that an append beside its section's release may be refused.

// patience is how long a batch of nothing but waiters for held locks waits for company. They have to wait anyway; a
// batch of their own would stand in the way of the release that follows.
const patience = 3 * time.Millisecond // longer than most hand-overs of a lock that goes from one to the next

// batcher collects transactions and commits them in groups.
type batcher struct {
	mu      sync.Mutex
	pending []*member
	closed  bool
	arrived chan struct{} // of size 1
}

// member is one transaction on its way.
type member struct {
	txn
	footprint
	build func() txn // makes the transaction when its turn has come; nil: it is made
	since time.Time
	apart bool        // it has failed, or was refused, together with others
	left  atomic.Bool // its caller has gone
	done  answer
}

// made is the transaction.
func (m *member) made() txn {
	if m.build != nil {
		m.txn, m.build = m.build(), nil
	}
	return m.txn
}

// answer is told once what became of a transaction. It must not block: others wait behind it.
type answer func(*pb.TxnResponse, error)

func newBatcher() *batcher { return &batcher{arrived: make(chan struct{}, 1)} }

// batch commits a transaction that writes, with others if there are any.
func (s *Store) batch(ctx context.Context, t txn, f footprint) (*pb.TxnResponse, error) {
	type outcome struct {
		resp *pb.TxnResponse
		err  error
	}
	answered := make(chan outcome, 1)
	m := &member{txn: t, footprint: f, since: time.Now(), done: func(resp *pb.TxnResponse, err error) {
		answered <- outcome{resp, err}
	}}
	s.batcher.add(m)
	defer m.left.Store(true) // if it is not on its way yet, it need not be
	select {
	case o := <-answered:
		return o.resp, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.health.down():
		return nil, s.unserved()
	}
}

// submit is batch without the wait: done is told, from whichever goroutine.
func (s *Store) submit(t txn, done answer) {
	if !s.health.up() {
		done(nil, s.unserved())
		return
	}
	s.batcher.add(&member{txn: t, footprint: t.footprint(), since: time.Now(), done: done})
}

// submitLater is submit for a transaction that is made when its turn has come, if many are before it: what waits is then
// small. It has patience.
func (s *Store) submitLater(writes func() footprint, build func() txn, done answer) {
	if !s.health.up() || !s.batcher.crowded() {
		s.submit(build(), done)
		return
	}
	m := &member{footprint: writes(), build: build, since: time.Now(), done: done}
	m.patient = true
	s.batcher.add(m)
}

// crowded tells whether more is pending than the next batch takes.
func (b *batcher) crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending) >= batchMembers
}

func (b *batcher) add(m *member) {
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.pending = append(b.pending, m)
	}
	b.mu.Unlock()
	if closed {
		m.done(nil, ErrClosed)
		return
	}
	b.signal()
}

// close answers what is pending, and what comes from now on.
func (b *batcher) close() {
	b.mu.Lock()
	pending := b.pending
	b.pending, b.closed = nil, true
	b.mu.Unlock()
	for _, m := range pending {
		m.done(nil, ErrClosed)
	}
}

func (b *batcher) signal() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// take gives what is pending, in the order of arrival. If that should wait for company, it says how long.
func (b *batcher) take() (pending []*member, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait := b.wait(time.Now()); wait > 0 {
		return nil, wait
	}
	pending, b.pending = b.pending, nil
	return pending, 0
}

// putBack puts what was taken before what has arrived since.
func (b *batcher) putBack(members []*member) {
	if len(members) == 0 {
		return
	}
	b.mu.Lock()
	b.pending = append(members, b.pending...)
	b.mu.Unlock()
}

// wait is how long what is pending may wait for company.
func (b *batcher) wait(now time.Time) time.Duration {
	if len(b.pending) == 0 || b.urgent() {
		return 0
	}
	return patience - now.Sub(b.pending[0].since)
}

// urgent tells whether what is pending should not wait. mu is held.
func (b *batcher) urgent() bool {
	return len(b.pending) >= batchMembers || slices.ContainsFunc(b.pending, func(m *member) bool { return !m.patient })
}

// idle tells whether nothing is pending that is in a hurry.
func (b *batcher) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.urgent()
}

// commitBatches commits one batch after another.
func (s *Store) commitBatches() {
	defer s.batcher.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		pending, wait := s.batcher.take()
		if len(pending) > 0 {
			b, left := fill(pending)
			s.batcher.putBack(left)
			if len(b.packs) > 0 {
				s.commitBatch(b)
			}
			continue
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.batcher.arrived:
		case <-timer.C:
		}
	}
}

// fill makes a batch of what is pending: in the order of arrival, without those that have to wait for one before them. Who is
// not to be tried is answered.
func fill(pending []*member) (b *batch, left []*member) {
	b = newBatch()
	now := time.Now()
	for i, m := range pending {
		switch {
		case b.full():
			return b, append(left, pending[i:]...)
		case m.left.Load():
		case now.Sub(m.since) > txnTimeout:
			m.done(nil, fmt.Errorf("%w: etcd is too slow", ErrNoQuorum))
		case !b.takes(m.footprint):
			left = append(left, m)
		default:
			if err := m.refused(); err != nil {
				m.done(nil, err)
			} else {
				b.add(m)
			}
		}
	}
	return b, left
}

// refused is why a transaction whose turn has come is not to be run; nil: it is.
func (m *member) refused() error {
	if refuse := m.made().refuse; refuse != nil {
		return refuse()
	}
	return nil
}

// commitBatch runs a batch, and has those go again that failed for the company they were in.
func (s *Store) commitBatch(b *batch) {
	resp, err := s.commitAlone(s.ctx, b.txn())
	if err != nil && b.size > 1 && !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrClosed) {
		s.refuseBatch(b, err)
		return
	}
	var failed []*member
	if err == nil {
		failed = b.failed(resp)
		s.batcher.putBack(failed)
	}
	if s.batcher.idle() || !s.start(func() { b.tell(resp, err) }) { // the next batch need not wait for it
		b.tell(resp, err)
	}
}

// refuseBatch deals with a batch of several that etcd has refused as a whole, for what one or some of it are. Etcd that is full
// takes deletions, most versions do. If a session has ended, all run again apart, when each compares that its own lives. Whatever is
// refused even so, or for another reason, runs alone.
func (s *Store) refuseBatch(b *batch, err error) {
	members := b.members()
	if errors.Is(err, ErrNoSpace) {
		rest := slices.DeleteFunc(members, func(m *member) bool {
			puts := m.footprint.puts()
			if puts {
				m.done(nil, err)
			}
			return puts
		})
		if len(rest) == b.size {
			b.tell(nil, err)
		} else if len(rest) > 0 {
			s.commitBatch(batchOf(rest))
		}
		return
	}
	var again []*member
	for _, m := range members {
		if errors.Is(err, ErrSessionExpired) && !m.apart {
			m.apart = true
			again = append(again, m)
		} else {
			s.commitBatch(batchOf([]*member{m}))
		}
	}
	s.batcher.putBack(again)
}
