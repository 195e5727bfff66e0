package op

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Ranged is what the i-th operation of a branch, a get, found.
func Ranged(resp *pb.TxnResponse, i int) []*mvccpb.KeyValue {
	return resp.Responses[i].GetResponseRange().Kvs
}

// First is the only, or the first, key that the i-th operation of a branch found; nil: none.
func First(resp *pb.TxnResponse, i int) *mvccpb.KeyValue {
	if kvs := Ranged(resp, i); len(kvs) > 0 {
		return kvs[0]
	}
	return nil
}

// Nested is what the i-th operation of a branch, a transaction, came to.
func Nested(resp *pb.TxnResponse, i int) *pb.TxnResponse { return resp.Responses[i].GetResponseTxn() }
