package etcdstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// What is published while there is no room to fold it is readable all the same, at the same offsets
// as later.
func TestReadWithoutRoomToFold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	c, w := begin(t, s), begin(t, s)
	c.Publish("l", "f", "folded, ")
	c.Publish("other", "z", "folded")
	storetest.WantContents(t, s, "l", "f", "folded, ")
	storetest.WantContents(t, s, "other", "z", "folded")
	h := c.Acquire("l")
	c.Append(h, "f", "one, ")
	c.Append(h, "e", "new")
	c.Append(h, "f", "two")
	p := w.Queue("l")
	s.Status(func(st *clientv3.StatusResponse) { st.DbSize, st.DbSizeInUse = st.DbSizeQuota, st.DbSizeQuota })
	ctx := storetest.Bounded(t)
	storetest.Eventually(t, "new data to be refused", func() bool {
		_, err := s.Init(ctx, etcdstore.InitArgs{})
		return errors.Is(err, etcdstore.ErrNoSpace)
	})
	c.Release(h)
	token := p.Granted().Token

	files := func(lock string, limit int) (all []string) {
		t.Helper()
		for after := ""; ; {
			page, next, err := s.ListFiles(ctx, lock, limit, after)
			if err != nil || len(page) > limit {
				t.Fatalf("ListFiles = %d files, %v; want at most %d", len(page), err, limit)
			}
			for _, f := range page {
				all = append(all, fmt.Sprintf("%s/%s %d", f.Lock, f.Name, f.Size))
			}
			if after = next; after == "" {
				return all
			}
		}
	}
	check := func(when string) {
		t.Helper()
		for offset := range int64(len("folded, one, two") + 2) {
			for _, limit := range []int{1, 4, 100} {
				whole := "folded, one, two"
				from := min(int(offset), len(whole))
				want := whole[from:min(from+limit, len(whole))]
				got, err := s.Read(ctx, etcdstore.ReadArgs{Lock: "l", File: "f", Offset: offset, Limit: limit})
				if err != nil || string(got.Data) != want || got.Size != int64(len(whole)) || got.Token != h.Token {
					t.Fatalf("%s Read from %d, at most %d = %q of %d, token %d, %v; want %q", when, offset, limit, got.Data, got.Size, got.Token, err, want)
				}
			}
		}
		storetest.WantContents(t, s, "l", "e", "new")
		storetest.WantNoFile(t, s, "l", "g")
		for _, limit := range []int{1, 2, 100} {
			if got, want := files("", limit), []string{"l/e 3", "l/f 16", "other/z 6"}; !slices.Equal(got, want) {
				t.Errorf("%s, by pages of %d, all files are %q, want %q", when, limit, got, want)
			}
			if got, want := files("l", limit), []string{"l/e 3", "l/f 16"}; !slices.Equal(got, want) {
				t.Errorf("%s, by pages of %d, the files are %q, want %q", when, limit, got, want)
			}
		}
	}
	if len(keys(t, etcd, "commits/l//")) == 0 {
		t.Fatal("the section is folded: it is not what is tested here")
	}
	check("before folding")
	s.Status(func(*clientv3.StatusResponse) {})
	gone(t, etcd, "commits/")
	check("after folding")
	w.Release(w.Section("l", p.Args().Request, token))
}
