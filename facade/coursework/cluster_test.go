package coursework_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// at is the same client at another facade.
func (c client) at(node *facadetest.Node, facade int) client {
	c.api = pb.NewLockServiceClient(node.Dial(facade))
	return c
}

// A restart keeps ids, holds, places in the queue, and what repeats are told by.
func TestRestart(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c, other := join(t, node, 0), join(t, node, 0)
	c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	c.releases("1-3", success)
	version := c.acquires("1-4", success)
	c.appends("1-5", "file_0", "b", success)
	granted := make(chan *pb.Response, 1)
	ctx := storetest.Bounded(t)
	go func() { // as clients do, until it is answered
		for {
			resp, err := other.api.LockAcquire(ctx, acquireArgs(other, "2-1"))
			if err == nil || ctx.Err() != nil {
				granted <- resp
				return
			}
		}
	}()
	queued(t, node, 1)
	node.Restart()
	storetest.Eventually(t, "a Ping", func() bool {
		_, err := c.api.Ping(t.Context(), &pb.Empty{})
		return err == nil
	})

	if newcomer := join(t, node, 0); newcomer.id <= other.id {
		t.Errorf("id %d was given again", newcomer.id)
	}
	c.sees(c.id)
	c.beats(success)
	if again := c.acquires("1-4", success); again != version {
		t.Errorf("version %d, was %d", again, version)
	}
	c.releases("1-3", success) // late, all of them
	c.acquires("1-1", success)
	c.sees(c.id)
	c.appends("1-5", "file_0", "b", success)
	c.appends("1-6", "file_0", "c", success)
	queued(t, node, 1)
	c.releases("1-7", success)
	if resp := <-granted; resp.GetStatus() != success || resp.GetVersion() <= version {
		t.Errorf("the waiter was answered %v", resp)
	}
	other.appends("2-2", "file_0", "d", success)
	other.releases("2-3", success)
	reads(t, node, "file_0", "abcd")
}

// Any server serves any client, and knows what was answered elsewhere.
func TestAnyServer(t *testing.T) {
	t.Parallel()
	const facades = 3
	node := facadetest.Start(t, facadetest.WithFacades(facades), facadetest.WithCoursework(long, long))
	c, other := join(t, node, 0), join(t, node, 1)
	var want strings.Builder
	n := 0
	next := func() (client, string) {
		n++
		return c.at(node, n%facades), fmt.Sprintf("1-%d", n)
	}
	for i := range 4 {
		at, acquired := next()
		version := at.acquires(acquired, success)
		granted := other.at(node, i%facades).waits(fmt.Sprintf("2-%d", 2*i+1))
		queued(t, node, 1)
		at, appended := next()
		at.appends(appended, "file_0", "a", success)
		for f := range facades {
			c.at(node, f).sees(c.id)
			c.at(node, f).appends(appended, "file_0", "a", success)
			if again := c.at(node, f).acquires(acquired, success); again != version {
				t.Errorf("version %d, was %d", again, version)
			}
		}
		at, released := next()
		at.releases(released, success)
		receive(t, granted)
		for f := range facades {
			c.at(node, f).releases(released, success)
			c.at(node, f).acquires(acquired, success)
			c.at(node, f).sees(other.id)
		}
		other.at(node, (i+1)%facades).releases(fmt.Sprintf("2-%d", 2*i+2), success)
		want.WriteString("a")
	}
	reads(t, node, "file_0", want.String())
}

func TestHolder(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	c.sees(0)
	c.acquires("1-1", success)
	c.sees(c.id)
	join(t, node, 0).sees(c.id)
	client{t: t, api: c.api, id: 0}.sees(c.id) // nobody asks
	c.releases("1-2", success)
	c.sees(0)

	api := dlmv1.NewLockServiceClient(node.Dial(0))
	session, err := api.Init(t.Context(), &dlmv1.InitRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{"1", "c1.5.0", "c9.1.0"} { // the names of this API's own requests among them
		grant, err := api.Acquire(t.Context(), &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: "default", Request: request})
		if err != nil {
			t.Fatal(err)
		}
		c.sees(-1)
		c.appends("x"+request, "file_0", "another's lock", timeout)
		c.releases("y"+request, file)
		if _, err := api.Release(t.Context(), &dlmv1.ReleaseRequest{
			Session: session.GetSession(), Lock: "default", Token: grant.GetToken(),
		}); err != nil {
			t.Fatal(err)
		}
	}
	c.sees(0)
	reads(t, node, "file_0", "")
}

// Clients that ask at once are served in the order of the queue.
func TestManyClientsInOrder(t *testing.T) {
	t.Parallel()
	const clients = 200
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	first := join(t, node, 0)
	first.acquires("1-1", success)
	conns := make([]pb.LockServiceClient, 10)
	for i := range conns {
		conns[i] = pb.NewLockServiceClient(node.Dial(0))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var running sync.WaitGroup
	for i := range clients {
		api := conns[i%len(conns)]
		running.Go(func() {
			id, err := api.ClientInit(ctx, &pb.Int{})
			c := client{t: t, api: api, id: id.GetRc()}
			name := func(n int) string { return fmt.Sprintf("%d-%d", c.id, n) }
			var acquired, appended, released *pb.Response
			if err == nil {
				acquired, err = api.LockAcquire(ctx, acquireArgs(c, name(1)))
			}
			if err == nil {
				appended, err = api.FileAppend(ctx, appendArgs(c, name(2), "file_0", fmt.Sprintf("coursework client %d\n", c.id)))
			}
			if err == nil {
				released, err = api.LockRelease(ctx, acquireArgs(c, name(3)))
			}
			if s := cmp.Or(acquired.GetStatus(), appended.GetStatus(), released.GetStatus()); err != nil || s != success {
				t.Errorf("client %d: %v, %v, %v, %v", c.id, acquired, appended, released, err)
			}
		})
	}
	queued(t, node, clients)
	var want strings.Builder
	for _, w := range lock(t, node).GetWaiters() {
		want.WriteString(w.GetLabel() + "\n")
	}
	first.releases("1-2", success)
	running.Wait()
	reads(t, node, "file_0", want.String())
}
