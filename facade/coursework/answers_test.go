package coursework_test

import (
	"fmt"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// A repeat has the answer of the first call, also when the section is folded, etcd's history is
// gone, and the server is another.
func TestOneAnswerWhenever(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithCoursework(minTTL, long))
	c, other := join(t, node, 0), join(t, node, 0)
	first := c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	c.appends("1-3", "file_1", "b", success)
	c.releases("1-4", success)
	empty := c.acquires("1-5", success)
	c.releases("1-6", success) // nothing was appended
	other.acquires("2-1", success)
	other.appends("2-2", "file_0", "lost", success)
	c.waitsFor(0)
	other.releases("2-3", timeout)

	repeats := func(when string) {
		t.Helper()
		for i, c := range []client{c.at(node, 0), c.at(node, 1)} {
			for id, want := range map[string]int64{"1-1": first, "1-5": empty} {
				if version := c.acquires(id, success); version != want {
					t.Errorf("%s, at server %d: %s has version %d, want %d", when, i, id, version, want)
				}
			}
			c.appends("1-2", "file_0", "a", success)
			c.appends("1-3", "file_1", "b", success)
			c.releases("1-4", success)
			c.releases("1-6", success)
			c.sees(0)
			other.at(node, i).appends("2-2", "file_0", "lost", timeout)
			other.at(node, i).releases("2-3", timeout)
		}
	}
	repeats("at once")
	reads(t, node, "file_0", "a") // and is folded
	reads(t, node, "file_1", "b")
	storetest.Eventually(t, "the sections to be folded", func() bool {
		resp, err := node.Etcd().Get(t.Context(), fmt.Sprintf("/dlm/commits/default//%016x", first))
		return err == nil && len(resp.Kvs) == 0
	})
	repeats("folded")
	now, err := node.Etcd().Get(t.Context(), "none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Etcd().Compact(t.Context(), now.Header.Revision); err != nil {
		t.Fatal(err)
	}
	repeats("without history")
	node.Restart()
	repeats("restarted")
	reads(t, node, "file_0", "a")
	reads(t, node, "file_1", "b")
}

// An append that comes for the first time after its hold was released is no part of it.
func TestAppendBehindItsRelease(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	c.releases("1-4", success)
	for range 2 {
		c.appends("1-3", "file_0", "b", timeout)
		reads(t, node, "file_0", "a")
	}
}
