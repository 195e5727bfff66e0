package coursework_test

import (
	"fmt"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// Late duplicates of an earlier hold change nothing, whoever holds the lock by then.
func TestLateDuplicates(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]func(n int) string{
		"counted": func(n int) string { return fmt.Sprintf("1-%d", n) },
		"opaque":  func(n int) string { return fmt.Sprintf("call number %d", 100-n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := facadetest.Start(t, facadetest.WithCoursework(long, long))
			c, other := join(t, node, 0), join(t, node, 0)
			first := c.acquires(id(1), success)
			c.appends(id(2), "file_0", "a", success)
			c.appends(id(2), "file_0", "a", success)
			c.releases(id(3), success)
			late := func() {
				t.Helper()
				if version := c.acquires(id(1), success); version != first {
					t.Errorf("a late duplicate of the first acquire has version %d, want %d", version, first)
				}
				resp, err := c.api.FileAppend(storetest.Bounded(t), appendArgs(c, id(2), "file_0", "a"))
				if err != nil {
					t.Errorf("a late append: %v, %v", resp, err)
				}
				c.releases(id(3), success)
			}

			late()
			c.sees(0)
			if version := c.acquires(id(4), success); version <= first {
				t.Errorf("version %d after %d", version, first)
			}
			late()
			c.sees(c.id)
			c.appends(id(5), "file_0", "b", success)
			late()
			c.sees(c.id)
			c.releases(id(6), success)

			other.acquires("2-1", success)
			late()
			c.sees(other.id)
			other.appends("2-2", "file_0", "c", success)
			late()
			if n := lock(t, node).GetQueueLength(); n != 0 {
				t.Errorf("a late duplicate waits: %d", n)
			}
			granted := c.waits(id(7))
			queued(t, node, 1)
			late()
			queued(t, node, 1)
			other.releases("2-3", success)
			receive(t, granted)
			late()
			c.releases(id(8), success)
			late()
			c.sees(0)
			reads(t, node, "file_0", "abc")
		})
	}
}

// What is too long ago to be remembered is told by its counter.
func TestForgottenDuplicates(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	n := 0
	next := func() string {
		n++
		return fmt.Sprintf("1-%d", n)
	}
	acquired := next()
	c.acquires(acquired, success)
	early := next()
	want := "a"
	c.appends(early, "file_0", "a", success)
	for range 130 {
		want += "b"
		c.appends(next(), "file_0", "b", success)
	}
	c.appends(early, "file_0", "a", success) // in the same hold, it is still known
	released := next()
	c.releases(released, success)
	c.acquires(acquired, timeout)
	c.sees(0)

	c.acquires(next(), success)
	for range 130 {
		want += "c"
		c.appends(next(), "file_0", "c", success)
	}
	c.acquires(acquired, timeout)
	c.appends(early, "file_0", "a", timeout)
	c.releases(released, file)
	c.sees(c.id)
	c.releases(next(), success)
	reads(t, node, "file_0", want)
}

// An append's id is drawn before that of the acquire which it needs.
func TestAppendDrawnBeforeItsAcquire(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	c.acquires("1-2", success)
	c.appends("1-1", "file_0", "a", success)
	c.appends("1-3", "file_0", "b", success)
	c.releases("1-4", success)
	c.acquires("1-6", success)
	c.appends("1-5", "file_0", "c", success)
	c.appends("1-5", "file_0", "c", success)
	c.appends("1-4", "file_0", "a release's id", file)
	c.releases("1-8", success)
	c.acquires("1-10", success)
	c.appends("1-7", "file_0", "older than that", timeout)
	c.releases("1-11", success)
	reads(t, node, "file_0", "abc")
}

// An acquire by the holder is an answer, not another hold.
func TestHolderAcquires(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c, other := join(t, node, 0), join(t, node, 0)
	first := c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	for range 2 {
		if version := c.acquires("1-3", success); version != first {
			t.Errorf("version %d, want %d", version, first)
		}
	}
	c.appends("1-4", "file_0", "b", success)
	granted := other.waits("2-1")
	queued(t, node, 1)
	c.releases("1-5", success)
	receive(t, granted)
	c.acquires("1-3", success) // a late duplicate
	c.appends("1-6", "file_0", "x", timeout)
	other.releases("2-2", success)
	c.sees(0)
	reads(t, node, "file_0", "ab")
}
