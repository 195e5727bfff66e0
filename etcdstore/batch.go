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

// Group commit. Transactions that are asked for while others are being committed go together as nested transactions of
// one: one proposal, one fsync, one answer. etcd evaluates every compare of a batch against the state before any write
// of it, so what may share a batch is what would come to the same if it did not see the others: transactions that
// write no key in common, in either branch. That keeps apart whatever moves one lock's holder or one waiter's place; it
// leaves together appends with each other and with the end of their section, whose marker does not look at them, and
// waiters with each other and with the hand-over to another one. All members share one revision.

const (
	batchMembers = 96      // keys that they touch count as well; leaves 32 operations for each level of a member
	batchBytes   = 1 << 20 // under etcd's 1.5 MiB a request
)

// small tells whether a transaction may go into a batch with others.
func (t txn) small() bool {
	return max(len(t.ifs), len(t.then), len(t.els)) <= maxOps-batchMembers && t.footprint().bytes <= batchBytes/16
}

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
func (s *Store) submitLater(f footprint, build func() txn, done answer) {
	if !s.health.up() || !s.batcher.crowded() {
		s.submit(build(), done)
		return
	}
	m := &member{footprint: f, build: build, since: time.Now(), done: done}
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

// take picks the next batch: in the order of arrival, without those that have to wait for one before them. late are those
// that have waited too long to be tried. If it should wait for company, it says how long.
func (b *batcher) take() (batch, late []*member, wait time.Duration) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait := b.wait(now); wait > 0 {
		return nil, nil, wait
	}
	var (
		left  []*member
		taken writes
		bytes int
	)
	for i, m := range b.pending {
		switch {
		case m.left.Load():
			continue
		case now.Sub(m.since) > txnTimeout:
			late = append(late, m)
			continue
		case len(batch)+len(taken.touched) >= batchMembers-1: // one more may touch a key
			left = append(left, b.pending[i:]...)
			b.pending = left
			return batch, late, 0
		case len(batch) > 0 && bytes+m.bytes > batchBytes, taken.meet(m.footprint):
			left = append(left, m)
			continue
		}
		batch = append(batch, m)
		taken.add(m.footprint)
		bytes += m.bytes
	}
	b.pending = left
	return batch, late, 0
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
		batch, late, wait := s.batcher.take()
		for _, m := range late {
			m.done(nil, fmt.Errorf("%w: etcd is too slow", ErrNoQuorum))
		}
		if len(batch) > 0 {
			if batch = unrefused(batch); len(batch) > 0 {
				s.commitBatch(batch)
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

// unrefused answers those that are not to be run, and gives the others.
func unrefused(batch []*member) []*member {
	return slices.DeleteFunc(batch, func(m *member) bool {
		refuse := m.made().refuse
		if refuse == nil {
			return false
		}
		err := refuse()
		if err != nil {
			m.done(nil, err)
		}
		return err != nil
	})
}

func (s *Store) commitBatch(batch []*member) {
	if len(batch) == 1 && batch[0].footprint.touch == "" {
		batch[0].done(s.commitAlone(s.ctx, batch[0].made()))
		return
	}
	var all txn
	touched := map[string]struct{}{}
	for _, m := range batch {
		all.then = append(all.then, m.made().op())
		if key := m.footprint.touch; key != "" {
			touched[key] = struct{}{}
		}
	}
	for key := range touched {
		all.then = append(all.then, put(key, ""))
	}
	resp, err := s.commitAlone(s.ctx, all)
	if err != nil && len(batch) > 1 && !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrClosed) {
		// Refused as a whole, for what one of them is: a session that has ended, a put while etcd is full.
		for _, m := range batch {
			s.commitBatch([]*member{m})
		}
		return
	}
	if s.batcher.idle() {
		tell(batch, resp, err)
	} else {
		s.start(func() { tell(batch, resp, err) }) // the next batch need not wait for it
	}
}

// tell gives the members of a batch their answers.
func tell(batch []*member, resp *pb.TxnResponse, err error) {
	for i, m := range batch {
		if err != nil {
			m.done(nil, err)
			continue
		}
		one := nested(resp, i)
		one.Header = resp.Header
		m.done(one, nil)
	}
}
