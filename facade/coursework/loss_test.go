package coursework_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// waitsFor waits until a client holds the lock, 0: nobody. Whoever asks is kept alive by asking.
func (c client) waitsFor(holder int32) {
	c.t.Helper()
	storetest.Eventually(c.t, fmt.Sprint("holder ", holder), func() bool {
		resp, err := c.api.GetCurrentLockHolder(c.t.Context(), holderArgs(c))
		return err == nil && resp.GetCurrentLockHolder().GetClientId() == holder
	})
}

// A hold is lost when its client is silent for the TTL. What it appended is undone, and it may
// begin anew.
func TestSilentHolder(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(minTTL, long))
	c, other := join(t, node, 0), join(t, node, 0)
	first := c.acquires("1-1", success)
	c.appends("1-2", "file_0", "lost", success)
	other.waitsFor(0)
	c.beats(timeout)
	c.beats(timeout)
	c.appends("1-3", "file_0", "late", timeout)
	c.beats(success) // it knows
	c.acquires("1-1", success)
	c.sees(0) // that was a late duplicate
	if version := c.acquires("1-4", success); version <= first {
		t.Errorf("version %d after %d", version, first)
	}
	c.beats(success)
	c.appends("1-3", "file_0", "late", timeout)
	c.appends("1-2", "file_0", "lost", timeout)
	c.appends("1-5", "file_0", "a", success)
	c.releases("1-6", success)
	c.beats(success)
	reads(t, node, "file_0", "a")
}

// A release after the loss says so, and later ones that nothing is held.
func TestReleaseAfterLoss(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(minTTL, long))
	c, other := join(t, node, 0), join(t, node, 0)
	c.acquires("1-1", success)
	c.appends("1-2", "file_0", "lost", success)
	other.waitsFor(0)
	other.acquires("2-1", success)
	c.releases("1-3", timeout)
	c.releases("1-3", timeout)
	c.beats(success)
	c.releases("1-4", file)
	other.sees(other.id)
	other.releases("2-2", success)
	reads(t, node, "file_0", "")
}

// A client whose grant was lost before it learned of it gets another by its repeat.
func TestGrantLostUnanswered(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(minTTL, long))
	c, other := join(t, node, 0), join(t, node, 0)
	first := c.acquires("1-1", success)
	other.waitsFor(0)
	if version := c.acquires("1-1", success); version <= first {
		t.Errorf("version %d after %d", version, first)
	}
	c.sees(c.id)
	c.appends("1-2", "file_0", "a", success)
	c.releases("1-3", success)
	reads(t, node, "file_0", "a")
}

// A blocked acquire keeps its client alive, without heartbeats, for longer than the TTL; so does
// asking who holds.
func TestEveryCallKeepsAlive(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(minTTL, long))
	holder, waiter := join(t, node, 0), join(t, node, 0)
	holder.acquires("1-1", success)
	holder.appends("1-2", "file_0", "a", success)
	granted := waiter.waits("2-1")
	queued(t, node, 1)
	place := lock(t, node).GetWaiters()[0]
	until := time.Now().Add(2 * minTTL)
	storetest.Eventually(t, "twice the TTL to pass", func() bool {
		holder.sees(holder.id)
		return time.Now().After(until)
	})
	waiter.beats(success)
	if got := lock(t, node).GetWaiters(); len(got) != 1 || got[0].GetSession() != place.GetSession() {
		t.Errorf("waiting: %v, want %v", got, place)
	}
	holder.releases("1-3", success)
	receive(t, granted)
	reads(t, node, "file_0", "a")
}

// A holder that sends heartbeats and never finishes is evicted, and told so.
func TestHoldDeadline(t *testing.T) {
	t.Parallel()
	const hold = 1500 * time.Millisecond
	node := facadetest.Start(t, facadetest.WithCoursework(long, hold))
	c, other := join(t, node, 0), join(t, node, 0)
	began := time.Now()
	c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	granted := other.waits("2-1")
	var beat int
	for held := true; held; beat++ {
		select {
		case <-granted:
			held = false
		case <-time.After(hold / 10):
			if _, err := c.api.Heartbeat(storetest.Bounded(c.t), heartbeatArgs(c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if took := time.Since(began); took < hold || took > hold+10*time.Second {
		t.Errorf("evicted after %v, want %v", took, hold)
	}
	c.beats(timeout)
	c.appends("1-3", "file_0", "b", timeout)
	c.releases("1-4", timeout)
	c.beats(success)
	other.appends("2-2", "file_0", "c", success)
	other.releases("2-3", success)
	c.acquires("1-5", success)
	c.releases("1-6", success)
	reads(t, node, "file_0", "c")
}
