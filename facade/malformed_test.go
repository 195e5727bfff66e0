package facade_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// foul is a text with all that is not to leave a server.
const foul = "a\xff\x1b[31m\u009b\x7f\u202e\u2066\u200f\u061c\u2028\u2029b"

// loud is a store that has such a text wherever it may have one that somebody else has written.
type loud struct{ scripted }

func (loud) Inspect(context.Context, string) (etcdstore.LockInfo, error) {
	return etcdstore.LockInfo{
		Name: "a", LastUndone: foul, Holder: &etcdstore.Holder{Label: foul}, Waiters: []etcdstore.Waiter{{Label: foul}},
	}, nil
}

func (loud) Select(context.Context, etcdstore.Selection) (etcdstore.Page, error) {
	return etcdstore.Page{}, fmt.Errorf("%w: %s", etcdstore.ErrMalformed, foul)
}

func (loud) InspectCluster(context.Context) (etcdstore.ClusterInfo, error) {
	return etcdstore.ClusterInfo{
		RecordsRefused: fmt.Errorf("%s", foul), LocksRefused: fmt.Errorf("%s", foul), //nolint:err113 // any text
		Members: []etcdstore.MemberInfo{{Name: foul, Peers: []string{foul}, Status: &etcdstore.MemberStatus{Version: foul}}},
	}, nil
}

func (loud) Evict(context.Context, string, int64, string) (*etcdstore.Holder, error) {
	return &etcdstore.Holder{Label: foul}, nil
}

func (loud) Problems(context.Context, string) ([]etcdstore.Problem, string, error) {
	return []etcdstore.Problem{{Key: foul, Why: foul}}, "", nil
}

func (loud) Watch(_ context.Context, _ string, send func(*etcdstore.News) error) error {
	return send(&etcdstore.News{Events: []etcdstore.Event{{Label: foul, Reason: foul}}})
}

// TestTextsThatLeave: whatever is stored, or was said, a client gets UTF-8 that no terminal acts
// upon, and its stream goes on.
func TestTextsThatLeave(t *testing.T) {
	_, conn := serve(t, loud{scripted{do: func(context.Context, string) error { return nil }}}, nil)
	check := func(what string, m proto.Message, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if p, ok := m.(*dlmv1.ListProblemsResponse); ok { // its keys are bytes
			if got := string(p.GetProblems()[0].GetKey()); got != foul {
				t.Errorf("%s: key %q", what, got)
			}
		}
		said, err := protojson.Marshal(m)
		if err != nil || !text.Plain(string(said)) {
			t.Errorf("%s answered %q, %v", what, said, err)
		}
		if !strings.Contains(string(said), "u202e") {
			t.Errorf("%s answered %q; want all of the text, escaped", what, said)
		}
	}
	for by, client := range map[string]dlmv1.LockServiceClient{
		"unary": dlmv1.NewLockServiceClient(conn), "mux": dlmv1.NewLockServiceClient(openMux(t, conn)),
	} {
		ctx := storetest.Bounded(t)
		inspected, err := client.Inspect(ctx, &dlmv1.InspectRequest{Lock: "a"})
		check(by+" Inspect", inspected, err)
		cluster, err := client.InspectCluster(ctx, &dlmv1.InspectClusterRequest{})
		check(by+" InspectCluster", cluster, err)
		evicted, err := client.Evict(ctx, &dlmv1.EvictRequest{Lock: "a"})
		check(by+" Evict", evicted, err)
		problems, err := client.ListProblems(ctx, &dlmv1.ListProblemsRequest{})
		check(by+" ListProblems", problems, err)
		_, err = client.List(ctx, &dlmv1.ListRequest{})
		if reasonOf(err) != "MALFORMED" || !text.Plain(err.Error()) || !strings.Contains(err.Error(), "u202e") {
			t.Errorf("%s List: %q; want MALFORMED, and all of the text, escaped", by, err)
		}
	}
	stream, err := dlmv1.NewLockServiceClient(conn).Watch(storetest.Bounded(t), &dlmv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := stream.Recv()
	check("Watch", events, err)
}

// TestProblems: what is malformed is listed and removed, and nothing else.
func TestProblems(t *testing.T) {
	node := facadetest.Start(t)
	for by, client := range map[string]dlmv1.LockServiceClient{
		"unary": dlmv1.NewLockServiceClient(node.Dial(0)), "mux": dlmv1.NewLockServiceClient(openMux(t, node.Dial(0))),
	} {
		ctx := storetest.Bounded(t)
		key := "/dlm/commits/" + by + "//\xff"
		put, err := node.Etcd().Put(ctx, key, "x")
		if err != nil {
			t.Fatal(err)
		}
		list := func() []*dlmv1.Problem {
			t.Helper()
			resp, err := client.ListProblems(ctx, &dlmv1.ListProblemsRequest{})
			if err != nil || resp.GetNextPageToken() != "" {
				t.Fatalf("ListProblems = %v, %v; want one page", resp, err)
			}
			return resp.GetProblems()
		}
		found := list()
		if len(found) != 1 || string(found[0].GetKey()) != key || found[0].GetName() != "/dlm/commits/"+by+`//\xff` || found[0].GetKind() != "marker" ||
			found[0].GetLock() != by || found[0].GetWhy() == "" || found[0].GetRevision() != put.Header.Revision {
			t.Fatalf("problems %v; want the marker", found)
		}
		for i, want := range []bool{true, false} {
			resp, err := client.Repair(ctx, &dlmv1.RepairRequest{Key: found[0].GetKey(), Revision: found[0].GetRevision()})
			if err != nil || resp.GetRemoved() != want {
				t.Errorf("%d: Repair = %v, %v; want %t", i, resp, err, want)
			}
		}
		if found := list(); len(found) != 0 {
			t.Errorf("afterwards there are problems %v", found)
		}
		if _, err := client.Repair(ctx, &dlmv1.RepairRequest{Key: []byte("/dlm/cluster/meta"), Revision: 1}); reasonOf(err) != "INVALID_ARGUMENT" {
			t.Errorf("Repair of the meta: %v", err)
		}
		if _, err := client.ListProblems(ctx, &dlmv1.ListProblemsRequest{PageToken: "x"}); reasonOf(err) != "INVALID_ARGUMENT" {
			t.Errorf("ListProblems of a bad page: %v", err)
		}
	}
}
