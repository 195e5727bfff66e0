package etcdstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Group commit. Transactions that are asked for while others are being committed go together as nested transactions of
// one: one proposal, one fsync, one answer. etcd evaluates every compare of a batch against the state before any write
// of it, so what may share a batch is what would come to the same if it did not see the others: transactions that
// write no key in common, in either branch. That keeps apart whatever moves one lock's holder or one waiter's place; it
// leaves together appends with each other and with the end of their section, whose marker does not look at them, and
// waiters with each other and with the hand-over to another one. All members share one revision.

const (
	batchMembers = 96      // leaves 32 operations for each level of a member
	batchBytes   = 1 << 20 // under etcd's 1.5 MiB a request
)

// patience is how long a batch of nothing but waiters for held locks waits for company. They have to wait anyway; a
// batch of their own would stand in the way of the release that follows.
const patience = time.Millisecond

// batcher collects transactions and commits them in groups.
type batcher struct {
	mu      sync.Mutex
	pending []*member
	arrived chan struct{} // of size 1
}

// member is one transaction on its way.
type member struct {
	txn
	writes footprint
	bytes  int
	since  time.Time
	left   atomic.Bool  // its caller has gone
	done   chan outcome // of size 1
}

type outcome struct {
	resp *clientv3.TxnResponse
	err  error
}

func newBatcher() *batcher { return &batcher{arrived: make(chan struct{}, 1)} }

// batch commits a transaction, with others if there are any.
func (s *Store) batch(ctx context.Context, t txn, writes footprint) (*clientv3.TxnResponse, error) {
	m := &member{txn: t, writes: writes, bytes: t.bytes(), since: time.Now(), done: make(chan outcome, 1)}
	s.batcher.add(m)
	defer m.left.Store(true) // if it is not on its way yet, it need not be
	select {
	case o := <-m.done:
		return o.resp, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.health.down():
		return nil, s.unserved()
	}
}

func (b *batcher) add(m *member) {
	b.mu.Lock()
	b.pending = append(b.pending, m)
	b.mu.Unlock()
	b.signal()
}

func (b *batcher) signal() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// take picks the next batch: in the order of arrival, without those that have to wait for one before them. If it should
// wait for company, it says how long.
func (b *batcher) take() ([]*member, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait := b.wait(); wait > 0 {
		return nil, wait
	}
	var (
		batch  []*member
		left   []*member
		writes footprint
		bytes  int
	)
	for i, m := range b.pending {
		if m.left.Load() {
			continue
		}
		if len(batch) == batchMembers {
			left = append(left, b.pending[i:]...)
			break
		}
		if len(batch) > 0 && bytes+m.bytes > batchBytes || writes.meets(m.writes) {
			left = append(left, m)
			continue
		}
		batch = append(batch, m)
		writes.add(m.writes)
		bytes += m.bytes
	}
	b.pending = left
	return batch, 0
}

// wait is how long what is pending may wait for company.
func (b *batcher) wait() time.Duration {
	if len(b.pending) == 0 || len(b.pending) >= batchMembers || slices.ContainsFunc(b.pending, func(m *member) bool { return !m.patient }) {
		return 0
	}
	return patience - time.Since(b.pending[0].since)
}

// commitBatches is one of the goroutines that commit.
func (s *Store) commitBatches() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		batch, wait := s.batcher.take()
		if len(batch) > 0 {
			s.commitBatch(batch)
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

func (s *Store) commitBatch(batch []*member) {
	if len(batch) == 1 {
		resp, err := s.commitAlone(s.ctx, batch[0].txn)
		batch[0].done <- outcome{resp, err}
		return
	}
	var all txn
	for _, m := range batch {
		all.then = append(all.then, m.op())
	}
	resp, err := s.commitAlone(s.ctx, all)
	if err != nil && !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrClosed) {
		// Refused as a whole, for what one of them is: a session that has ended, a put while etcd is full.
		for _, m := range batch {
			s.commitBatch([]*member{m})
		}
		return
	}
	for i, m := range batch {
		if err != nil {
			m.done <- outcome{nil, err}
			continue
		}
		one := nested(resp, i)
		one.Header = resp.Header
		m.done <- outcome{one, nil}
	}
}

// footprint is what a transaction may write, in whichever branch.
type footprint struct {
	keys   map[string]struct{}
	ranges [][2]string // from, end
}

// writes finds out what a transaction may write.
func (t txn) writes() footprint {
	var f footprint
	f.of(t.then)
	f.of(t.els)
	return f
}

func (f *footprint) of(ops []clientv3.Op) {
	for _, op := range ops {
		switch {
		case op.IsTxn():
			_, then, els := op.Txn()
			f.of(then)
			f.of(els)
		case op.IsPut(), op.IsDelete() && len(op.RangeBytes()) == 0:
			if f.keys == nil {
				f.keys = map[string]struct{}{}
			}
			f.keys[string(op.KeyBytes())] = struct{}{}
		case op.IsDelete():
			f.ranges = append(f.ranges, [2]string{string(op.KeyBytes()), string(op.RangeBytes())})
		}
	}
}

func (f *footprint) empty() bool { return len(f.keys) == 0 && len(f.ranges) == 0 }

func (f *footprint) add(o footprint) {
	if f.keys == nil {
		f.keys = make(map[string]struct{}, len(o.keys))
	}
	for k := range o.keys {
		f.keys[k] = struct{}{}
	}
	f.ranges = append(f.ranges, o.ranges...)
}

// meets tells whether two may write a key in common.
func (f *footprint) meets(o footprint) bool {
	for k := range o.keys {
		if _, ok := f.keys[k]; ok || within(k, f.ranges) {
			return true
		}
	}
	for _, r := range o.ranges {
		for k := range f.keys {
			if within(k, [][2]string{r}) {
				return true
			}
		}
		if slices.ContainsFunc(f.ranges, func(x [2]string) bool { return x[0] < r[1] && r[0] < x[1] }) {
			return true
		}
	}
	return false
}

func within(key string, ranges [][2]string) bool {
	return slices.ContainsFunc(ranges, func(r [2]string) bool { return r[0] <= key && key < r[1] })
}

// bytes is about how much a transaction puts.
func (t txn) bytes() int {
	n := 0
	for _, ops := range [][]clientv3.Op{t.then, t.els} {
		for _, op := range ops {
			if op.IsTxn() {
				ifs, then, els := op.Txn()
				n += txn{ifs: ifs, then: then, els: els}.bytes()
				continue
			}
			n += len(op.KeyBytes()) + len(op.ValueBytes())
		}
	}
	return n
}
