package etcdstore_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestNumbersAreGivenOnce: also where an older server keeps the highest one under a key of its own,
// among those that every server watches, or may begin to. A new cluster has no such key, and what
// somebody puts there counts for nothing but not to fall behind it.
func TestNumbersAreGivenOnce(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"new": false, "beside an older server": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			if before {
				if _, err := etcd.Put(storetest.Bounded(t), "/dlm/horizon", "0"); err != nil {
					t.Fatal(err)
				}
			}
			numbersAreGivenOnce(t, etcd, before)
		})
	}
}

func numbersAreGivenOnce(t *testing.T, etcd *clientv3.Client, before bool) {
	a, b := openStore(t, etcd), openStore(t, etcd)
	put := func(key, value string) {
		t.Helper()
		if _, err := etcd.Put(storetest.Bounded(t), "/dlm/"+key, value); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
	value := func(key string) string {
		t.Helper()
		resp, err := etcd.Get(storetest.Bounded(t), "/dlm/"+key)
		if err != nil {
			t.Fatalf("get %s: %v", key, err)
		}
		if len(resp.Kvs) == 0 {
			return "none"
		}
		return string(resp.Kvs[0].Value)
	}
	number := func(want int32, highest, before string) {
		t.Helper()
		c, err := a.NewClient(storetest.Bounded(t), []byte("record"))
		if err != nil || c.ID != want {
			t.Fatalf("NewClient = %d, %v; want %d", c.ID, err, want)
		}
		a, b = b, a
		if got := value("cluster/numbered"); got != highest {
			t.Errorf("the highest number is %s; want %s", got, highest)
		}
		if got := value("numbered"); got != before {
			t.Errorf("in the place of before it is %s; want %s", got, before)
		}
	}
	both := func(beside, alone string) string {
		if before {
			return beside
		}
		return alone
	}
	number(1, "1", both("1", "none"))
	number(2, "2", both("2", "none"))
	put("clients/00000003", "somebody's")
	number(4, "4", both("4", "none"))

	put("numbered", "7") // as an older server has it, which goes on
	number(8, "8", both("8", "7"))
	put("numbered", "9")
	put("clients/00000009", "numbered by it")
	number(10, "10", both("10", "9"))
	for id, want := range map[string]string{"00000003": "somebody's", "00000009": "numbered by it", "0000000a": "record"} {
		if got := value("clients/" + id); got != want {
			t.Errorf("client %s is %q; want %q", id, got, want)
		}
	}
	for _, broken := range []string{"x", "-1", "+5", "05", ""} {
		put("numbered", broken)
		if c, err := a.NewClient(storetest.Bounded(t), nil); err == nil {
			t.Errorf("with %q for the highest number NewClient = %d; want an error", broken, c.ID)
		}
	}
}
