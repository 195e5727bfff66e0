package etcdstore_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// crashes breaks an operation off at every step. scene is what the etcd holds before; each run gets
// a copy of it under a prefix of its own, and a store whose calls fail from the n-th on that
// counts, done or not done. operate makes it do its work, as far as it comes, until crashed is
// closed; check looks, with a store that opens afterwards, at what is left.
type crashes struct {
	etcd    *clientv3.Client
	scene   string
	counts  func(context.Context, faults.Call) bool // nil: all but those that go on by themselves
	operate func(t *testing.T, s *etcdstore.Store, prefix string, crashed <-chan struct{})
	check   func(t *testing.T, s *etcdstore.Store, prefix string)
}

func (c crashes) run(t *testing.T) {
	t.Helper()
	step := int64(1)
	if testing.Short() { // some, other ones each time
		step = 3
	}
	for _, done := range []bool{false, true} {
		for n := 1 + rand.Int64N(step); ; n += step {
			if n > 500 {
				t.Fatal("the operation does not end")
			}
			prefix := fmt.Sprintf("/crash/%t/%d/", done, n)
			reached := false
			ok := t.Run(prefix, func(t *testing.T) { reached = c.once(t, prefix, n, done) })
			if !ok {
				return
			}
			if !reached {
				t.Logf("fewer than %d steps", n)
				break
			}
		}
	}
}

func (c crashes) once(t *testing.T, prefix string, n int64, done bool) (reached bool) {
	copyKeys(t, c.etcd, c.scene, prefix)
	counts := c.counts
	if counts == nil {
		counts = ofWork
	}
	f := newFaults(t, c.etcd)
	crashed := f.CrashAt(n, done, counts)
	if s, err := etcdstore.Open(storetest.Bounded(t), withLocal(etcdstore.Config{Client: f.Client(), Prefix: prefix})); err == nil {
		c.operate(t, s, prefix, crashed)
		closeStore(t, s)
	}
	select {
	case <-crashed:
		reached = true
	default:
	}
	c.check(t, openStoreWith(t, etcdstore.Config{Client: c.etcd, Prefix: prefix}), prefix)
	return reached
}

// ofWork reports whether a call is part of a piece of work. Others ask whose etcd it is, or load
// the mirror.
func ofWork(_ context.Context, c faults.Call) bool {
	work := false
	every(c.Op, func(op clientv3.Op) {
		key := string(op.KeyBytes())
		work = work || key != "" && !strings.Contains(key, "/cluster/") && (c.Op.IsTxn() || !strings.Contains(key, "/locks/"))
	})
	return work
}

// writes reports whether a call is part of a piece of work, and changes something.
func writes(ctx context.Context, c faults.Call) bool {
	return ofWork(ctx, c) && (matches(clientv3.Op.IsPut, "/")(c.Op) || matches(clientv3.Op.IsDelete, "/")(c.Op))
}

// copyKeys copies what is under one prefix to another, in the order in which it was made.
func copyKeys(t *testing.T, etcd *clientv3.Client, from, to string) {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), from, clientv3.WithPrefix())
	if err != nil {
		t.Fatalf("get %s: %v", from, err)
	}
	slices.SortFunc(resp.Kvs, func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) })
	for _, kv := range resp.Kvs {
		if _, err := etcd.Put(storetest.Bounded(t), to+strings.TrimPrefix(string(kv.Key), from), string(kv.Value)); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
}

// under counts what is under a prefix.
func under(t *testing.T, etcd *clientv3.Client, prefix string) int64 {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatalf("get %s: %v", prefix, err)
	}
	return resp.Count
}

// prepare makes a scene with a store that never sweeps, and never folds the lock l.
func prepare(t *testing.T, etcd *clientv3.Client, prefix string, act func(*storetest.Client, *etcdstore.Store)) {
	t.Helper()
	f := newFaults(t, etcd)
	s := openStoreWith(t, etcdstore.Config{Client: f.Client(), Prefix: prefix})
	defer s.HoldFolds(t, "l")()
	lazy := matches(clientv3.Op.IsDelete, prefix+"staged/")
	f.Before(func(_ context.Context, c faults.Call) error {
		if lazy(c.Op) {
			return faults.ErrLost
		}
		return nil
	})
	c := storetest.Begin(t, s, "scene")
	act(c, s)
	closeSession(t, s, c)
	closeStore(t, s)
}

// content is what files are to hold.
type content map[string]*bytes.Buffer

func (w content) add(file, data string) {
	if w[file] == nil {
		w[file] = &bytes.Buffer{}
	}
	w[file].WriteString(data)
}

func (w content) check(t *testing.T, s *etcdstore.Store, lock string) {
	t.Helper()
	for file, data := range w {
		storetest.WantContents(t, s, lock, file, data.String())
	}
	files, _, err := s.ListFiles(storetest.Bounded(t), lock, 0, "")
	if err != nil || len(files) != len(w) {
		t.Errorf("ListFiles = %d files, %v; want %d", len(files), err, len(w))
	}
}

// TestCrashFoldingSmall breaks off the folding of sections that share chunks, before and after each
// of its calls.
func TestCrashFoldingSmall(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	want := content{}
	prepare(t, etcd, "/scene/", func(c *storetest.Client, _ *etcdstore.Store) {
		for i := range 3 {
			h := c.Acquire("l")
			for _, file := range []string{"a", "b"} {
				for range 2 {
					data := fmt.Sprintf("%s%d;", strings.Repeat(file, 700*i), i)
					c.Append(h, file, data)
					want.add(file, data)
				}
			}
			c.Release(h)
		}
		c.Append(c.Acquire("l"), "a", "lost")
	})
	crashes{etcd: etcd, scene: "/scene/", operate: readFiles, check: folded(etcd, want, "a")}.run(t)
}

// TestCrashFoldingLarge breaks off the folding of a section that takes many transactions, before
// and after each.
func TestCrashFoldingLarge(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	want := content{}
	prepare(t, etcd, "/scene/", func(c *storetest.Client, _ *etcdstore.Store) {
		add := func(h *storetest.Held, file, data string) {
			c.Append(h, file, data)
			want.add(file, data)
		}
		first := c.Acquire("l")
		add(first, "big", "begins;")
		add(first, "small0", "begins;") // the next section's bytes go into the same chunk, in an early step
		c.Release(first)
		h := c.Acquire("l")
		for i := range etcdstore.MaxSectionFiles - 1 {
			add(h, fmt.Sprint("small", i), strings.Repeat("x", 70_000*(i%4/3))+fmt.Sprint(i))
		}
		for i := range 4 {
			add(h, "big", strings.Repeat(strconv.Itoa(i), 900_001))
		}
		c.Release(h)
	})
	crashes{etcd: etcd, scene: "/scene/", counts: writes, operate: readFiles, check: folded(etcd, want, "big")}.run(t)
}

// readFiles lists the files, so that what is published is folded, until that is done or the store
// has crashed.
func readFiles(t *testing.T, s *etcdstore.Store, _ string, crashed <-chan struct{}) {
	t.Helper()
	storetest.Eventually(t, "a fold or a crash", func() bool {
		_, _, err := s.ListFiles(storetest.Bounded(t), "l", 0, "")
		select {
		case <-crashed:
			return true
		default:
			return err == nil
		}
	})
}

// folded checks the bytes, that nothing is left of the sections, and that the next section goes on
// behind them.
func folded(etcd *clientv3.Client, want content, file string) func(*testing.T, *etcdstore.Store, string) {
	return func(t *testing.T, s *etcdstore.Store, prefix string) {
		t.Helper()
		want.check(t, s, "l")
		for _, family := range []string{"staged/", "commits/"} {
			storetest.Eventually(t, "nothing under "+family, func() bool { return under(t, etcd, prefix+family) == 0 })
		}
		want.check(t, s, "l")
		storetest.Begin(t, s, "next").Publish("l", file, "next")
		storetest.WantContents(t, s, "l", file, want[file].String()+"next")
	}
}

// TestCrashSweeping breaks off the sweeping of sections that were lost or discarded, before and
// after each call.
func TestCrashSweeping(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	want := content{}
	var lost []etcdstore.Section
	var published etcdstore.Section
	prepare(t, etcd, "/scene/", func(c *storetest.Client, s *etcdstore.Store) {
		for _, lock := range []string{"l", "m"} {
			lostOne := storetest.Begin(c.T, s, "gone")
			h := lostOne.Acquire(lock)
			for range 3 {
				lostOne.Append(h, "f", "lost")
			}
			lost = append(lost, h.Section)
			closeSession(c.T, s, lostOne)
		}
		h := c.Acquire("l")
		c.Append(h, "f", "kept")
		want.add("f", "kept")
		c.Release(h)
		published = h.Section
		h = c.Acquire("l")
		c.Append(h, "f", "discarded")
		discard(c.T, s, h)
		lost = append(lost, h.Section)
	})
	compact(t, etcd) // a copy of the scene has no history before it was made
	crashes{
		etcd: etcd, scene: "/scene/",
		operate: func(t *testing.T, _ *etcdstore.Store, prefix string, crashed <-chan struct{}) {
			storetest.Eventually(t, "sweeps or a crash", func() bool {
				select {
				case <-crashed:
					return true
				default:
					return under(t, etcd, prefix+"staged/") == 0
				}
			})
		},
		check: func(t *testing.T, s *etcdstore.Store, prefix string) {
			for range 2 {
				for _, section := range lost {
					storetest.Want(t, "Release of a lost section", s.Release(storetest.Bounded(t), section), etcdstore.ErrLockExpired)
				}
				if err := s.Release(storetest.Bounded(t), published); err != nil && !errors.Is(err, etcdstore.ErrOutcomeUnknown) {
					t.Errorf("Release of the published section: %v; want none or, once it is folded, outcome unknown", err)
				}
				want.check(t, s, "l")
				storetest.WantNoFile(t, s, "m", "f")
				storetest.Eventually(t, "nothing staged", func() bool { return under(t, etcd, prefix+"staged/") == 0 })
			}
		},
	}.run(t)
}

// TestCrashLives breaks off the folding of sections that replace, remove and cut files, and the
// cleaning after them, before and after each call: nothing is lost, and nothing left behind.
func TestCrashLives(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	prepare(t, etcd, "/scene/", func(c *storetest.Client, _ *etcdstore.Store) {
		section := func(ops ...etcdstore.Operation) {
			h := c.Acquire("l")
			for _, o := range ops {
				stageTo(c, h, o)
			}
			c.Release(h)
		}
		large := strings.Repeat("x", 900_000)
		section(appendTo("cut", large), appendTo("cut", large), appendTo("cut", "kept;"), appendTo("removed", large), appendTo("replaced", large))
		section(cutBefore("cut", 1_700_000), remove("removed"), replace("replaced", large), appendTo("replaced", large), appendTo("replaced", large))
		section(cutBefore("cut", 1_800_000), appendTo("cut", "more;"), appendTo("made", "first"), replace("made", "made;"), replace("replaced", "new;"))
	})
	want := content{}
	for _, file := range []string{"made;made;", "replaced;new;", "cut;kept;more;"} {
		name, data, _ := strings.Cut(file, ";")
		want.add(name, data)
	}
	crashes{
		etcd: etcd, scene: "/scene/", counts: writes,
		operate: func(t *testing.T, s *etcdstore.Store, prefix string, crashed <-chan struct{}) {
			readFiles(t, s, prefix, crashed)
			storetest.Eventually(t, "all to be cleaned, or a crash", func() bool {
				select {
				case <-crashed:
					return true
				default:
					return under(t, etcd, prefix+"garbage/") == 0
				}
			})
		},
		check: func(t *testing.T, s *etcdstore.Store, prefix string) {
			for range 2 {
				want.check(t, s, "l")
				atRest(t, etcd, prefix)
			}
		},
	}.run(t)
}

// TestCrashForgetting breaks off the dropping of old notes, before and after each call: whatever is
// forgotten of a section, it is not taken for published.
func TestCrashForgetting(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	const old, recent = 120, 3 // several pages
	var tokens []int64
	put := func(token int64, at time.Time) {
		tokens = append(tokens, token)
		note := fmt.Sprintf(`{"why":"evicted","reason":"long ago","at":%d}`, at.UnixMilli())
		if _, err := etcd.Put(storetest.Bounded(t), "/scene/undone/l//"+hex16(token), note); err != nil {
			t.Fatalf("put a note: %v", err)
		}
	}
	putKey(t, etcd, "/scene/cluster/meta", `{"format":1,"id":"00112233445566778899aabbccddeeff"}`) // which is no part of the work
	for i := range int64(old) {
		put(2+i, time.Now().Add(-25*time.Hour))
	}
	for i := range int64(recent) {
		put(2+old+i, time.Now())
	}
	crashes{
		etcd: etcd, scene: "/scene/",
		operate: func(t *testing.T, _ *etcdstore.Store, prefix string, crashed <-chan struct{}) {
			storetest.Eventually(t, "notes to be dropped, or a crash", func() bool {
				select {
				case <-crashed:
					return true
				default:
					return under(t, etcd, prefix+"undone/") == recent
				}
			})
		},
		check: func(t *testing.T, s *etcdstore.Store, prefix string) {
			ask := func() {
				t.Helper()
				for _, token := range tokens {
					section := etcdstore.Section{
						Credential: "7000000000000001." + strings.Repeat("0", 32), Lock: "l", Token: token, Appended: true,
					}
					err := s.Release(storetest.Bounded(t), section)
					if !errors.Is(err, etcdstore.ErrLockExpired) && (token >= 2+old || !errors.Is(err, etcdstore.ErrOutcomeUnknown)) {
						t.Errorf("Release under token %d of %d: %v; want lock expired, or, if it is old, outcome unknown", token, len(tokens), err)
					}
				}
			}
			ask()
			storetest.Eventually(t, "old notes to be dropped", func() bool { return under(t, etcd, prefix+"undone/") == recent })
			ask()
		},
	}.run(t)
}
