package commit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// watched notes what its caller's transactions come to.
type watched struct {
	name string
	book *book
}

type book struct {
	mu    sync.Mutex
	lines []string
}

type before struct{}

func (w watched) Ask(ctx context.Context, transactions int) (context.Context, func(int64, error)) {
	earlier, _ := ctx.Value(before{}).(string)
	return context.WithValue(ctx, before{}, earlier+w.name), func(rev int64, err error) {
		w.book.mu.Lock()
		defer w.book.mu.Unlock()
		w.book.lines = append(w.book.lines, fmt.Sprintf("%s of %d after %q at %t: %v", w.name, transactions, earlier, rev > 0, err))
	}
}

// Whoever follows a transaction is told of each call of etcd that has it, in the context that the
// others of that call have left, whether it shares a batch or is a read by itself. Those that
// nobody follows count, and are all that is asked of.
func TestFollower(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		var notes book
		follow := func(t Txn, name string) Txn {
			t.Follower = watched{name, &notes}
			return t
		}
		want := func(what string, lines ...string) {
			r.Helper()
			notes.mu.Lock()
			defer notes.mu.Unlock()
			if !slices.Equal(notes.lines, lines) {
				r.Errorf("%s: %q; want %q", what, notes.lines, lines)
			}
			notes.lines = nil
		}
		all, calls := r.together(follow(put("a"), "x"), put("b"), follow(put("c"), "y"))
		r.succeeded(all...)
		r.called(calls, 1)
		want("a batch", `x of 3 after "" at true: <nil>`, `y of 3 after "x" at true: <nil>`)

		r.env.Caller = func(context.Context) Caller { return Caller{Follower: watched{"z", &notes}} }
		if _, err := r.Commit(r.Context(), Txn{Then: []*pb.RequestOp{op.Get("a")}}); err != nil {
			r.Fatal(err)
		}
		want("a read", `z of 1 after "" at true: <nil>`)
		r.env.Caller = func(context.Context) Caller { return Caller{} }

		r.fail(func(*pb.TxnRequest) error { return context.Canceled })
		r.ask(follow(put("d"), "x"))
		r.settle()
		notes.mu.Lock()
		defer notes.mu.Unlock()
		if len(notes.lines) != 1 || notes.lines[0] == `x of 1 after "" at false: <nil>` {
			r.Errorf("a failure: %q; want it to be told, once", notes.lines)
		}
	})
}
