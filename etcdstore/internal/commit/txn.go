package commit

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// MaxOps is how many compares and operations etcd takes in a transaction by default. What a nested
// one has counts on top of the longest list of those around it.
const MaxOps = 128

// Txn is one transaction.
type Txn struct {
	If   []*pb.Compare
	Then []*pb.RequestOp
	Else []*pb.RequestOp

	// Alive is the key of the session whose lease it puts on, if it does not compare that it is
	// there; empty: it puts on no lease, or compares. It will compare after a refusal: etcd looks
	// for the lease, and refuses all that shares the batch.
	Alive string

	Caller
	Patient bool   // it is in no hurry
	Besides string // a key that nothing else in its batch may write either; empty: none

	// Shares is a key that the transaction relies on, and none in its batch may write; empty: none.
	// Any number may share it. What all of them compare is SharedIf, which a pack has once: it is
	// not the same for each, but whichever of them holds proves it for all.
	Shares   string
	SharedIf []*pb.Compare

	// Touch is a key that is put along, once for all of its batch, whatever comes of them; empty:
	// none. Only a batch that is not nested, and does not hold, puts nothing at all.
	Touch string

	// Doubt is set if it may have taken effect before it came to what its caller is told: it was
	// run again after an error that proves nothing, or for want of room. nil: that is of no
	// interest.
	Doubt *bool

	// Refuse is asked when its turn has come: with an error, which is then its answer, it is not
	// run. nil: it is.
	Refuse func() error
}

// Caller is for whom a transaction, or another call of etcd, is made.
type Caller struct {
	Client   string   // see lines
	Urgent   bool     // it ends something, or keeps it alive, and has room before others
	Receipt  *Receipt // of what it is answered; nil: nobody asks
	Follower Follower // of how; nil: there is none
}

// WithAlive is the transaction with the compare that Alive spares it.
func (t Txn) WithAlive() Txn {
	if t.Alive != "" {
		t.If, t.Alive = append(t.If[:len(t.If):len(t.If)], op.Present(t.Alive)), ""
	}
	return t
}

// whole is the transaction with all that it compares.
func (t Txn) whole() Txn {
	if len(t.SharedIf) > 0 {
		t.If, t.SharedIf = slices.Concat(t.SharedIf, t.If), nil
	}
	return t.WithAlive()
}

// Request is the transaction in etcd's words.
func (t Txn) Request() *pb.TxnRequest {
	if len(t.SharedIf) > 0 {
		t.If = slices.Concat(t.SharedIf, t.If)
	}
	return &pb.TxnRequest{Compare: t.If, Success: t.Then, Failure: t.Else}
}

// Op makes a nested transaction of it.
func (t Txn) Op() *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: t.Request()}}
}

// Nested are operations as so few that etcd takes them in a transaction, most of them in
// transactions inside it. They must not be so many that it takes them in no way, some three
// thousand.
func Nested(ops []*pb.RequestOp) (few []*pb.RequestOp) {
	for part := range slices.Chunk(ops, packOps) {
		few = append(few, Txn{Then: part}.Op())
	}
	return few
}
