package coursework_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// abandons begins an acquire, and gives it up once it waits: its client does not listen any more,
// its place stays.
func (c client) abandons(node *facadetest.Node, id string, waiting int32) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(storetest.Bounded(c.t))
	over := make(chan error, 1)
	go func() {
		_, err := c.api.LockAcquire(ctx, acquireArgs(c, id))
		over <- err
	}()
	queued(c.t, node, waiting)
	c.joined(node, id)
	cancel()
	if err := await.Receive(c.t, patience, "the end of an acquire", over); err == nil {
		c.t.Fatalf("lock_acquire %s was answered", id)
	}
}

// joined waits until an acquire has the client's place. One without an id cannot be told.
func (c client) joined(node *facadetest.Node, id string) {
	c.t.Helper()
	storetest.Eventually(c.t, id+" to wait", func() bool {
		stored, err := node.Etcd().Get(c.t.Context(), fmt.Sprintf("/dlm/clients/%08x", c.id))
		return err == nil && len(stored.Kvs) == 1 && strings.Contains(string(stored.Kvs[0].Value), fmt.Sprintf("%q", id)) || id == ""
	})
}

// alone checks that a client has the lock for itself, and that nothing of it is left once it has
// released.
func (c client) alone(node *facadetest.Node, release string) {
	c.t.Helper()
	c.sees(c.id)
	queued(c.t, node, 0)
	c.releases(release, success)
	c.sees(0)
	queued(c.t, node, 0)
}

// A client that gave up an acquire and begins another has one place, at whichever server it asks.
func TestOnePlace(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithCoursework(long, long))
	holder, c, other := join(t, node, 0), join(t, node, 0), join(t, node, 0)
	holder.acquires("1-1", success)
	c.abandons(node, "2-1", 1)
	behind := other.waits("3-1")
	queued(t, node, 2)
	granted := c.at(node, 1).waits("2-2")
	c.joined(node, "2-2")
	c.at(node, 1).abandons(node, "2-3", 2)
	holder.releases("1-2", success)
	version := receive(t, granted) // it was there before the other one
	for _, id := range []string{"2-1", "2-2", "2-3", "2-4"} {
		if again := c.acquires(id, success); again != version {
			t.Errorf("%s: version %d, want %d", id, again, version)
		}
	}
	c.appends("2-5", "file_0", "c", success)
	c.releases("2-6", success)
	receive(t, behind)
	other.appends("3-2", "file_0", "o", success)
	other.alone(node, "3-3")
	for _, id := range []string{"2-1", "2-2", "2-3", "2-4"} { // late, all of them
		c.acquires(id, success)
	}
	c.sees(0)
	reads(t, node, "file_0", "co")
}

// The grant of an attempt that its client gave up is that of the next one.
func TestGrantOfAbandonedAcquire(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	holder, c := join(t, node, 0), join(t, node, 0)
	holder.acquires("1-1", success)
	c.abandons(node, "2-1", 1)
	c.abandons(node, "2-3", 1)
	holder.releases("1-2", success)
	c.waitsFor(c.id)
	c.releases("2-2", file) // from before 2-3, late: it is not the hold's
	c.sees(c.id)
	c.acquires("2-4", success)
	c.alone(node, "2-5")

	// And one that was not heard of is released by whoever releases.
	holder.acquires("1-3", success)
	c.abandons(node, "2-6", 1)
	c.releases("2-7", file) // it still waits
	queued(t, node, 1)
	holder.releases("1-4", success)
	c.waitsFor(c.id)
	c.releases("2-8", success)
	c.beats(success)
	c.acquires("2-6", success)
	c.sees(0)
	c.acquires("2-9", success)
	c.alone(node, "2-10")
}

// What comes first once its client has gone on takes no place of its own.
func TestLateFirstAcquire(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	holder, c := join(t, node, 0), join(t, node, 0)
	holder.acquires("1-1", success)
	granted := c.waits("2-2")
	queued(t, node, 1)
	late := c.waits("2-1")
	c.joined(node, "2-1")
	queued(t, node, 1)
	holder.releases("1-2", success)
	if one, two := receive(t, granted), receive(t, late); one != two {
		t.Errorf("versions %d and %d", one, two)
	}
	c.releases("2-3", success)
	c.acquires("2-1", success)
	c.sees(0)

	granted = c.waits("2-5")
	receive(t, granted)
	c.alone(node, "2-6")
	c.acquires("2-4", timeout)
	c.sees(0)
}

// Attempts that come at once, at several servers, under ids of either form, have one place and one
// grant.
func TestAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithCoursework(long, long))
	holder, c := join(t, node, 0), join(t, node, 0)
	for round := range 4 {
		acquired := holder.acquires(fmt.Sprintf("1-%d", 2*round+1), success)
		ids := []string{fmt.Sprintf("2-%d", 10*round+1), fmt.Sprintf("2-%d", 10*round+2), fmt.Sprint("x", round), fmt.Sprint("y", round)}
		var granted []<-chan int64
		for i, id := range ids {
			granted = append(granted, c.at(node, i%2).waits(id))
		}
		for _, id := range ids {
			c.joined(node, id)
		}
		queued(t, node, 1)
		holder.releases(fmt.Sprintf("1-%d", 2*round+2), success)
		version := receive(t, granted[0])
		for _, g := range granted[1:] {
			if again := receive(t, g); again != version || version <= acquired {
				t.Errorf("versions %d and %d after %d", version, again, acquired)
			}
		}
		c.alone(node, fmt.Sprintf("2-%d", 10*round+3))
		for _, id := range ids {
			c.acquires(id, success)
		}
		c.sees(0)
	}
}

// However many attempts a client gives up, they are one place, and what is remembered of them is
// bounded.
func TestManyAbandonedAcquires(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	holder, c := join(t, node, 0), join(t, node, 0)
	holder.acquires("1-1", success)
	for n := range 40 {
		c.abandons(node, fmt.Sprintf("2-%d", n+1), 1)
	}
	granted := c.waits("2-41")
	c.joined(node, "2-41")
	queued(t, node, 1)
	holder.releases("1-2", success)
	receive(t, granted)
	c.alone(node, "2-42")
	for n := range 41 {
		resp, err := c.api.LockAcquire(storetest.Bounded(t), acquireArgs(c, fmt.Sprintf("2-%d", n+1)))
		if err != nil || resp.GetStatus() != success && resp.GetStatus() != timeout {
			t.Errorf("a late duplicate: %v, %v", resp, err)
		}
	}
	c.sees(0)
}
