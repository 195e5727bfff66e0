package coursework_test

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// An id has a counter only in the one form that a number has. Others that look like it are ids of
// calls of their own.
func TestIDsThatLookCounted(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	c.acquires("1-0", success) // of a client that counts from 0
	c.appends("1-18446744073709551615", "file_0", "a", success)
	c.releases("1-1", success)
	first := c.acquires("1-2", success)
	c.appends("1-3", "file_0", "b", success)
	c.appends("1-03", "file_0", "c", success)
	c.releases("1-4", success)
	for _, id := range []string{"1-02", "1-002", "1-+2", "1- 2", "1-2 ", "1--2", "1-0x2", "1-2_0", "1-٢", "01-2", "1-99999999999999999999999"} {
		if version := c.acquires(id, success); version <= first {
			t.Errorf("%q was taken for a repeat: version %d", id, version)
		}
		c.releases("release of "+id, success)
	}
	c.acquires("1-5", success)
	c.releases("1-6", success)
	reads(t, node, "file_0", "abc")
}
