package commit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Whatever happens, and however many ask at the same time, whoever asks is answered once. It is
// here for the race detector; the clock is the real one.
func TestAnsweredOnce(t *testing.T) {
	t.Parallel()
	const clients, txns = 16, 300
	e := newEtcd()
	e.past = nil
	health := NewHealth(nil)
	health.Set(true)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var running, started, asking sync.WaitGroup
	var panics atomic.Int64
	engine := New(Env{
		Apply: func(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
			switch rand.IntN(20) {
			case 0:
				return nil, rpctypes.ErrNoLeader
			case 1:
				return nil, rpctypes.ErrPermissionDenied
			case 2:
				return nil, rpctypes.ErrNoSpace
			case 3:
				return nil, rpctypes.ErrLeaseNotFound
			case 4:
				health.Set(false)
				health.Set(true)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return e.txn(req)
		},
		Start: func(f func()) bool {
			if ctx.Err() != nil {
				return false
			}
			started.Go(f)
			return true
		},
		Closed:   func() bool { return ctx.Err() != nil },
		Panicked: func(any, []byte) { panics.Add(1) },
		Health:   health,
	})
	running.Go(func() { engine.Run(ctx) })

	var answers [clients * txns]atomic.Int64
	var wantPanics atomic.Int64
	for client := range clients {
		asking.Go(func() {
			for i := range txns {
				id := client*txns + i
				t := put(fmt.Sprint("k", rand.IntN(200)))
				t.Client, t.Urgent = fmt.Sprint(client%5), rand.IntN(4) == 0
				switch rand.IntN(4) {
				case 0:
					t.If = []*pb.Compare{op.Absent(fmt.Sprint("k", rand.IntN(200)))}
				case 1:
					t = otherwise(t)
				case 2:
					t.Touch, t.Patient = "touched", true
				}
				if i == txns/2 && client == 0 { // for the rest there is no engine any more
					end()
				}
				answer := func(*pb.TxnResponse, error) {
					answers[id].Add(1)
					if id%50 == 0 {
						panic("over an answer")
					}
				}
				switch {
				case id%50 == 0: // not with Submit, which without a quorum answers in its caller's own goroutine
					engine.add(&member{Txn: t, Footprint: t.footprint(), answer: answer})
					wantPanics.Add(1)
				case i%3 == 0:
					engine.SubmitLater(t.Caller, t.footprint, func() Txn { return t }, answer)
				case i%3 == 1:
					answer(engine.Commit(ctx, t))
				default:
					engine.Submit(t, answer)
				}
			}
		})
	}
	asking.Wait()
	running.Wait()
	started.Wait()
	for id := range answers {
		if n := answers[id].Load(); n != 1 {
			t.Errorf("transaction %d has %d answers", id, n)
		}
	}
	if panics.Load() != wantPanics.Load() {
		t.Errorf("%d panics were told; want %d", panics.Load(), wantPanics.Load())
	}
}
