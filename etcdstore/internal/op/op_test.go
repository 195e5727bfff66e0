package op_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// etcd is a real one, in this process.
type etcd struct {
	*testing.T
	client *clientv3.Client
	kv     pb.KVClient
	ctx    context.Context
}

func start(t *testing.T) *etcd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	server, err := embedded.Start(ctx, embedded.Config{DataDir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &etcd{t, server.Client(), server.Local().KV(), ctx}
}

func (e *etcd) txn(compares []*pb.Compare, then ...*pb.RequestOp) *pb.TxnResponse {
	e.Helper()
	resp, err := e.kv.Txn(e.ctx, &pb.TxnRequest{Compare: compares, Success: then})
	if err != nil {
		e.Fatal(err)
	}
	return resp
}

// do runs operations, and returns the revision.
func (e *etcd) do(ops ...*pb.RequestOp) int64 {
	e.Helper()
	return e.txn(nil, ops...).Header.Revision
}

func (e *etcd) lease() clientv3.LeaseID {
	e.Helper()
	granted, err := e.client.Grant(e.ctx, 3600)
	if err != nil {
		e.Fatal(err)
	}
	return granted.ID
}

// Each compare holds when its comment says so, and not otherwise.
func TestCompares(t *testing.T) {
	t.Parallel()
	e := start(t)
	own, other := e.lease(), e.lease()
	created := e.do(op.PutOn(own, "k", "m"))
	modified := e.do(op.PutOn(own, "k", "m"))
	e.do(op.Put("gone", ""), op.Put("dir/a", ""), op.Put("free", ""))
	e.do(op.Delete("gone"))
	one := func(c *pb.Compare) []*pb.Compare { return []*pb.Compare{c} }
	for _, test := range []struct {
		name string
		c    []*pb.Compare
		want bool
	}{
		{"Absent, there", one(op.Absent("k")), false},
		{"Absent, never there", one(op.Absent("none")), true},
		{"Absent, deleted", one(op.Absent("gone")), true},
		{"Present, there", one(op.Present("k")), true},
		{"Present, never there", one(op.Present("none")), false},
		{"Present, deleted", one(op.Present("gone")), false},

		{"Empty, one key below", one(op.Empty("dir/")), false},
		{"Empty, the key itself", one(op.Empty("k")), false},
		{"Empty, nothing", one(op.Empty("none/")), true},
		{"Empty, deleted", one(op.Empty("gone")), true},
		{"Empty, beside others", one(op.Empty("dir0")), true},

		{"CreatedAt, then", one(op.CreatedAt("k", created)), true},
		{"CreatedAt, only put then", one(op.CreatedAt("k", modified)), false},
		{"CreatedAt, 0 and there", one(op.CreatedAt("k", 0)), false},
		{"CreatedAt, 0 and not there", one(op.CreatedAt("none", 0)), true},
		{"CreatedAt, not there", one(op.CreatedAt("none", created)), false},

		{"ModifiedAt, then", one(op.ModifiedAt("k", modified)), true},
		{"ModifiedAt, put again since", one(op.ModifiedAt("k", created)), false},
		{"ModifiedAt, 0 and there", one(op.ModifiedAt("k", 0)), false},
		{"ModifiedAt, 0 and not there", one(op.ModifiedAt("none", 0)), true},

		{"ModifiedBy, then", one(op.ModifiedBy("k", modified)), true},
		{"ModifiedBy, before", one(op.ModifiedBy("k", modified+1)), true},
		{"ModifiedBy, after", one(op.ModifiedBy("k", modified-1)), false},
		{"ModifiedBy, not there", one(op.ModifiedBy("none", 0)), true},
		{"ModifiedBy, deleted since", one(op.ModifiedBy("gone", created)), true},

		{"NotModifiedAt, then", one(op.NotModifiedAt("k", modified)), false},
		{"NotModifiedAt, another time", one(op.NotModifiedAt("k", created)), true},
		{"NotModifiedAt, not there", one(op.NotModifiedAt("none", modified)), true},

		{"HeldOn, its lease", one(op.HeldOn("k", own)), true},
		{"HeldOn, another", one(op.HeldOn("k", other)), false},
		{"HeldOn, none", one(op.HeldOn("free", own)), false},
		{"HeldOn, not there", one(op.HeldOn("none", own)), false},
		{"NotHeldOn, its lease", one(op.NotHeldOn("k", own)), false},
		{"NotHeldOn, another", one(op.NotHeldOn("k", other)), true},
		{"NotHeldOn, none", one(op.NotHeldOn("free", own)), true},
		{"NotHeldOn, not there", one(op.NotHeldOn("none", own)), true},

		{"Between", op.Between("k", "l", "n"), true},
		{"Between, the first", op.Between("k", "m", "n"), false},
		{"Between, the last", op.Between("k", "l", "m"), false},
		{"Between, before", op.Between("k", "n", "o"), false},
		{"Between, after", op.Between("k", "a", "l"), false},
		{"Between, not there", op.Between("none", "", "z"), false},
	} {
		if got := e.txn(test.c).Succeeded; got != test.want {
			t.Errorf("%s: %t; want %t", test.name, got, test.want)
		}
	}
}

// Each range finds what its comment says.
func TestRanges(t *testing.T) {
	t.Parallel()
	e := start(t)
	for _, key := range []string{"p/c", "p/a", "p/b", "p", "p0"} {
		e.do(op.Put(key, "value of "+key))
	}
	e.do(op.Put("p/c", "again")) // created first, and put last
	for _, test := range []struct {
		name   string
		op     *pb.RequestOp
		want   string
		values bool
		count  int64 // of all there are; 0: it is not asked
	}{
		{"Get", op.Get("p/a"), "p/a", true, 1},
		{"Get, not there", op.Get("p/"), "", true, 0},
		{"GetKey", op.GetKey("p/a"), "p/a", false, 1},
		{"Prefix", op.Range(op.Prefix("p/")), "p/a p/b p/c", true, 3},
		{"Count", op.Range(op.Count("p/")), "", false, 3},
		{"Any", op.Range(op.Any("p/")), "p/a", false, 3},
		{"Any, none", op.Range(op.Any("q")), "", false, 0},
		{"Oldest", op.Range(op.Oldest("p/", 2)), "p/c p/a", true, 3},
		{"Oldest, more than there are", op.Range(op.Oldest("p/", 9)), "p/c p/a p/b", true, 3},
		{"Last", op.Range(op.Last("p/")), "p/c", true, 3},
		{"Last, none", op.Range(op.Last("q")), "", true, 0},
	} {
		resp := e.txn(nil, test.op)
		var keys []string
		for _, kv := range op.Ranged(resp, 0) {
			keys = append(keys, string(kv.Key))
			if got := len(kv.Value) > 0; got != test.values {
				t.Errorf("%s: a value: %t; want %t", test.name, got, test.values)
			}
		}
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("%s: %q; want %q", test.name, got, test.want)
		}
		if got := resp.Responses[0].GetResponseRange().Count; test.count > 0 && got != test.count {
			t.Errorf("%s: %d keys; want %d", test.name, got, test.count)
		}
		if first := op.First(resp, 0); (first == nil) != (len(keys) == 0) || first != nil && string(first.Key) != keys[0] {
			t.Errorf("%s: the first is %v; want that of %q", test.name, first, keys)
		}
	}
}

// Each deletion takes what its comment says, and nothing beside it.
func TestDeletions(t *testing.T) {
	t.Parallel()
	e := start(t)
	all := []string{"p", "p/", "p/a", "p/b", "p/c", "p0"}
	for _, test := range []struct {
		name string
		op   *pb.RequestOp
		gone []string
	}{
		{"Delete", op.Delete("p/"), []string{"p/"}},
		{"DeletePrefix", op.DeletePrefix("p/"), []string{"p/", "p/a", "p/b", "p/c"}},
		{"DeleteRange", op.DeleteRange("p/a", "p/c"), []string{"p/a", "p/b"}},
	} {
		var puts []*pb.RequestOp
		for _, key := range all {
			puts = append(puts, op.Put(key, []byte("v")))
		}
		e.do(puts...)
		e.do(test.op)
		var left []string
		for _, kv := range op.Ranged(e.txn(nil, op.Range(op.Prefix("p"))), 0) {
			left = append(left, string(kv.Key))
		}
		want := slices.DeleteFunc(slices.Clone(all), func(key string) bool { return slices.Contains(test.gone, key) })
		if fmt.Sprint(left) != fmt.Sprint(want) {
			t.Errorf("%s leaves %q; want %q", test.name, left, want)
		}
	}
}

// What is put on a lease ends with it; Nested finds the answer of a transaction in another one.
func TestPutAndNested(t *testing.T) {
	t.Parallel()
	e := start(t)
	lease := e.lease()
	inner := &pb.TxnRequest{Success: []*pb.RequestOp{op.PutOn(lease, "on", "v"), op.Get("on")}}
	resp := e.txn(nil, op.Put("free", "v"), &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}})
	if kv := op.First(op.Nested(resp, 1), 1); kv == nil || clientv3.LeaseID(kv.Lease) != lease || string(kv.Value) != "v" {
		t.Errorf("the nested get found %v; want what was put on the lease", kv)
	}
	if _, err := e.client.Revoke(e.ctx, lease); err != nil {
		t.Fatal(err)
	}
	resp = e.txn(nil, op.Get("free"), op.Get("on"))
	if op.First(resp, 0) == nil || op.First(resp, 1) != nil {
		t.Errorf("after the end of the lease there is %v; want only what was put on none", resp)
	}
}
