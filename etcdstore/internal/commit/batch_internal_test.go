package commit

import (
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// otherwise is a transaction that does all in its other branch.
func otherwise(t Txn) Txn {
	return Txn{If: []*pb.Compare{op.Present("none")}, Else: t.Then}
}

func remove(from, end string) Txn { return Txn{Then: []*pb.RequestOp{op.DeleteRange(from, end)}} }

func inside(t Txn) Txn { return Txn{Then: []*pb.RequestOp{t.Op()}} }

// What is asked for while a batch is on its way shares the next one, unless it may write a key in
// common.
func TestWhoSharesABatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		a, b  Txn
		share bool
	}{
		{"two keys", put("a"), put("b"), true},
		{"two keys, in the other branches", otherwise(put("a")), otherwise(put("b")), true},
		{"a key, and a compare of it", put("a"), Txn{If: []*pb.Compare{op.Absent("a")}, Then: put("b").Then}, true},
		{"a key, and a get of it", put("a"), Txn{Then: []*pb.RequestOp{op.Get("a")}}, true},
		{"two gets", Txn{Then: []*pb.RequestOp{op.Get("a")}}, Txn{Then: []*pb.RequestOp{op.Get("a")}}, true},
		{"a range, and the key before it", remove("b", "c"), put("a"), true},
		{"a range, and the key at its end", remove("b", "c"), put("c"), true},
		{"a range, and the one after it", remove("b", "c"), remove("c", "d"), true},
		{"a key that both touch", Txn{Then: put("a").Then, Touch: "t"}, Txn{Then: put("b").Then, Touch: "t"}, true},
		{"keys besides", Txn{Then: put("a").Then, Besides: "x"}, Txn{Then: put("b").Then, Besides: "y"}, true},

		{"one key", put("a"), put("a"), false},
		{"one of several keys", put("a", "b", "c"), put("d", "c"), false},
		{"a put, and a deletion", put("a"), remove("a", ""), false},
		{"deletions", remove("a", ""), remove("a", ""), false},
		{"the other branch of one", put("a"), otherwise(put("a")), false},
		{"the other branches", otherwise(put("a")), otherwise(put("a")), false},
		{"nested", inside(put("a")), put("a"), false},
		{"nested in the other branch", otherwise(inside(put("a"))), put("a"), false},
		{"the other branch of what is nested", inside(otherwise(put("a"))), put("a"), false},
		{"a range, and its first key", remove("b", "c"), put("b"), false},
		{"a range, and a key in it", remove("b", "c"), put("bx"), false},
		{"a range, and a key in it, in the other branch", remove("b", "c"), otherwise(put("bx")), false},
		{"ranges that overlap", remove("b", "d"), remove("c", "e"), false},
		{"a range in another", remove("b", "e"), remove("c", "d"), false},
		{"one range", remove("b", "c"), remove("b", "c"), false},
		{"a key besides", Txn{Then: put("a").Then, Besides: "x"}, put("x"), false},
		{"a key besides, and a range", Txn{Then: put("a").Then, Besides: "x"}, remove("w", "y"), false},
		{"one key besides", Txn{Then: put("a").Then, Besides: "x"}, Txn{Then: put("b").Then, Besides: "x"}, false},
	} {
		for order, txns := range map[string][]Txn{"": {test.a, test.b}, ", the other way round": {test.b, test.a}} {
			t.Run(test.name+order, func(t *testing.T) {
				t.Parallel()
				withRig(t, func(r *rig) {
					all, calls := r.together(txns...)
					first, second := all[0], all[1]
					if first.err != nil || second.err != nil {
						r.Fatalf("got %v and %v", first.err, second.err)
					}
					if got := len(calls) == 1; got != test.share {
						r.Errorf("etcd was called %d times; want them to share a batch: %t", len(calls), test.share)
					}
					if !test.share && first.resp.Header.Revision > second.resp.Header.Revision {
						r.Error("the second overtook the first")
					}
				})
			})
		}
	}
}

// What has to wait for another one does not hold up the rest, and comes in the order in which it
// was asked for.
func TestOrderOfArrival(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		var txns []Txn
		for i := range 5 {
			txns = append(txns, Txn{Then: []*pb.RequestOp{op.Put("k", fmt.Sprint(i))}}, put(fmt.Sprint("own", i)))
		}
		all, calls := r.together(txns...)
		r.succeeded(all...)
		r.called(calls, 5)
		first := all[0].resp.Header.Revision
		for i, call := range calls {
			at := i * 2
			if rev := all[at].resp.Header.Revision; rev != first+int64(i) {
				r.Errorf("put %d of the key has revision %d, the first one %d", i, rev, first)
			}
			if n := putsOf(call, "k"); n != 1 {
				r.Errorf("batch %d puts the key %d times", i, n)
			}
			if own := all[at+1].resp.Header.Revision; own != first {
				r.Errorf("what is in nobody's way has revision %d; want that of the first batch, %d", own, first)
			}
		}
		if got := r.etcd.get("k"); string(got.Value) != "4" || got.Version != 5 {
			r.Errorf("in the end there is %s, of version %d; want the last of 5", got.Value, got.Version)
		}
	})
}

// What arrives while a batch is on its way does not wait for what was put back before it.
func TestBatchesFollow(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		first := r.ask(put("k"), put("k"))
		next := r.hold()
		free()
		r.settle()
		later := r.ask(put("k"), put("other"))
		next()
		calls := r.settle()
		all := append(first, later...)
		r.succeeded(all...)
		r.called(calls, 2) // and the one that was held, before
		if second, third := first[1].resp.Header.Revision, later[0].resp.Header.Revision; second >= third {
			r.Errorf("what was put back has revision %d, what came later %d", second, third)
		}
		if a, b := first[1].resp.Header.Revision, later[1].resp.Header.Revision; a != b {
			r.Errorf("the two that have no key in common have revisions %d and %d; want one batch", a, b)
		}
	})
}

// A key that many touch is put once for all of them.
func TestTouch(t *testing.T) {
	t.Parallel()
	touching := func(t Txn, keys ...string) Txn {
		t.Touch = keys[0]
		return t
	}
	for name, test := range map[string]struct {
		txns    []Txn
		touched []string
		fail    int // how many do not hold
	}{
		"one":               {[]Txn{touching(put("a"), "t")}, []string{"t"}, 0},
		"a pack":            {[]Txn{touching(put("a"), "t"), touching(put("b"), "t"), put("c")}, []string{"t"}, 0},
		"two keys":          {[]Txn{touching(put("a"), "t"), touching(put("b"), "u"), touching(put("c"), "t")}, []string{"t", "u"}, 0},
		"other branches":    {[]Txn{touching(otherwise(put("a")), "t"), touching(otherwise(put("b")), "t")}, []string{"t"}, 2},
		"one other branch":  {[]Txn{touching(otherwise(put("a")), "t")}, []string{"t"}, 1},
		"a pack that fails": {[]Txn{touching(unheld("a"), "t"), touching(put("b"), "t")}, []string{"t"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				all, calls := r.together(test.txns...)
				r.failed(all[:test.fail]...)
				r.succeeded(all[test.fail:]...)
				last := calls[len(calls)-1]
				for _, key := range test.touched {
					kv := r.etcd.get(key)
					if kv == nil || kv.ModRevision != all[0].resp.Header.Revision || kv.Version != 1 {
						r.Errorf("%s is %v; want it put once, with what touches it", key, kv)
					}
					if n := putsOf(last, key); n != 1 {
						r.Errorf("%s is put %d times in one batch; want once", key, n)
					}
				}
			})
		})
	}
}

// By itself, what does not hold puts nothing.
func TestTouchesNothing(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		t := unheld("a")
		t.Touch = "t"
		all, calls := r.together(t)
		r.failed(all...)
		r.called(calls, 1)
		if kv := r.etcd.get("t"); kv != nil {
			r.Errorf("got %v; want nothing", kv)
		}
	})
}

// unheld is a transaction whose compare does not hold.
func unheld(key string) Txn { return Txn{If: []*pb.Compare{op.Present("none")}, Then: put(key).Then} }
