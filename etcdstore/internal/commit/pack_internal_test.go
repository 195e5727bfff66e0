package commit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// wide is a transaction with so many compares, which hold, and so many operations on keys of its
// own.
func wide(key string, compares, ops int) (t Txn) {
	for i := range compares {
		t.If = append(t.If, op.Absent(fmt.Sprintf("%s-none%d", key, i)))
	}
	for i := range ops {
		t.Then = append(t.Then, op.Put(fmt.Sprintf("%s-%d", key, i), "v"))
	}
	return t
}

// What has no other branch goes as one transaction, as long as there is room in it, and in as few
// as there can be beyond.
func TestPacksForm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		txns  []Txn
		packs []int // members of each; one: it is not nested
	}{
		{"one", numbered(1, func(k string) Txn { return wide(k, 2, 3) }), []int{1}},
		{"compares, exactly full", numbered(packOps, func(k string) Txn { return wide(k, 1, 1) }), []int{packOps}},
		{"compares, and one more", numbered(packOps+1, func(k string) Txn { return wide(k, 1, 1) }), []int{packOps, 1}},
		{"operations, exactly full", numbered(packOps/4, func(k string) Txn { return wide(k, 1, 4) }), []int{packOps / 4}},
		{"operations, and one more", numbered(packOps/4+1, func(k string) Txn { return wide(k, 1, 4) }), []int{packOps / 4, 1}},
		{"no compares", numbered(2*packOps, func(k string) Txn { return wide(k, 0, 1) }), []int{packOps, packOps}},
		{"one that fills a pack", []Txn{wide("a", 1, 1), wide("b", packOps, 1), wide("c", 1, 1)}, []int{1, 1, 1}},
		{"another branch between", []Txn{wide("a", 1, 1), otherwise(put("b")), wide("c", 1, 1)}, []int{2, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				_, calls := r.together(test.txns...)
				if len(calls) != 1 {
					r.Fatalf("etcd was called %d times; want once", len(calls))
				}
				packs := nestedIn(calls[0])
				if len(test.packs) == 1 {
					if len(packs) > 0 {
						r.Errorf("%d are nested; want none to be", len(packs))
					}
					packs = calls
				}
				var members []int
				ops := len(test.txns[0].Then)
				for _, p := range packs {
					members = append(members, max(len(p.Success)/max(ops, 1), len(p.Failure)))
				}
				if !slices.Equal(members, test.packs) {
					r.Errorf("packs of %v members; want %v", members, test.packs)
				}
			})
		})
	}
}

// A batch is as large as it may be, and not larger. What does not fit goes with the next one.
func TestBatchBounds(t *testing.T) {
	t.Parallel()
	heavy := func(key string) Txn {
		return Txn{Then: []*pb.RequestOp{op.Put(key, strings.Repeat("x", batchBytes/16-len(key)))}}
	}
	touching := func(key string) Txn {
		t := otherwise(put(key))
		t.Touch = "touched-" + key
		return t
	}
	for _, test := range []struct {
		name string
		n    int // that fit
		make func(key string) Txn
	}{
		{"members", batchMembers, func(key string) Txn { return put(key) }},
		{"bytes", 16, heavy},
		{"packs", batchPacks - 1, func(key string) Txn { return otherwise(put(key)) }}, // room for a key that is touched is kept
		{"packs and keys that they touch", batchPacks * packOps / (packOps + 1), touching},
		{"the widest", batchPacks * packOps / (packOps + 1), func(key string) Txn {
			t := wide(key, packOps-1, packOps)
			t.Else, t.Touch, t.Alive = []*pb.RequestOp{op.Get(key)}, "touched-"+key, "session"
			return t
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				r.together(put("session"))
				for more := range 3 {
					txns := numbered(test.n+more, test.make)
					if !txns[0].Small() {
						r.Fatal("it is not one that may share a batch")
					}
					all, calls := r.together(txns...)
					for i, a := range all {
						if a.err != nil {
							r.Fatalf("with %d more, transaction %d: %v", more, i, a.err)
						}
					}
					if want := min(1+more, 2); len(calls) != want {
						r.Errorf("with %d more than fit etcd was called %d times; want %d", more, len(calls), want)
					}
				}
			})
		})
	}
}

// What relies on a key goes with any number of others that do, whose common compares a pack has
// once, and with nothing that writes it.
func TestShares(t *testing.T) {
	t.Parallel()
	relying := func(key string) Txn {
		return Txn{
			If: []*pb.Compare{op.Absent(key)}, Then: put(key).Then,
			Shares: "lock", SharedIf: []*pb.Compare{op.Absent("lock"), op.Absent("queue")},
		}
	}
	withRig(t, func(r *rig) {
		n := packOps - 2
		all, calls := r.together(numbered(n, relying)...)
		if len(calls) != 1 || len(calls[0].Compare) != packOps || len(nestedIn(calls[0])) > 0 {
			r.Errorf("%d that rely on a key: %d calls, the first with %d compares; want one, with %d", n, len(calls), len(calls[0].Compare), packOps)
		}
		for i, a := range all {
			if a.err != nil || !a.resp.Succeeded {
				r.Errorf("%d: %v, %v", i, a.resp, a.err)
			}
		}
		for _, order := range [][]Txn{{relying("a"), put("lock")}, {put("lock"), relying("b")}} {
			if _, calls = r.together(order...); len(calls) != 2 {
				r.Errorf("with one that writes the key etcd was called %d times; want twice", len(calls))
			}
		}
		// The key is there by now: both fail in company, run again apart, and fail by what they
		// share.
		all, _ = r.together(relying("c"), relying("d"))
		for i, a := range all {
			if a.err != nil || a.resp.Succeeded {
				r.Errorf("without what they rely on, %d: %v, %v", i, a.resp, a.err)
			}
		}
	})
}

// Small says what may go with others, whatever they are.
func TestSmall(t *testing.T) {
	t.Parallel()
	value := func(n int) []*pb.RequestOp { return []*pb.RequestOp{op.Put("k", strings.Repeat("x", n-1))} }
	for _, test := range []struct {
		name string
		txn  Txn
		want bool
	}{
		{"nothing", Txn{}, true},
		{"compares", wide("k", packOps, 1), true},
		{"compares, and one more", wide("k", packOps+1, 1), false},
		{"compares, and that of the session", Txn{If: wide("k", packOps, 1).If, Alive: "s"}, false},
		{"operations", wide("k", 1, packOps), true},
		{"operations, and one more", wide("k", 1, packOps+1), false},
		{"other operations", otherwise(wide("k", 1, packOps)), true},
		{"other operations, and one more", otherwise(wide("k", 1, packOps+1)), false},
		{"bytes", Txn{Then: value(batchBytes / 16)}, true},
		{"bytes, and one more", Txn{Then: value(batchBytes/16 + 1)}, false},
		{"bytes of both branches", Txn{Then: value(batchBytes / 32), Else: value(batchBytes/32 + 1)}, false},
	} {
		if got := test.txn.Small(); got != test.want {
			t.Errorf("%s: %t; want %t", test.name, got, test.want)
		}
	}
}

// Each gets what etcd answered to its own operations, whatever it was packed with.
func TestOwnResponses(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		const n = 100
		r.together(numbered(n, func(k string) Txn { return Txn{Then: []*pb.RequestOp{op.Put(k, k)}} })...)
		// Lists of many lengths, in many packs, some of them with another branch.
		other := func(i int) bool { return i%5 == 0 && i%7 > 0 }
		var txns []Txn
		for i := range n {
			var gets []*pb.RequestOp
			for j := range i % 7 {
				gets = append(gets, op.Get(fmt.Sprintf("k%04d", (i+j)%n)))
			}
			if other(i) {
				txns = append(txns, Txn{If: []*pb.Compare{op.Present("none")}, Else: gets})
			} else {
				txns = append(txns, Txn{Then: gets, Touch: "touched"})
			}
		}
		all, calls := r.together(txns...)
		r.called(calls, 1)
		for i, a := range all {
			if a.err != nil || a.resp.Succeeded == other(i) || len(a.resp.Responses) != i%7 {
				r.Errorf("transaction %d: %s, %v; want %d keys", i, say(a.resp), a.err, i%7)
				continue
			}
			for j := range i % 7 {
				want := fmt.Sprintf("k%04d", (i+j)%n)
				if kv := op.First(a.resp, j); kv == nil || string(kv.Value) != want {
					r.Errorf("transaction %d: get %d found %v; want %s", i, j, kv, want)
				}
			}
			if got, want := a.resp.Header.Revision, all[1].resp.Header.Revision; got != want {
				r.Errorf("transaction %d has revision %d; want that of its batch, %d", i, got, want)
			}
		}
	})
}

// One that does not hold has all of its pack run again, each by itself, and nobody else.
func TestPackRunsAgain(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		const n, odd = packOps + 8, packOps + 2 // the second of two packs fails
		txns := numbered(n, func(k string) Txn { return wide(k, 1, 1) })
		txns[odd] = unheld("odd")
		txns = append(txns, otherwise(put("other")))
		all, calls := r.together(txns...)
		r.succeeded(all[:odd]...)
		r.succeeded(all[odd+1 : n]...)
		r.failed(all[odd], all[n])
		r.called(calls, 2)
		again := nestedIn(calls[1])
		if len(again) != n-packOps {
			r.Errorf("%d were run again; want the %d of the pack", len(again), n-packOps)
		}
		for i, a := range all {
			first := i < packOps || i == n
			if a.resp.Header.Revision == all[0].resp.Header.Revision != first {
				r.Errorf("transaction %d has revision %d; that of the batch is %d", i, a.resp.Header.Revision, all[0].resp.Header.Revision)
			}
			if i < n && i != odd {
				if kv := r.etcd.get(string(a.Then[0].GetRequestPut().Key)); kv == nil || kv.Version != 1 {
					r.Errorf("transaction %d: %v; want it put once", i, kv)
				}
			}
		}
		if r.etcd.get("odd") != nil {
			r.Error("what did not hold was run")
		}
	})
}

// What has to run again comes before what has arrived since.
func TestRunsAgainFirst(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		all := r.ask(put("k"), unheld("odd"))
		next := r.hold()
		free()
		r.settled()
		later := r.ask(put("k"))
		next()
		r.called(r.settle(), 3)
		r.succeeded(all[0], later[0])
		if first, second := all[0].resp.Header.Revision, later[0].resp.Header.Revision; first >= second {
			r.Errorf("what was run again has revision %d, what came later %d", first, second)
		}
	})
}

// All that are in a pack may fail: then it cannot have been for the company.
func TestAllOfAPackFail(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		all, calls := r.together(numbered(3, unheld)...)
		r.failed(all...)
		r.called(calls, 2)
		one, calls := r.together(unheld("k"))
		r.failed(one...)
		r.called(calls, 1)
	})
}

// A transaction that is too large to share a batch is no worse off for having been asked for in
// company.
func TestTooLargeForCompany(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		txns := append([]Txn{wide("large", 1, MaxOps)}, numbered(packOps+1, func(k string) Txn { return wide(k, 1, 1) })...)
		all, _ := r.together(txns...)
		r.succeeded(all...)
		too, calls := r.together(wide("too-large", 1, MaxOps+1))
		if len(calls) != 1 || too[0].err == nil || errors.Is(too[0].err, ErrNoQuorum) {
			r.Errorf("one more than etcd takes: %d calls, %v; want etcd's refusal", len(calls), too[0].err)
		}
	})
}
