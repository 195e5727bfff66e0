package commit

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// etcd is as much of etcd as an engine has to do with, in memory: a test says when it answers and
// what fails. TestEtcdsRules holds its answers against those of a real one.
type etcd struct {
	mu     sync.Mutex
	rev    int64
	keys   state
	leases map[int64]bool // that live
	full   bool

	past map[int64]state // by revision; nil: none is kept
}

// state is the keys at one revision. What a key is mapped to is never changed.
type state map[string]*mvccpb.KeyValue

func newEtcd() *etcd {
	return &etcd{rev: 1, keys: state{}, leases: map[int64]bool{}, past: map[int64]state{1: {}}}
}

// txn runs a transaction whole or not at all.
func (e *etcd) txn(r *pb.TxnRequest) (*pb.TxnResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full && mayPut(r) {
		return nil, rpctypes.ErrNoSpace
	}
	if !fits(r, MaxOps) {
		return nil, rpctypes.ErrTooManyOps
	}
	for _, branch := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, _, ok := apart(branch); !ok {
			return nil, rpctypes.ErrDuplicateKey
		}
	}
	run := &execution{leases: e.leases, before: e.keys, after: maps.Clone(e.keys), rev: e.rev + 1}
	resp, err := run.txn(r)
	if err != nil {
		return nil, err
	}
	if run.wrote {
		e.become(run.after)
	}
	resp.Header = &pb.ResponseHeader{Revision: e.rev}
	return resp, nil
}

func (e *etcd) become(keys state) {
	e.rev++
	e.keys = keys
	if e.past != nil {
		e.past[e.rev] = keys
	}
}

func (e *etcd) grant(lease int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leases[lease] = true
}

// end ends a lease, and deletes what was put on it.
func (e *etcd) end(lease int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.leases, lease)
	left := maps.Clone(e.keys)
	maps.DeleteFunc(left, func(_ string, kv *mvccpb.KeyValue) bool { return kv.Lease == lease })
	if len(left) < len(e.keys) {
		e.become(left)
	}
}

func (e *etcd) fill(full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = full
}

// get returns a key; nil: it is not there.
func (e *etcd) get(key string) *mvccpb.KeyValue {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys[key]
}

// mayPut reports whether there is a put in either branch.
func mayPut(r *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(r.Success, r.Failure), func(o *pb.RequestOp) bool {
		nested := o.GetRequestTxn()
		return o.GetRequestPut() != nil || nested != nil && mayPut(nested)
	})
}

// fits reports whether no list of a transaction, together with the longest of each that it is
// nested in, is longer than room.
func fits(r *pb.TxnRequest, room int) bool {
	room -= max(len(r.Compare), len(r.Success), len(r.Failure))
	return room >= 0 && !slices.ContainsFunc(slices.Concat(r.Success, r.Failure), func(o *pb.RequestOp) bool {
		nested := o.GetRequestTxn()
		return nested != nil && !fits(nested, room)
	})
}

// apart reports whether a branch puts no key twice, and puts none that it deletes. What a nested
// transaction deletes counts for those after it and for the puts beside it: so does etcd.
func apart(branch []*pb.RequestOp) (puts map[string]bool, deleted [][2]string, ok bool) {
	puts = map[string]bool{}
	for _, o := range branch {
		if d := o.GetRequestDeleteRange(); d != nil {
			deleted = append(deleted, span(d.Key, d.RangeEnd))
		}
	}
	for _, o := range branch {
		nested := o.GetRequestTxn()
		if nested == nil {
			continue
		}
		then, deletedThen, okThen := apart(nested.Success)
		other, deletedElse, okElse := apart(nested.Failure)
		if !okThen || !okElse {
			return nil, nil, false
		}
		maps.Copy(then, other) // only one of the two is run
		for key := range then {
			if puts[key] || within(key, deleted) {
				return nil, nil, false
			}
			puts[key] = true
		}
		deleted = slices.Concat(deleted, deletedThen, deletedElse)
	}
	for _, o := range branch {
		if p := o.GetRequestPut(); p != nil {
			if puts[string(p.Key)] || within(string(p.Key), deleted) {
				return nil, nil, false
			}
			puts[string(p.Key)] = true
		}
	}
	return puts, deleted, true
}

// span is the range of keys that a request means.
func span(key, end []byte) [2]string {
	if len(end) == 0 {
		return [2]string{string(key), string(key) + "\x00"}
	}
	return [2]string{string(key), string(end)}
}

// in returns the keys of a range, in order.
func (s state) in(key, end []byte) (kvs []*mvccpb.KeyValue) {
	if len(end) == 0 {
		if kv := s[string(key)]; kv != nil {
			kvs = append(kvs, kv)
		}
		return kvs
	}
	for k, kv := range s {
		if within(k, [][2]string{span(key, end)}) {
			kvs = append(kvs, kv)
		}
	}
	slices.SortFunc(kvs, func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
	return kvs
}

// holds reports whether a compare holds.
func (s state) holds(c *pb.Compare) bool {
	kvs := s.in(c.Key, c.RangeEnd)
	if len(kvs) == 0 {
		if c.Target == pb.Compare_VALUE {
			return false
		}
		kvs = []*mvccpb.KeyValue{{}}
	}
	return !slices.ContainsFunc(kvs, func(kv *mvccpb.KeyValue) bool {
		var order int
		switch c.Target {
		case pb.Compare_CREATE:
			order = cmp.Compare(kv.CreateRevision, c.GetCreateRevision())
		case pb.Compare_MOD:
			order = cmp.Compare(kv.ModRevision, c.GetModRevision())
		case pb.Compare_VERSION:
			order = cmp.Compare(kv.Version, c.GetVersion())
		case pb.Compare_LEASE:
			order = cmp.Compare(kv.Lease, c.GetLease())
		case pb.Compare_VALUE:
			order = bytes.Compare(kv.Value, c.GetValue())
		}
		switch c.Result {
		case pb.Compare_GREATER:
			return order <= 0
		case pb.Compare_LESS:
			return order >= 0
		case pb.Compare_NOT_EQUAL:
			return order == 0
		default:
			return order != 0
		}
	})
}

func (s state) allHold(compares []*pb.Compare) bool {
	return !slices.ContainsFunc(compares, func(c *pb.Compare) bool { return !s.holds(c) })
}

// execution is a transaction that is being run.
type execution struct {
	leases        map[int64]bool
	before, after state
	rev           int64
	wrote         bool
}

func (x *execution) txn(r *pb.TxnRequest) (*pb.TxnResponse, error) {
	resp, branch := &pb.TxnResponse{Succeeded: x.before.allHold(r.Compare)}, r.Failure
	if resp.Succeeded {
		branch = r.Success
	}
	for _, o := range branch {
		done, err := x.op(o)
		if err != nil {
			return nil, err
		}
		resp.Responses = append(resp.Responses, done)
	}
	return resp, nil
}

func (x *execution) op(o *pb.RequestOp) (*pb.ResponseOp, error) {
	switch r := o.Request.(type) {
	case *pb.RequestOp_RequestTxn:
		nested, err := x.txn(r.RequestTxn)
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: nested}}, err
	case *pb.RequestOp_RequestPut:
		err := x.put(r.RequestPut)
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: &pb.PutResponse{}}}, err
	case *pb.RequestOp_RequestDeleteRange:
		n := x.deleteRange(r.RequestDeleteRange)
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{
			ResponseDeleteRange: &pb.DeleteRangeResponse{Deleted: n},
		}}, nil
	default:
		g := o.GetRequestRange() // of its options it knows none
		kvs := x.after.in(g.Key, g.RangeEnd)
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{
			ResponseRange: &pb.RangeResponse{Kvs: kvs, Count: int64(len(kvs))},
		}}, nil
	}
}

func (x *execution) put(r *pb.PutRequest) error {
	if r.Lease != 0 && !x.leases[r.Lease] {
		return rpctypes.ErrLeaseNotFound
	}
	kv := &mvccpb.KeyValue{Key: r.Key, Value: r.Value, Lease: r.Lease, CreateRevision: x.rev, ModRevision: x.rev, Version: 1}
	if old := x.after[string(r.Key)]; old != nil {
		kv.CreateRevision, kv.Version = old.CreateRevision, old.Version+1
	}
	x.after[string(r.Key)], x.wrote = kv, true
	return nil
}

func (x *execution) deleteRange(r *pb.DeleteRangeRequest) int64 {
	gone := x.after.in(r.Key, r.RangeEnd)
	for _, kv := range gone {
		delete(x.after, string(kv.Key))
	}
	x.wrote = x.wrote || len(gone) > 0
	return int64(len(gone))
}
