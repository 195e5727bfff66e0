package etcdstore

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Transactions are written in etcd's own messages. clientv3's are made into these, by a copy of every compare: that was
// a tenth of the time of a busy server.

// Operations.

func put[Value string | []byte](key string, value Value) *pb.RequestOp {
	return putOn(clientv3.NoLease, key, value)
}

// putOn puts a key that ends with a lease.
func putOn[Value string | []byte](lease clientv3.LeaseID, key string, value Value) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
		RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: int64(lease)},
	}}
}

func del(key string) *pb.RequestOp { return delRange(key, "") }

func delPrefix(prefix string) *pb.RequestOp {
	return delRange(prefix, clientv3.GetPrefixRangeEnd(prefix))
}

// delRange deletes the keys from one to before another.
func delRange(from, end string) *pb.RequestOp {
	r := &pb.DeleteRangeRequest{Key: []byte(from)}
	if end != "" {
		r.RangeEnd = []byte(end)
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}}
}

func get(key string) *pb.RequestOp { return look(&pb.RangeRequest{Key: []byte(key)}) }

// getKey gets a key without its value, and without its lease.
func getKey(key string) *pb.RequestOp {
	return look(&pb.RangeRequest{Key: []byte(key), KeysOnly: true})
}

func getPrefix(prefix string) *pb.RangeRequest {
	return &pb.RangeRequest{Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix))}
}

func getCount(prefix string) *pb.RangeRequest {
	r := getPrefix(prefix)
	r.CountOnly = true
	return r
}

// getAny gets the first key under a prefix, without its value.
func getAny(prefix string) *pb.RangeRequest {
	r := getPrefix(prefix)
	r.Limit, r.KeysOnly = 1, true
	return r
}

// getOldest gets what was created first under a prefix; what one transaction created comes in no particular order.
func getOldest(prefix string, limit int64) *pb.RangeRequest {
	r := getPrefix(prefix)
	r.Limit, r.SortOrder, r.SortTarget = limit, pb.RangeRequest_ASCEND, pb.RangeRequest_CREATE
	return r
}

// getLast gets the last key under a prefix.
func getLast(prefix string) *pb.RangeRequest {
	r := getPrefix(prefix)
	r.Limit, r.SortOrder, r.SortTarget = 1, pb.RangeRequest_DESCEND, pb.RangeRequest_KEY
	return r
}

func look(r *pb.RangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
}

// Compares.

func absent(key string) *pb.Compare { return createdAt(key, 0) }

func present(key string) *pb.Compare {
	c := createdAt(key, 0)
	c.Result = pb.Compare_GREATER
	return c
}

// empty holds while there is no key under a prefix. Etcd passes over every deleted key that it still remembers.
func empty(prefix string) *pb.Compare {
	c := absent(prefix)
	c.RangeEnd = []byte(clientv3.GetPrefixRangeEnd(prefix))
	return c
}

func createdAt(key string, rev int64) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_CREATE, TargetUnion: &pb.Compare_CreateRevision{CreateRevision: rev},
	}
}

func modifiedAt(key string, rev int64) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_MOD, TargetUnion: &pb.Compare_ModRevision{ModRevision: rev},
	}
}

// modifiedBy holds while a key was last put at a revision or before it, or is not there.
func modifiedBy(key string, rev int64) *pb.Compare {
	c := modifiedAt(key, rev+1)
	c.Result = pb.Compare_LESS
	return c
}

func notModifiedAt(key string, rev int64) *pb.Compare {
	c := modifiedAt(key, rev)
	c.Result = pb.Compare_NOT_EQUAL
	return c
}

func heldOn(key string, lease clientv3.LeaseID) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_LEASE, TargetUnion: &pb.Compare_Lease{Lease: int64(lease)},
	}
}

// notHeldOn holds while a key ends with another lease, or is not there.
func notHeldOn(key string, lease clientv3.LeaseID) *pb.Compare {
	c := heldOn(key, lease)
	c.Result = pb.Compare_NOT_EQUAL
	return c
}

// between holds while a key's value sorts after one and before another.
func between(key, after, before string) []*pb.Compare {
	value := func(result pb.Compare_CompareResult, than string) *pb.Compare {
		return &pb.Compare{
			Key: []byte(key), Result: result, Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte(than)},
		}
	}
	return []*pb.Compare{value(pb.Compare_GREATER, after), value(pb.Compare_LESS, before)}
}

// Responses.

// ranged is what the i-th operation of a branch, a get, found.
func ranged(resp *pb.TxnResponse, i int) []*mvccpb.KeyValue {
	return resp.Responses[i].GetResponseRange().Kvs
}

// first is the only, or the first, key that the i-th operation of a branch found; nil: none.
func first(resp *pb.TxnResponse, i int) *mvccpb.KeyValue {
	if kvs := ranged(resp, i); len(kvs) > 0 {
		return kvs[0]
	}
	return nil
}

// nested is what the i-th operation of a branch, a transaction, came to.
func nested(resp *pb.TxnResponse, i int) *pb.TxnResponse { return resp.Responses[i].GetResponseTxn() }
