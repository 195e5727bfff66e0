package coursework_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// The id of one kind of call is refused in another, and nothing comes of it.
func TestIDOfAnotherKind(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]func(n int) string{
		"counted": func(n int) string { return fmt.Sprintf("1-%d", n) },
		"opaque":  func(n int) string { return fmt.Sprintf("call number %d", n) },
		"long":    func(n int) string { return strings.Repeat("é", 100) + fmt.Sprint(n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithCoursework(long, long))
			c, other := join(t, node, 0), join(t, node, 0)
			version := c.acquires(id(1), success)
			elsewhere := c.at(node, 1)
			elsewhere.appends(id(1), "file_0", "an acquire's id", file)
			elsewhere.releases(id(1), file)
			c.sees(c.id)
			c.appends(id(2), "file_0", "a", success)
			elsewhere.acquires(id(2), file)
			elsewhere.releases(id(2), file)
			c.sees(c.id)
			if again := c.acquires(id(1), success); again != version {
				t.Errorf("version %d, want %d", again, version)
			}
			c.releases(id(3), success)
			c.acquires(id(4), success)
			elsewhere.appends(id(3), "file_0", "a release's id", file)
			elsewhere.acquires(id(3), file)
			elsewhere.appends(id(1), "file_0", "an acquire's id, of an earlier hold", file)
			c.sees(c.id)
			c.releases(id(5), success)
			reads(t, node, "file_0", "a")

			other.acquires("2-1", success)
			granted := c.waits(id(6))
			queued(t, node, 1)
			elsewhere.appends(id(6), "file_0", "the id of an acquire that waits", file)
			elsewhere.releases(id(6), file)
			queued(t, node, 1)
			other.releases("2-2", success)
			receive(t, granted)
			c.releases(id(7), success)
			reads(t, node, "file_0", "a")
		})
	}
}

// ages makes a client's record one that a server has written which knew no kinds of calls, nor
// places, nor what became of a call.
func ages(t *testing.T, node *facadetest.Node, c client) {
	t.Helper()
	key := fmt.Sprintf("/dlm/clients/%08x", c.id)
	stored, err := node.Etcd().Get(t.Context(), key)
	if err != nil || len(stored.Kvs) != 1 {
		t.Fatalf("%s: %v, %v", key, stored, err)
	}
	var record map[string]any
	if err := json.Unmarshal(stored.Kvs[0].Value, &record); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"session": true, "held": true, "released": true, "missed": true, "wrote": true, "last": true, "era": true, "calls": true}
	for field := range record {
		if !known[field] {
			delete(record, field)
		}
	}
	calls, _ := record["calls"].([]any)
	for _, made := range calls {
		call := made.(map[string]any)
		for field := range call {
			if field != "id" && field != "token" && field != "acquire" && field != "wrote" {
				delete(call, field)
			}
		}
	}
	aged, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Etcd().Put(t.Context(), key, string(aged)); err != nil {
		t.Fatal(err)
	}
}

// Clients of a server of an earlier version go on at this one, in the middle of whatever it was.
func TestRecordOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c, other := join(t, node, 0), join(t, node, 0)
	version := c.acquires("1-1", success)
	c.appends("1-2", "file_0", "a", success)
	granted := other.waits("2-1")
	queued(t, node, 1)
	ages(t, node, c)
	ages(t, node, other)
	if again := c.acquires("1-1", success); again != version {
		t.Errorf("version %d, want %d", again, version)
	}
	c.appends("1-2", "file_0", "a", success)
	c.appends("1-1", "file_0", "an acquire's id", file)
	again := other.waits("2-1")
	c.appends("1-3", "file_0", "b", success)
	ages(t, node, c)
	queued(t, node, 1)
	c.releases("1-4", success)
	if one, two := receive(t, granted), receive(t, again); one != two {
		t.Errorf("versions %d and %d of one acquire", one, two)
	}
	ages(t, node, c)
	ages(t, node, other)
	c.releases("1-4", success)
	c.acquires("1-1", success)
	other.sees(other.id)
	c.appends("1-4", "file_0", "a release's id", file)
	other.appends("2-2", "file_0", "c", success)
	other.releases("2-3", success)
	reads(t, node, "file_0", "abc")
}
