package coursework_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

const (
	patience = 30 * time.Second // bounds everything that is waited for
	long     = time.Minute      // a TTL or hold deadline that no test reaches
	minTTL   = 2 * time.Second

	success = pb.Status_SUCCESS
	file    = pb.Status_FILE_ERROR
	timeout = pb.Status_TIMEOUT_ERROR
)

// client is one client, whose calls carry whatever ids a test chooses.
type client struct {
	t   *testing.T
	api pb.LockServiceClient
	id  int32
}

// join begins a client at a facade of a node.
func join(t *testing.T, node *facadetest.Node, facade int) client {
	t.Helper()
	c := client{t: t, api: pb.NewLockServiceClient(node.Dial(facade))}
	resp, err := c.api.ClientInit(t.Context(), &pb.Int{})
	if err != nil || resp.GetRc() <= 0 {
		t.Fatalf("client_init: %v, %v", resp, err)
	}
	c.id = resp.GetRc()
	return c
}

func (c client) check(call string, resp *pb.Response, err error, want pb.Status) *pb.Response {
	c.t.Helper()
	if err != nil || resp.GetStatus() != want {
		c.t.Fatalf("%s of client %d: %v, %v; want %v", call, c.id, resp, err, want)
	}
	return resp
}

// acquires returns the version.
func (c client) acquires(id string, want pb.Status) int64 {
	c.t.Helper()
	resp, err := c.api.LockAcquire(storetest.Bounded(c.t), &pb.LockArgs{ClientId: c.id, RequestId: id})
	return c.check("lock_acquire "+id, resp, err, want).GetVersion()
}

func (c client) releases(id string, want pb.Status) {
	c.t.Helper()
	resp, err := c.api.LockRelease(storetest.Bounded(c.t), &pb.LockArgs{ClientId: c.id, RequestId: id})
	c.check("lock_release "+id, resp, err, want)
}

func (c client) appends(id, name, text string, want pb.Status) {
	c.t.Helper()
	resp, err := c.api.FileAppend(storetest.Bounded(c.t), appendArgs(c, id, name, text))
	c.check("file_append "+id, resp, err, want)
}

func (c client) beats(want pb.Status) {
	c.t.Helper()
	resp, err := c.api.Heartbeat(storetest.Bounded(c.t), &pb.Heartbeat{ClientId: c.id})
	c.check("heartbeat", resp, err, want)
}

func (c client) sees(holder int32) {
	c.t.Helper()
	resp, err := c.api.GetCurrentLockHolder(storetest.Bounded(c.t), &pb.CurrentLockHolder{ClientId: c.id})
	c.check("getCurrent_lock_holder", resp, err, success)
	if got := resp.GetCurrentLockHolder().GetClientId(); got != holder {
		c.t.Fatalf("client %d sees holder %d, want %d", c.id, got, holder)
	}
}

func (c client) closes() {
	c.t.Helper()
	resp, err := c.api.ClientClose(storetest.Bounded(c.t), &pb.Int{Rc: c.id})
	if err != nil || resp.GetRc() != 0 {
		c.t.Fatalf("client_close: %v, %v", resp, err)
	}
}

// waits begins an acquire that blocks; its version is sent when it is granted.
func (c client) waits(id string) <-chan int64 {
	granted := make(chan int64, 1)
	ctx := storetest.Bounded(c.t)
	go func() {
		resp, err := c.api.LockAcquire(ctx, &pb.LockArgs{ClientId: c.id, RequestId: id})
		if err != nil || resp.GetStatus() != success {
			if status.Code(err) != codes.Canceled { // the test has ended
				c.t.Errorf("lock_acquire %s of client %d: %v, %v", id, c.id, resp, err)
			}
			granted <- 0
			return
		}
		granted <- resp.GetVersion()
	}()
	return granted
}

func receive(t *testing.T, granted <-chan int64) int64 {
	t.Helper()
	version := await.Receive(t, patience, "a grant", granted)
	if version == 0 {
		t.Fatal("not granted")
	}
	return version
}

// lock inspects the one lock; nil: nothing is known of it.
func lock(t *testing.T, node *facadetest.Node) *dlmv1.Lock {
	t.Helper()
	resp, err := dlmv1.NewLockServiceClient(node.Dial(0)).Inspect(t.Context(), &dlmv1.InspectRequest{Lock: "default"})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetLock()
}

// queued waits until so many wait.
func queued(t *testing.T, node *facadetest.Node, n int32) {
	t.Helper()
	storetest.Eventually(t, fmt.Sprint(n, " in the queue"), func() bool { return lock(t, node).GetQueueLength() == n })
}

// reads checks a file's published bytes.
func reads(t *testing.T, node *facadetest.Node, name, want string) {
	t.Helper()
	if got := contents(t, node, name); got != want {
		t.Errorf("%s has %q, want %q", name, got, want)
	}
}

// contents returns a file's published bytes.
func contents(t *testing.T, node *facadetest.Node, name string) string {
	t.Helper()
	resp, err := dlmv1.NewLockServiceClient(node.Dial(0)).Read(t.Context(), &dlmv1.ReadRequest{Lock: "default", File: name})
	if status.Code(err) == codes.NotFound {
		err = nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(resp.GetData())
}

func appendArgs(c client, id, name, text string) *pb.FileArgs {
	return &pb.FileArgs{ClientId: c.id, RequestId: id, Filename: name, Content: []byte(text)}
}

func acquireArgs(c client, id string) *pb.LockArgs {
	return &pb.LockArgs{ClientId: c.id, RequestId: id}
}

func heartbeatArgs(c client) *pb.Heartbeat { return &pb.Heartbeat{ClientId: c.id} }

func holderArgs(c client) *pb.CurrentLockHolder { return &pb.CurrentLockHolder{ClientId: c.id} }
