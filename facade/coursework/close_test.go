package coursework_test

import (
	"errors"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// The end of a client ends its hold and its wait.
func TestCloseOfHolderAndWaiter(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c, waiter, last := join(t, node, 0), join(t, node, 0), join(t, node, 0)
	c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	refused := make(chan error, 1)
	ctx := storetest.Bounded(t)
	go func() {
		resp, err := waiter.api.LockAcquire(ctx, acquireArgs(waiter, "2-1"))
		if err == nil && resp.GetStatus() != file {
			err = errors.New(resp.String())
		}
		refused <- err
	}()
	queued(t, node, 1)
	granted := last.waits("3-1")
	queued(t, node, 2)
	waiter.closes()
	if err := <-refused; err != nil {
		t.Errorf("the acquire of a client that was closed: %v", err)
	}
	queued(t, node, 1)
	c.closes()
	c.closes()
	receive(t, granted)
	c.acquires("1-1", file)
	c.beats(file)
	last.releases("3-2", success)
	last.sees(0)
	reads(t, node, "file_0", "")
}
