package coursework_test

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// Calls without an id are calls of their own, each of them.
func TestCallsWithoutID(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithCoursework(long, long))
	c, other := join(t, node, 0), join(t, node, 0)
	c.releases("", file)
	c.appends("", "file_0", "without the lock", timeout)
	first := c.acquires("", success)
	if again := c.acquires("", success); again != first {
		t.Errorf("version %d, want %d", again, first)
	}
	c.appends("", "file_0", "a", success)
	c.appends("", "file_0", "a", success)
	other.abandons(node, "", 1)
	other.abandons(node, "", 1)
	granted, again := other.waits(""), other.at(node, 1).waits("")
	queued(t, node, 1)
	c.releases("", success)
	c.releases("", file)
	if one, two := receive(t, granted), receive(t, again); one != two || one <= first {
		t.Errorf("versions %d and %d after %d", one, two, first)
	}
	other.appends("", "file_0", "b", success)
	other.appends("2-1", "file_0", "c", success)
	other.alone(node, "")
	if next := c.acquires("", success); next <= first {
		t.Errorf("version %d after %d", next, first)
	}
	c.alone(node, "")
	reads(t, node, "file_0", "aabc")
}
