package commit

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Etcd answers a transaction without operations from what the member that it asks happens to have:
// none is sent so. A guard that was asked for alone looked failed on a member that was behind.
func TestComparesAloneAreLinearizable(t *testing.T) {
	t.Parallel()
	var sent *pb.TxnRequest
	e := New(Env{
		Apply: func(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
			sent = r
			return &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 1}}, nil
		},
		Health: NewHealth(func(bool) {}),
		Closed: func() bool { return false },
	})
	e.env.Health.Set(true)
	guard := []*pb.Compare{op.ModifiedAt("k", 7)}
	if _, err := e.Commit(t.Context(), Txn{If: guard}); err != nil {
		t.Fatal(err)
	}
	if serializable(Txn{Then: sent.Success, Else: sent.Failure}) {
		t.Errorf("%v is answered by whichever member", sent)
	}
}
