package commit

import (
	"context"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// BenchmarkEngine is what the engine costs, with an etcd that takes no time.
func BenchmarkEngine(b *testing.B) {
	for name, txn := range map[string]func(key string) Txn{
		"plain":        func(key string) Txn { return Txn{If: []*pb.Compare{op.Absent("none")}, Then: put(key).Then} },
		"other-branch": func(key string) Txn { return otherwise(put(key)) },
	} {
		b.Run(name, func(b *testing.B) {
			txns := numbered(4096, txn)
			health := NewHealth(nil)
			health.Set(true)
			var started, running sync.WaitGroup
			ctx, end := context.WithCancel(b.Context())
			engine := New(Env{
				Apply: func(_ context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) { return succeed(req), nil },
				Start: func(f func()) bool {
					started.Go(f)
					return true
				},
				Closed: func() bool { return false },
				Health: health,
			})
			running.Go(func() { engine.Run(ctx) })
			b.ReportAllocs()
			asking := make(chan struct{}, len(txns)/2) // at a time
			for i := range b.N {
				asking <- struct{}{}
				engine.Submit(txns[i%len(txns)], func(*pb.TxnResponse, error) { <-asking })
			}
			for range cap(asking) {
				asking <- struct{}{}
			}
			b.StopTimer()
			end()
			running.Wait()
			started.Wait()
		})
	}
}

// succeed is an answer to a transaction and all that are nested in it.
func succeed(req *pb.TxnRequest) *pb.TxnResponse {
	resp := &pb.TxnResponse{Header: &pb.ResponseHeader{}, Succeeded: true, Responses: make([]*pb.ResponseOp, len(req.Success))}
	for i, o := range req.Success {
		if t := o.GetRequestTxn(); t != nil {
			resp.Responses[i] = &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: succeed(t)}}
		}
	}
	return resp
}

// BenchmarkFill is the making of one batch, as large as there is.
func BenchmarkFill(b *testing.B) {
	txns := numbered(batchMembers, func(key string) Txn {
		return Txn{If: []*pb.Compare{op.Absent("none")}, Then: put(key).Then, Touch: "touched"}
	})
	b.ReportAllocs()
	for b.Loop() {
		q := newQueue()
		engine := &Engine{queue: newQueue()}
		for _, t := range txns {
			q.add(&member{Txn: t, Footprint: t.footprint(), since: time.Now(), engine: engine})
		}
		if batch := q.fill(); len(q.byOwner) > 0 || len(batch.txn().Then) != batchMembers/packOps+1 {
			b.Fatalf("%d lines are left, and there are %d operations", len(q.byOwner), len(batch.txn().Then))
		}
	}
}
