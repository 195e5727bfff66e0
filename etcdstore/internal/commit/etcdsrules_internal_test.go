package commit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// What the tests here take for etcd must do as etcd does: the same transactions, right and wrong
// ones, have the same answers from both.
func TestEtcdsRules(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	client, run := startEtcd(t, embedded.Config{})
	ours, g := newEtcd(), anyRequest{Rand: rand.New(rand.NewPCG(seed, 0))}
	for range 3 {
		granted, err := client.Grant(bounded(t), 3600)
		if err != nil {
			t.Fatal(err)
		}
		g.leases = append(g.leases, int64(granted.ID))
		ours.grant(int64(granted.ID))
	}
	start, err := run(&pb.TxnRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ours.rev = start.Header.Revision
	refused := map[error]int{}
	for i := range 3000 {
		if i == 1000 || i == 2000 {
			lease := g.leases[i/1000]
			if _, err := client.Revoke(bounded(t), clientv3.LeaseID(lease)); err != nil {
				t.Fatal(err)
			}
			ours.end(lease)
		}
		r := g.request(2, ours.rev)
		want, errReal := run(r)
		got, errOurs := ours.txn(r)
		if w, g := say(want), say(got); w != g || !errors.Is(errOurs, errReal) {
			t.Fatalf("transaction %d: %v\nours: %s, %v\nreal: %s, %v", i, r, g, errOurs, w, errReal)
		}
		refused[errReal]++
	}
	for _, want := range []error{nil, rpctypes.ErrDuplicateKey, rpctypes.ErrLeaseNotFound, rpctypes.ErrTooManyOps} {
		if refused[want] < 10 {
			t.Errorf("%d transactions came to %v; want some, or they show nothing", refused[want], want)
		}
	}
}

// A full etcd looks for puts in all branches, those that are not taken among them, and lets
// everything else pass.
func TestEtcdsRulesWhenFull(t *testing.T) {
	t.Parallel()
	_, run := startEtcd(t, embedded.Config{Quota: 1})
	ours := newEtcd()
	ours.fill(true)
	puts := []*pb.RequestOp{op.Put("k", "v")}
	for name, r := range map[string]*pb.TxnRequest{
		"put":                    {Success: puts},
		"put elsewhere":          {Failure: puts},
		"nested put":             {Success: []*pb.RequestOp{Txn{Then: puts}.Op()}},
		"nested put elsewhere":   {Failure: []*pb.RequestOp{Txn{Else: puts}.Op()}},
		"deletion":               {Success: []*pb.RequestOp{op.Delete("k")}},
		"nested deletion":        {Success: []*pb.RequestOp{Txn{Then: []*pb.RequestOp{op.Delete("k")}}.Op()}},
		"nothing but a question": {Success: []*pb.RequestOp{op.Get("k")}},
	} {
		_, errReal := run(r)
		_, errOurs := ours.txn(r)
		if !errors.Is(errOurs, errReal) {
			t.Errorf("%s: ours %v, real %v", name, errOurs, errReal)
		}
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func startEtcd(t *testing.T, cfg embedded.Config) (*clientv3.Client, func(*pb.TxnRequest) (*pb.TxnResponse, error)) {
	t.Helper()
	cfg.DataDir, cfg.UnsafeNoFsync = t.TempDir(), true
	server, err := embedded.Start(bounded(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	apply, ctx := Remote(server.Local().KV()), bounded(t)
	return server.Client(), func(r *pb.TxnRequest) (*pb.TxnResponse, error) { return apply(ctx, r) }
}

// anyRequest makes transactions over few keys, so that they meet, and some that etcd refuses.
type anyRequest struct {
	*rand.Rand
	leases []int64
}

func (g anyRequest) request(depth int, rev int64) *pb.TxnRequest {
	r := &pb.TxnRequest{Success: g.branch(depth, rev), Failure: g.branch(depth, rev)}
	for range g.IntN(3) {
		r.Compare = append(r.Compare, g.compare(rev))
	}
	if g.IntN(20) == 0 { // as many as may be, counted with what it is nested in; or one more
		for range MaxOps - 3 + g.IntN(5) {
			r.Compare = append(r.Compare, op.Absent("none"))
		}
	}
	return r
}

func (g anyRequest) key() string { return string(rune('a' + g.IntN(6))) }

func (g anyRequest) compare(rev int64) *pb.Compare {
	c := &pb.Compare{Key: []byte(g.key()), Result: pb.Compare_CompareResult(g.IntN(4))}
	if g.IntN(4) == 0 {
		c.RangeEnd = []byte(g.key())
	}
	at := rev - int64(g.IntN(8))
	switch g.IntN(5) {
	case 0:
		c.Target, c.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: at * int64(g.IntN(2))}
	case 1:
		c.Target, c.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: at}
	case 2:
		c.Target, c.TargetUnion = pb.Compare_VERSION, &pb.Compare_Version{Version: int64(g.IntN(3))}
	case 3:
		c.Target, c.TargetUnion = pb.Compare_LEASE, &pb.Compare_Lease{Lease: g.lease()}
	default:
		c.Target, c.TargetUnion = pb.Compare_VALUE, &pb.Compare_Value{Value: []byte(g.key())}
	}
	return c
}

// lease is one of the leases, or none.
func (g anyRequest) lease() int64 {
	if g.IntN(3) > 0 {
		return 0
	}
	return g.leases[g.IntN(len(g.leases))]
}

func (g anyRequest) branch(depth int, rev int64) (ops []*pb.RequestOp) {
	for range g.IntN(3) {
		switch n := g.IntN(9); {
		case n < 3:
			ops = append(ops, op.PutOn(clientv3.LeaseID(g.lease()), g.key(), g.key()))
		case n < 4:
			ops = append(ops, op.Delete(g.key()))
		case n < 5:
			from := g.key()
			ops = append(ops, op.DeleteRange(from, from+"b"))
		case n < 6:
			ops = append(ops, op.Get(g.key()))
		case n < 7:
			ops = append(ops, op.Range(op.Prefix(g.key())))
		case depth > 0:
			ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: g.request(depth-1, rev)}})
		}
	}
	return ops
}

// say puts an answer into words that two answers have in common if they are the same.
func say(resp *pb.TxnResponse) string {
	if resp == nil {
		return "nothing"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%d %t [", resp.GetHeader().GetRevision(), resp.Succeeded)
	for _, r := range resp.Responses {
		switch r := r.Response.(type) {
		case *pb.ResponseOp_ResponsePut:
			s.WriteString(" put")
		case *pb.ResponseOp_ResponseDeleteRange:
			fmt.Fprintf(&s, " %d deleted", r.ResponseDeleteRange.Deleted)
		case *pb.ResponseOp_ResponseRange:
			for _, kv := range r.ResponseRange.Kvs {
				fmt.Fprintf(&s, " %s=%s(%d %d %d %x)", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
			}
			fmt.Fprintf(&s, " %d found", r.ResponseRange.Count)
		case *pb.ResponseOp_ResponseTxn:
			s.WriteString(say(r.ResponseTxn))
		}
	}
	return s.String() + "]"
}
