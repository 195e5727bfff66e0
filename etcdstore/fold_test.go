package etcdstore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestFoldOfSeveralStepsIsOfOneSection: what a fold puts before its last step depends on what it
// folds. Another store that takes up what was broken off there must come to the same, so that
// several sections are folded in one step, or one by one.
func TestFoldOfSeveralStepsIsOfOneSection(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	release := s.HoldFolds(t, "l")
	c := begin(t, s)
	section := func(text string, records int) int64 {
		h := c.Acquire("l")
		for range records {
			c.Append(h, "f", strings.Repeat(text, 100_000))
		}
		c.Release(h)
		return h.Token
	}
	first, second, third, fourth := section("1", 6), section("2", 6), section("3", 1), section("4", 1)
	for _, step := range []struct {
		fold []int64
		want int64
		left []int64
	}{
		{[]int64{first, second, third}, first, []int64{second, third, fourth}}, // too much for a step
		{[]int64{second}, second, []int64{third, fourth}},
		{[]int64{third, fourth}, fourth, nil},
	} {
		through, err := s.FoldTogether(storetest.Bounded(t), "l", step.fold...)
		if err != nil || through != step.want {
			t.Fatalf("folding %d is through at %d, %v; want %d", step.fold, through, err, step.want)
		}
		var left []string
		for _, token := range step.left {
			left = append(left, "commits/l//"+hex16(token))
		}
		if got := keys(t, etcd, "commits/"); !slices.Equal(got, left) {
			t.Errorf("after folding %d there is left %q; want %q", step.fold, got, left)
		}
	}
	release()
	want := strings.Repeat("1", 600_000) + strings.Repeat("2", 600_000) + strings.Repeat("3", 100_000) + strings.Repeat("4", 100_000)
	if got := storetest.Contents(t, s, "l", "f"); got != want {
		t.Errorf("the file has %d bytes, not as they were appended", len(got))
	}
}

// TestFoldOfMoreFilesThanABound: each store counts a section's files by itself, so that a client
// that goes back and forth between two has more of them. All are published nevertheless, or nobody
// could read the lock's files any more.
func TestFoldOfMoreFilesThanABound(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	first, second := openStore(t, etcd), openStore(t, etcd)
	c := begin(t, first)
	var want []string
	for round := range 2 {
		h := c.Acquire("l")
		appends := func(s storetest.Subject, n int) {
			for range n {
				file := fmt.Sprintf("f%03d", len(want))
				c.Via(s).Append(h, file, "x")
				want = append(want, file)
			}
		}
		c.Append(h, "again", fmt.Sprint(round))
		appends(second, etcdstore.MaxSectionFiles-1)
		appends(first, etcdstore.MaxSectionFiles-1)
		c.Release(h)
	}
	for _, s := range []storetest.Subject{second, first} {
		storetest.WantContents(t, s, "l", "again", "01")
		for _, file := range want {
			storetest.WantContents(t, s, "l", file, "x")
		}
	}
	gone(t, etcd, "commits/")
}
