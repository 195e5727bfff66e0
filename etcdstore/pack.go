package etcdstore

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// What a batch looks like to etcd. Transactions that have no other branch, and whose compares nearly always hold, are packed:
// one transaction has the compares and the operations of many. It costs etcd much less than as many nested ones, but holds
// for all of them or for none, so that who fails in company is run again, apart. A transaction with another branch is a pack of
// its own. The packs of a batch are nested transactions of one, or that one if there is no more.

const (
	batchPacks   = 96                  // keys that they touch count as well
	packOps      = maxOps - batchPacks // what is left for the compares, or the operations, of a nested transaction
	batchMembers = 512                 // a few milliseconds of etcd's time, in which it applies nothing else
	batchBytes   = 1 << 20             // under etcd's 1.5 MiB a request
)

// small tells whether a transaction may go into a batch with others.
func (t txn) small() bool {
	return max(len(t.ifs), len(t.then), len(t.els)) <= packOps && t.footprint().bytes <= batchBytes/16
}

// batch is transactions that are committed together.
type batch struct {
	writes
	packs []*pack
	open  *pack // takes more members; nil: none
	size  int   // members
	bytes int   // that they put
}

// pack is one transaction for some of a batch's members.
type pack struct {
	txn
	members []*member
}

func newBatch() *batch {
	return &batch{writes: writes{keys: map[string]struct{}{}, touched: map[string]struct{}{}}}
}

// batchOf is a batch of what has been one, or a part of one.
func batchOf(members []*member) *batch {
	b := newBatch()
	for _, m := range members {
		b.add(m)
	}
	return b
}

// members are all that are in the batch.
func (b *batch) members() (all []*member) {
	for _, p := range b.packs {
		all = append(all, p.members...)
	}
	return all
}

// full tells whether there is no room for one more, which may be a pack of its own, and touch a key.
func (b *batch) full() bool {
	return b.size == batchMembers || len(b.packs)+len(b.touched)+2 > batchPacks
}

// takes tells whether a transaction with this footprint may join.
func (b *batch) takes(f footprint) bool {
	return b.size == 0 || b.bytes+f.bytes <= batchBytes && !b.meet(f)
}

func (b *batch) add(m *member) {
	b.writes.add(m.footprint)
	b.bytes += m.bytes
	b.size++
	t := m.made()
	if len(t.els) > 0 || m.apart {
		b.packs = append(b.packs, &pack{txn: t.withAlive(), members: []*member{m}})
		return
	}
	if p := b.open; p != nil && len(p.ifs)+len(t.ifs) <= packOps && len(p.then)+len(t.then) <= packOps {
		p.ifs, p.then = append(p.ifs, t.ifs...), append(p.then, t.then...)
		p.members = append(p.members, m)
		return
	}
	b.open = &pack{txn: txn{ifs: t.ifs[:len(t.ifs):len(t.ifs)], then: t.then[:len(t.then):len(t.then)]}, members: []*member{m}}
	b.packs = append(b.packs, b.open)
}

// flat tells whether the batch is a single pack, and the transaction that pack's.
func (b *batch) flat() bool { return len(b.packs) == 1 && (len(b.touched) == 0 || b.open != nil) }

// txn is the batch's transaction.
func (b *batch) txn() (t txn) {
	if b.flat() {
		t = b.packs[0].txn
	} else {
		for _, p := range b.packs {
			t.then = append(t.then, p.op())
		}
	}
	for key := range b.touched {
		t.then = append(t.then, put(key, ""))
	}
	return t
}

// of is the part of the batch's answer that is for its i-th pack.
func (b *batch) of(resp *pb.TxnResponse, i int) *pb.TxnResponse {
	if b.flat() {
		return resp
	}
	return nested(resp, i)
}

// failed takes out those that are to be run again, apart.
func (b *batch) failed(resp *pb.TxnResponse) (again []*member) {
	for i, p := range b.packs {
		if len(p.members) > 1 && !b.of(resp, i).Succeeded {
			for _, m := range p.members {
				m.apart = true
			}
			again = append(again, p.members...)
			p.members = nil
		}
	}
	return again
}

// tell gives the members their answers.
func (b *batch) tell(resp *pb.TxnResponse, err error) {
	for i, p := range b.packs {
		if err != nil {
			for _, m := range p.members {
				m.done(nil, err)
			}
			continue
		}
		answer := b.of(resp, i)
		answer.Header = resp.Header
		if len(p.members) == 1 {
			p.members[0].done(answer, nil)
			continue
		}
		at := 0
		for _, m := range p.members {
			n := at + len(m.txn.then)
			m.done(&pb.TxnResponse{Header: resp.Header, Succeeded: true, Responses: answer.Responses[at:n:n]}, nil)
			at = n
		}
	}
}
