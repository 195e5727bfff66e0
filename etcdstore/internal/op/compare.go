package op

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Absent holds while a key is not there.
func Absent(key string) *pb.Compare { return CreatedAt(key, 0) }

// Present holds while a key is there.
func Present(key string) *pb.Compare {
	c := CreatedAt(key, 0)
	c.Result = pb.Compare_GREATER
	return c
}

// Empty holds while there is no key under a prefix. Etcd passes over every deleted key that it
// still remembers.
func Empty(prefix string) *pb.Compare {
	c := Absent(prefix)
	c.RangeEnd = []byte(clientv3.GetPrefixRangeEnd(prefix))
	return c
}

// CreatedAt holds while a key is there since a revision; 0: while it is not there.
func CreatedAt(key string, rev int64) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_CREATE, TargetUnion: &pb.Compare_CreateRevision{CreateRevision: rev},
	}
}

// ModifiedAt holds while a key was last put at a revision; 0: while it is not there.
func ModifiedAt(key string, rev int64) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_MOD, TargetUnion: &pb.Compare_ModRevision{ModRevision: rev},
	}
}

// ModifiedBy holds while a key was last put at a revision or before it, or is not there.
func ModifiedBy(key string, rev int64) *pb.Compare {
	c := ModifiedAt(key, rev+1)
	c.Result = pb.Compare_LESS
	return c
}

// AllModifiedBy holds while no key under a prefix was put after a revision. Etcd looks at each.
func AllModifiedBy(prefix string, rev int64) *pb.Compare {
	c := ModifiedBy(prefix, rev)
	c.RangeEnd = []byte(clientv3.GetPrefixRangeEnd(prefix))
	return c
}

// NotModifiedAt holds while a key was last put at another revision, or is not there.
func NotModifiedAt(key string, rev int64) *pb.Compare {
	c := ModifiedAt(key, rev)
	c.Result = pb.Compare_NOT_EQUAL
	return c
}

// HeldOn holds while a key ends with a lease.
func HeldOn(key string, lease clientv3.LeaseID) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_LEASE, TargetUnion: &pb.Compare_Lease{Lease: int64(lease)},
	}
}

// NotHeldOn holds while a key ends with another lease, or is not there.
func NotHeldOn(key string, lease clientv3.LeaseID) *pb.Compare {
	c := HeldOn(key, lease)
	c.Result = pb.Compare_NOT_EQUAL
	return c
}

// ValueBelow holds while a key is there and its value sorts before another.
func ValueBelow(key, before string) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Result: pb.Compare_LESS, Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte(before)},
	}
}

// Between holds while a key's value sorts after one and before another.
func Between(key, after, before string) []*pb.Compare {
	value := func(result pb.Compare_CompareResult, than string) *pb.Compare {
		return &pb.Compare{
			Key: []byte(key), Result: result, Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte(than)},
		}
	}
	return []*pb.Compare{value(pb.Compare_GREATER, after), value(pb.Compare_LESS, before)}
}
