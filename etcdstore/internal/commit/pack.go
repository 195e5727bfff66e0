package commit

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

const (
	batchPacks   = 96                  // of a batch; keys that they touch count as well
	packOps      = MaxOps - batchPacks // what is left for the compares, or the operations, of a nested transaction
	batchMembers = 512                 // a few milliseconds of etcd's time, in which it applies nothing else
	batchBytes   = 1 << 20             // under etcd's 1.5 MiB a request
)

// Small reports whether a transaction may go into a batch with others.
func (t Txn) Small() bool {
	return max(len(t.whole().If), len(t.Then), len(t.Else)) <= packOps && t.footprint().Bytes <= batchBytes/16
}

// batch is transactions that are committed together.
type batch struct {
	writes
	packs []*pack
	open  *pack // takes more members; nil: none
	size  int   // members
	bytes int   // that they put

	followers []Follower // of members; none, mostly
}

// pack is one transaction for some of a batch's members.
type pack struct {
	Txn
	members []*member
	shared  []string // whose SharedIf is among the compares
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

// full reports whether there is no room for one more, which may be a pack of its own, and touch a
// key.
func (b *batch) full() bool {
	return b.size == batchMembers || b.ops()+2 > batchPacks
}

// halfFull reports whether half of what there is room for has joined.
func (b *batch) halfFull() bool {
	return b.size >= batchMembers/2 || b.ops()+2 > batchPacks/2
}

// ops is about how many operations the batch's transaction has.
func (b *batch) ops() int { return len(b.packs) + len(b.touched)/packOps }

func (b *batch) share() share { return share{b.size, len(b.packs), b.bytes} }

// hasRoom reports whether what a transaction with this footprint puts is not too much.
func (b *batch) hasRoom(f Footprint) bool { return b.size == 0 || b.bytes+f.Bytes <= batchBytes }

func (b *batch) add(m *member) {
	b.writes.add(m.Footprint)
	b.bytes += m.Bytes
	b.size++
	if m.Follower != nil {
		b.followers = append(b.followers, m.Follower)
	}
	t := m.made()
	if len(t.Else) > 0 || m.apart {
		b.packs = append(b.packs, &pack{Txn: t.whole(), members: []*member{m}})
		return
	}
	if p := b.open; p != nil && p.takes(t) {
		p.add(t, m)
		return
	}
	b.open = packOf(t, m)
	b.packs = append(b.packs, b.open)
}

// packOf is a pack of one, which leaves the transaction as it is.
func packOf(t Txn, m *member) *pack {
	p := &pack{Txn: Txn{If: t.If[:len(t.If):len(t.If)], Then: t.Then[:len(t.Then):len(t.Then)]}, members: []*member{m}}
	if t.Shares != "" {
		p.shared = []string{t.Shares}
		p.If = append(p.If, t.SharedIf...)
	}
	return p
}

// takes reports whether a pack has room for one more.
func (p *pack) takes(t Txn) bool {
	ifs := len(p.If) + len(t.If)
	if !slices.Contains(p.shared, t.Shares) {
		ifs += len(t.SharedIf)
	}
	return ifs <= packOps && len(p.Then)+len(t.Then) <= packOps
}

func (p *pack) add(t Txn, m *member) {
	if t.Shares != "" && !slices.Contains(p.shared, t.Shares) {
		p.shared = append(p.shared, t.Shares)
		p.If = append(p.If, t.SharedIf...)
	}
	p.If, p.Then = append(p.If, t.If...), append(p.Then, t.Then...)
	p.members = append(p.members, m)
}

// flat reports whether the batch is a single pack, and the transaction that pack's.
func (b *batch) flat() bool { return len(b.packs) == 1 && (len(b.touched) == 0 || b.open != nil) }

// txn is the batch's transaction.
func (b *batch) txn() (t Txn) {
	if b.flat() {
		t = b.packs[0].Txn
	} else {
		for _, p := range b.packs {
			t.Then = append(t.Then, p.Op())
		}
	}
	var touches []*pb.RequestOp
	for key := range b.touched {
		touches = append(touches, op.Put(key, ""))
	}
	if len(touches) > packOps {
		touches = Nested(touches)
	}
	t.Then = append(t.Then, touches...)
	return t
}

// of is the part of the batch's answer that is for its i-th pack.
func (b *batch) of(resp *pb.TxnResponse, i int) *pb.TxnResponse {
	if !b.flat() {
		return op.Nested(resp, i)
	}
	if resp.Succeeded { // what is touched is no member's
		resp.Responses = resp.Responses[:len(b.packs[i].Then)]
	}
	return resp
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
				m.tell(nil, err)
			}
			continue
		}
		answer := b.of(resp, i)
		answer.Header = resp.Header
		if len(p.members) == 1 {
			p.members[0].tell(answer, nil)
			continue
		}
		at := 0
		for _, m := range p.members {
			n := at + len(m.Then)
			m.tell(&pb.TxnResponse{Header: resp.Header, Succeeded: true, Responses: answer.Responses[at:n:n]}, nil)
			at = n
		}
	}
}
