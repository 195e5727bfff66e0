package client_test

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

func TestProblemsAndRepair(t *testing.T) {
	n := facadetest.Start(t)
	c := open(t, client.Config{Endpoints: n.Addrs()})
	if _, err := n.Etcd().Put(t.Context(), "/dlm/files/a//f", "\xff"); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "a", "f", []byte("x"))
	_, err := c.Read(t.Context(), "a", "f")
	is(t, err, client.ErrMalformed)
	found, err := c.Problems(t.Context())
	must(t, err)
	if len(found.Keys) != 1 || found.Keys[0].GetKind() != "head" || found.Keys[0].GetLoses() == "" || found.Panics != 0 {
		t.Fatalf("problems %+v; want the head", found)
	}
	for i, want := range []bool{true, false} {
		removed, err := c.Repair(t.Context(), found.Keys[0])
		must(t, err)
		if removed != want {
			t.Errorf("%d: removed %t", i, removed)
		}
	}
	reads(t, c, "a", "f", "x")
	_, err = c.Repair(t.Context(), &client.Problem{Key: []byte("/dlm/cluster/meta"), Revision: 1})
	is(t, err, client.ErrInvalidArgument)
}
