package facade_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/sealed"
)

// received reads a snapshot to its end.
func received(t *testing.T, stream grpc.ServerStreamingClient[dlmv1.SnapshotResponse]) (first *dlmv1.SnapshotResponse, size int64, err error) {
	t.Helper()
	var check sealed.Check
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			_, err := check.Sum()
			return first, check.Size(), err
		case err != nil:
			return first, check.Size(), err
		case first == nil:
			first = m
		}
		_, _ = check.Write(m.GetData())
	}
}

// A server gives one snapshot at a time, whole, and one that is broken off is in nobody's way.
func TestSnapshot(t *testing.T) {
	node := facadetest.Start(t)
	api := dlmv1.NewLockServiceClient(node.Dial(0))
	ctx := storetest.Bounded(t)
	session, err := api.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(etcdstore.MaxTTL)})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: "l", Request: "1"})
	if err != nil {
		t.Fatal(err)
	}
	appended, err := api.Append(ctx, &dlmv1.AppendRequest{
		Session: session.GetSession(), Lock: "l", Token: grant.GetToken(), Request: "2", File: "f", Data: bytes.Repeat([]byte("x"), etcdstore.MaxRecord),
	})
	if err != nil {
		t.Fatal(err)
	}
	whole := func() {
		t.Helper()
		stream, err := api.Snapshot(ctx, &dlmv1.SnapshotRequest{})
		if err != nil {
			t.Fatal(err)
		}
		first, size, err := received(t, stream)
		if err != nil || size < etcdstore.MaxRecord || first.GetCluster() != session.GetCluster() || first.GetRevision() < appended.GetRevision() {
			t.Errorf("%v, %d bytes, %v", first, size, err)
		}
	}
	whole()
	leaving, leave := context.WithCancel(ctx)
	defer leave()
	slow, err := api.Snapshot(leaving, &dlmv1.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Recv(); err != nil { // and no more of it
		t.Fatal(err)
	}
	refused, err := api.Snapshot(ctx, &dlmv1.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := received(t, refused); reasonOf(err) != "LIMIT" {
		t.Errorf("beside another one: %v, want LIMIT", err)
	}
	// Locks go on meanwhile.
	if _, err := api.Release(ctx, &dlmv1.ReleaseRequest{Session: session.GetSession(), Lock: "l", Token: grant.GetToken(), Appended: true}); err != nil {
		t.Errorf("Release: %v", err)
	}
	leave()
	storetest.Eventually(t, "room for another snapshot", func() bool {
		stream, err := api.Snapshot(ctx, &dlmv1.SnapshotRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = received(t, stream)
		return err == nil
	})
	whole()
}
