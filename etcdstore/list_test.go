package etcdstore_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestListShowsWhatIsWaitedFor: a lock whose holder has just gone, and whose queue stands, is what
// somebody looks for who calls because nothing moves. The keys that nobody here made are passed
// over, however many there are.
func TestListShowsWhatIsWaitedFor(t *testing.T) {
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	put := func(key, value string) {
		t.Helper()
		if _, err := etcd.Put(storetest.Bounded(t), "/dlm/"+key, value); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
	for _, name := range []string{"l/a", "l/a-b", "l/c"} {
		put("waited/"+name, "")
		put("queue/"+name+"//0000000000000001.1", `{"label":"gone","since":1}`) // nobody can hand it on
	}
	put("waited/l/nobody", "")
	put("locks/", "not ours") // sorts before all names
	put("waited/", "not ours")
	c.Acquire("l/a")
	c.Acquire("l/b")
	for i := range 3 {
		put(fmt.Sprintf("locks/l/a//%d", i), "not ours")
		put(fmt.Sprintf("waited/l/ü%d", i), "not ours")
	}
	for _, limit := range []int{0, 1, 2, 3, 1000} {
		if page, next, err := s.List(storetest.Bounded(t), "", limit, ""); err != nil || len(page) == 0 && next == "" {
			t.Errorf("List of all in pages of %d = %d locks, %q, %v; want some, or more to come", limit, len(page), next, err)
		}
		var got []string
		for after := ""; ; {
			page, next, err := s.List(storetest.Bounded(t), "l/", limit, after)
			if err != nil || limit > 0 && len(page) > limit {
				t.Fatalf("List in pages of %d = %d locks, %v", limit, len(page), err)
			}
			for _, l := range page {
				got = append(got, fmt.Sprint(l.Name, " ", l.Holder != nil, " ", l.QueueLength))
			}
			if next == "" {
				break
			}
			after = next
		}
		if want := []string{"l/a true 1", "l/a-b false 1", "l/b true 0", "l/c false 1"}; !slices.Equal(got, want) {
			t.Errorf("List in pages of %d = %q; want %q", limit, got, want)
		}
	}
}
