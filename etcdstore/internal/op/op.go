package op

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Put puts a key that ends with no lease.
func Put[Value string | []byte](key string, value Value) *pb.RequestOp {
	return PutOn(clientv3.NoLease, key, value)
}

// PutOn puts a key that ends with a lease.
func PutOn[Value string | []byte](lease clientv3.LeaseID, key string, value Value) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
		RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: int64(lease)},
	}}
}

// Delete deletes a key.
func Delete(key string) *pb.RequestOp { return DeleteRange(key, "") }

// DeletePrefix deletes all keys that begin so.
func DeletePrefix(prefix string) *pb.RequestOp {
	return DeleteRange(prefix, clientv3.GetPrefixRangeEnd(prefix))
}

// DeleteRange deletes the keys from one to before another.
func DeleteRange(from, end string) *pb.RequestOp {
	r := &pb.DeleteRangeRequest{Key: []byte(from)}
	if end != "" {
		r.RangeEnd = []byte(end)
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}}
}

// Get gets a key.
func Get(key string) *pb.RequestOp { return Range(&pb.RangeRequest{Key: []byte(key)}) }

// GetKey gets a key without its value, and without its lease.
func GetKey(key string) *pb.RequestOp {
	return Range(&pb.RangeRequest{Key: []byte(key), KeysOnly: true})
}

// Prefix is a range of all keys that begin so.
func Prefix(prefix string) *pb.RangeRequest {
	return &pb.RangeRequest{Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix))}
}

// Count counts the keys that begin so.
func Count(prefix string) *pb.RangeRequest {
	r := Prefix(prefix)
	r.CountOnly = true
	return r
}

// Any gets the first key under a prefix, without its value.
func Any(prefix string) *pb.RangeRequest {
	r := Prefix(prefix)
	r.Limit, r.KeysOnly = 1, true
	return r
}

// Oldest gets what was created first under a prefix; what one transaction created comes in no
// particular order.
func Oldest(prefix string, limit int64) *pb.RangeRequest {
	r := Prefix(prefix)
	r.Limit, r.SortOrder, r.SortTarget = limit, pb.RangeRequest_ASCEND, pb.RangeRequest_CREATE
	return r
}

// Last gets the last key under a prefix.
func Last(prefix string) *pb.RangeRequest {
	r := Prefix(prefix)
	r.Limit, r.SortOrder, r.SortTarget = 1, pb.RangeRequest_DESCEND, pb.RangeRequest_KEY
	return r
}

// Range gets what a range describes.
func Range(r *pb.RangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
}
