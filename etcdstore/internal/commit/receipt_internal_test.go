package commit

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Each transaction's receipt has the revision of its own answer, however it was run, and whether or
// not its compares held.
func TestReceipt(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		type key struct{}
		r.env.Caller = func(ctx context.Context) Caller {
			receipt, _ := ctx.Value(key{}).(*Receipt)
			return Caller{Receipt: receipt}
		}
		asks := func(t Txn) (Txn, *Receipt) {
			receipt := new(Receipt)
			t.Receipt = receipt
			return t, receipt
		}
		packed, first := asks(put("a"))
		again, second := asks(put("a"))
		other, third := asks(otherwise(put("b")))
		all, _ := r.together(packed, again, other, unheld("c"))
		for i, receipt := range []*Receipt{first, second, third} {
			if got, want := receipt.Revision(), all[i].resp.Header.Revision; got != want || got == 0 {
				r.Errorf("receipt %d says %d; want %d", i, got, want)
			}
		}

		free := r.busy()
		r.ask(numbered(batchMembers, put1)...)
		later, late := r.asked(put("later")), new(Receipt)
		r.SubmitLater(Caller{Receipt: late}, later.footprint, func() Txn { return later.Txn }, later.answer)
		free()
		r.pass(patience)
		if got, want := late.Revision(), later.resp.Header.Revision; got != want || got == 0 {
			r.Errorf("the receipt of what was made late says %d; want %d", got, want)
		}

		for name, call := range map[string]func(context.Context) (*pb.TxnResponse, error){
			"Commit": func(ctx context.Context) (*pb.TxnResponse, error) { return r.Commit(ctx, put("d")) },
			"Commit of a read": func(ctx context.Context) (*pb.TxnResponse, error) {
				return r.Commit(ctx, Txn{Then: []*pb.RequestOp{op.Get("d")}})
			},
			"Alone": func(ctx context.Context) (*pb.TxnResponse, error) { return r.Alone(ctx, put("e")) },
		} {
			receipt := new(Receipt)
			resp, err := call(context.WithValue(r.Context(), key{}, receipt))
			if err != nil {
				r.Errorf("%s: %v", name, err)
			} else if got, want := receipt.Revision(), resp.Header.Revision; got != want {
				r.Errorf("the receipt of %s says %d; want %d", name, got, want)
			}
		}

		r.fail(func(*pb.TxnRequest) error { return rpctypes.ErrNoLeader })
		unanswered, none := asks(put("f"))
		asked := r.ask(unanswered)
		r.settle()
		r.refused(ErrNoQuorum, asked...)
		if none.Revision() != 0 {
			r.Errorf("the receipt of what was not answered says %d", none.Revision())
		}
	})
}
