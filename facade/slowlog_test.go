package facade_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// stuckLog is a log whose reader stands still at each line about a lock below one name.
type stuckLog struct {
	slog.Handler
	locks string
	stuck chan struct{} // one word for each line that is stuck
	free  chan struct{}
}

func (l stuckLog) Enabled(context.Context, slog.Level) bool { return true }

func (l stuckLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "lock" && strings.HasPrefix(a.Value.String(), l.locks) {
			l.stuck <- struct{}{}
			<-l.free
		}
		return true
	})
	return nil
}

// The line of one client's call does not stand in the way of another client's calls, whichever way
// either comes by.
func TestStuckLogStopsNobodyElse(t *testing.T) {
	log := stuckLog{slog.DiscardHandler, "stuck/", make(chan struct{}, 100), make(chan struct{})}
	node := facadetest.Start(t, facadetest.WithLogger(slog.New(log)))
	freed := false
	free := func() {
		if !freed {
			close(log.free)
			freed = true
		}
	}
	defer free() // else the node cannot stop
	byConn := func() map[string]grpc.ClientConnInterface {
		return map[string]grpc.ClientConnInterface{"unary": node.Dial(0), "mux": openMux(t, node.Dial(0))}
	}
	ctx := storetest.Bounded(t)
	session, err := byUnary(node.Dial(0)).Init(ctx, etcdstore.InitArgs{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 10)
	for by, conn := range byConn() {
		go func() {
			_, err := dlmv1.NewLockServiceClient(conn).Acquire(ctx, &dlmv1.AcquireRequest{
				Session: session.Credential, Lock: log.locks + by, Request: "1",
			})
			answered <- err
		}()
		wait(t, log.stuck, by+"'s line")
	}
	for by, conn := range byConn() {
		store := wire{conn: conn}
		other, err := store.Init(ctx, etcdstore.InitArgs{TTL: time.Minute})
		if err != nil {
			t.Fatalf("%s: init: %v", by, err)
		}
		grant, err := store.Acquire(ctx, etcdstore.AcquireArgs{
			Credential: other.Credential, Acquisition: etcdstore.Acquisition{Lock: by, Request: "1"},
		})
		if err != nil {
			t.Fatalf("%s: acquire: %v", by, err)
		}
		section := etcdstore.Section{Credential: other.Credential, Lock: by, Token: grant.Token}
		if err := store.Release(ctx, section); err != nil {
			t.Errorf("%s: release: %v", by, err)
		}
	}
	free()
	for range 2 {
		if err := wait(t, answered, "an answer"); err != nil {
			t.Errorf("the call whose line was stuck: %v", err)
		}
	}
}
