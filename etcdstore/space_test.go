package etcdstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

const smallQuota = 16 << 20

// smallEtcd has little space. ops is what an operator would use: a client over the network, whose
// Defragment works.
func smallEtcd(t *testing.T) (etcd, ops *clientv3.Client) {
	t.Helper()
	server := startEtcdWith(t, embedded.Config{Quota: smallQuota, ClientListen: "127.0.0.1:0"})
	ops, err := clientv3.New(clientv3.Config{Endpoints: []string{server.ClientAddr()}})
	if err != nil {
		t.Fatalf("connect to etcd: %v", err)
	}
	t.Cleanup(func() {
		if err := ops.Close(); err != nil {
			t.Errorf("close a client: %v", err)
		}
	})
	return server.Client(), ops
}

// fill uses space up as history does, until etcd refuses: it is free again after compaction.
func fill(t *testing.T, etcd *clientv3.Client) {
	t.Helper()
	for {
		_, err := etcd.Put(storetest.Bounded(t), "/fill", strings.Repeat("x", 256<<10))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return
		}
		if err != nil {
			t.Fatalf("put: %v", err)
		}
	}
}

// empty makes room again: history away, the file cut, the alarm off.
func empty(t *testing.T, etcd, ops *clientv3.Client) {
	t.Helper()
	ctx := storetest.Bounded(t)
	now, err := etcd.Get(ctx, "/fill")
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if _, err := ops.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatalf("compact: %v", err)
	}
	if _, err := ops.Defragment(ctx, ops.Endpoints()[0]); err != nil {
		t.Fatalf("defragment: %v", err)
	}
	if _, err := ops.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		t.Fatalf("disarm: %v", err)
	}
}

// Without endings that only delete, nothing can be given up once etcd is full, since it refuses
// every transaction with a put in any branch; without a record left as evidence, what was discarded
// then is taken for published.
func TestH14NoSpace(t *testing.T) {
	t.Parallel()
	etcd, ops := smallEtcd(t)
	s := openStore(t, etcd)
	c, gone5 := begin(t, s), begin(t, s)
	readToken := c.Publish("read", "f", "folded").Token
	storetest.WantContents(t, s, "read", "f", "folded")
	plain, dropped, kept, evicted := c.Acquire("plain"), c.Acquire("dropped"), c.Acquire("kept"), c.Acquire("evicted")
	swept := gone5.Acquire("swept")
	c.Append(dropped, "f", "dropped")
	first := c.Append(kept, "f", "kept")
	for range 3 {
		gone5.Append(swept, "f", "swept")
	}
	w := begin(t, s)
	waiting, cancelled := w.Queue("plain"), w.Queue("kept")
	fill(t, etcd)

	ctx := storetest.Bounded(t)
	storetest.Want(t, "Release, resolved", etcdstore.Resolving{Store: s}.Release(ctx, plain.Section), nil)
	c.Release(plain)
	for range 2 {
		discard(t, s, dropped)
		storetest.Want(t, "Release of what was discarded", s.Release(ctx, dropped.Section), etcdstore.ErrLockExpired)
	}
	closeSession(t, s, gone5)
	storetest.Eventually(t, "a sweep to leave one record", func() bool { return len(keys(t, etcd, "staged/swept//")) == 1 })
	storetest.Want(t, "Release of what was swept", s.Release(ctx, swept.Section), etcdstore.ErrLockExpired)
	if _, err := s.Cancel(ctx, w.Credential, cancelled.Acquisition()); err != nil {
		t.Errorf("Cancel: %v", err)
	}
	if g, err := cancelled.Answer(); err != nil || g.Outcome != etcdstore.Cancelled {
		t.Errorf("the cancelled Acquire = %+v, %v; want cancelled", g, err)
	}
	for name, call := range map[string]func() error{
		"Release with data": func() error { return s.Release(ctx, kept.Section) },
		"Commit": func() error {
			_, err := s.Commit(ctx, kept.Section)
			return err
		},
		"Append": func() error { return storetest.AppendTo(ctx, s, c.Record(kept, "f", "more")) },
		"Evict": func() error {
			_, err := s.Evict(ctx, "evicted", evicted.Token, "enough")
			return err
		},
		"Acquire": func() error {
			_, err := s.Acquire(ctx, c.Args("free", c.Request(), etcdstore.WaitForever))
			return err
		},
		"Init": func() error {
			_, err := s.Init(ctx, etcdstore.InitArgs{})
			return err
		},
	} {
		storetest.Want(t, name+" while etcd is full", call(), etcdstore.ErrNoSpace)
	}
	if info := storetest.Inspect(t, s, "kept"); info.Holder == nil || info.Holder.Token != kept.Token || info.Staged != 1 {
		t.Errorf("after the refusals the lock is %+v; want it held under %d with one record", info, kept.Token)
	}
	if got := storetest.HolderOf(t, s, "evicted"); got != evicted.Token {
		t.Errorf("after the refusals the lock is held under %d; want %d", got, evicted.Token)
	}
	if g, err := s.Acquire(ctx, c.Args("kept", kept.Acquisition().Request, 0)); err != nil || g.Token != kept.Token {
		t.Errorf("Acquire repeated while etcd is full = %+v, %v; want its grant under %d", g, err, kept.Token)
	}
	c.AppendRecord(kept, first) // a repeat is no new data
	published := c.Section("read", "1", readToken)
	published.Appended = true
	storetest.Want(t, "Release repeated while etcd is full", s.Release(ctx, published.Section), nil)
	if token, err := s.Commit(ctx, published.Section); token != 0 || err != nil {
		t.Errorf("Commit repeated while etcd is full = %d, %v; want 0, nil", token, err)
	}
	if out, err := s.Evict(ctx, "kept", published.Token, "late"); out != nil || err != nil {
		t.Errorf("Evict repeated while etcd is full = %v, %v; want nothing done", out, err)
	}
	states := c.Heartbeat(0, kept.Acquisition(), evicted.Acquisition())
	if states[0].Token != kept.Token || states[1].Token != evicted.Token {
		t.Errorf("states = %+v; want both held", states)
	}
	waiting.Waits()
	storetest.WantContents(t, s, "read", "f", "folded")

	empty(t, etcd, ops)
	w.Release(waiting.Granted())
	c.Release(kept)
	storetest.WantContents(t, s, "kept", "f", "kept")
	if out, err := s.Evict(ctx, "evicted", evicted.Token, "enough"); err != nil || out == nil {
		t.Errorf("Evict = %v, %v; want it done", out, err)
	}
	c.Lost(evicted)
	c.Lost(dropped)
	openStore(t, etcd) // and tidies up
	gone(t, etcd, "staged/")
	c.Lost(dropped)
	gone5.Lost(swept)
	storetest.WantNoFile(t, s, "swept", "f")
	storetest.WantNoFile(t, s, "dropped", "f")
	storetest.Eventually(t, "new data to be taken again", func() bool {
		_, err := s.Acquire(ctx, c.Args("free", "new", 0))
		return err == nil
	})
	c.Publish("read", "f", ", and new")
	storetest.WantContents(t, s, "read", "f", "folded, and new")
}

// When etcd is nearly full, nothing new begins, so that what is held can end in every way there is.
func TestNearlyFull(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openFaulty(t, etcd)
	c, w := begin(t, a), begin(t, b)
	h := c.Acquire("l")
	first := c.Append(h, "f", "published")
	other := c.Acquire("other")
	c.Append(other, "f", "undone")
	follow := a.HoldWatches()
	p := w.Queue("l")
	for _, s := range []*faulty{a, b} {
		s.Status(func(st *clientv3.StatusResponse) { st.DbSizeInUse = st.DbSizeQuota * 91 / 100 })
	}
	ctx := storetest.Bounded(t)
	storetest.Eventually(t, "new data to be refused", func() bool {
		_, errA := a.Init(ctx, etcdstore.InitArgs{})
		_, errB := b.Init(ctx, etcdstore.InitArgs{})
		return errors.Is(errA, etcdstore.ErrNoSpace) && errors.Is(errB, etcdstore.ErrNoSpace)
	})
	_, err := a.Acquire(ctx, c.Args("free", c.Request(), 0))
	storetest.Want(t, "Acquire", err, etcdstore.ErrNoSpace)
	r := c.Record(h, "f", "more")
	storetest.Want(t, "Append", storetest.AppendTo(ctx, a, r), etcdstore.ErrNoSpace)
	c.AppendRecord(h, first) // a repeat is no new data

	again := w.Via(a).Start(p.Args()) // where its place is not known yet
	c.Release(h)
	follow()
	if x, y := p.Granted(), again.Granted(); x.Token != y.Token {
		t.Errorf("one request was granted tokens %d and %d", x.Token, y.Token)
	}
	storetest.WantContents(t, a, "l", "f", "published")
	if _, err := a.Evict(ctx, "other", other.Token, "enough"); err != nil {
		t.Errorf("Evict: %v", err)
	}
	storetest.Want(t, "Release of what was evicted", a.Release(ctx, other.Section), etcdstore.ErrLockExpired)

	for _, s := range []*faulty{a, b} {
		s.Status(func(st *clientv3.StatusResponse) { st.DbSizeInUse = st.DbSizeQuota * 79 / 100 })
	}
	storetest.Eventually(t, "new data to be taken again", func() bool {
		_, errA := a.Acquire(ctx, c.Args("free", "1000", 0))
		_, errB := b.Init(ctx, etcdstore.InitArgs{})
		return errA == nil && errB == nil
	})
}

func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// Files fill etcd up for good, and locks do not: these go on when there is no room for records.
func TestLocksGoOnWithoutRoomForRecords(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "staged")
	s.Status(func(st *clientv3.StatusResponse) { st.DbSizeInUse = st.DbSizeQuota * 81 / 100 })
	ctx := storetest.Bounded(t)
	other := c.Acquire("other")
	storetest.Eventually(t, "new data to be refused", func() bool {
		_, err := s.Append(ctx, c.Record(other, "f", "more"))
		return errors.Is(err, etcdstore.ErrNoSpace)
	})
	c.Release(h)
	storetest.WantContents(t, s, "l", "f", "staged")
	w := begin(t, s)
	h = w.Acquire("l")
	p := c.Queue("l")
	w.Release(h)
	c.Release(p.Granted())
}

// TestFloods fills a small etcd with records of every size, from several sections at once. Etcd
// never raises its alarm, so that all that has begun goes on, and when nothing new is taken, that
// is said.
func TestFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("floods last for twice what is kept of history")
	}
	t.Parallel()
	for name, test := range map[string]struct{ size, records, stores int }{
		"3 kB":                    {3000, 30, 1},
		"700 kB":                  {700_000, 1, 1},
		"1 MiB":                   {1 << 20, 1, 1},
		"700 kB, several at once": {700_000, 3, 1},
		"3 kB, two servers":       {3000, 30, 2},
		"100 kB, two servers":     {100_000, 2, 2},
	} {
		size := test.size
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd, remote := smallEtcd(t)
			if test.stores > 1 {
				etcd = remote // as an etcd of their own, which nobody knows who shares
			}
			var stores []*etcdstore.Store
			for range test.stores {
				stores = append(stores, openStoreWith(t, etcdstore.Config{Client: etcd, History: 10 * time.Second}))
			}
			var running sync.WaitGroup
			var appended, refused, published, sections atomic.Int64
			over := time.Now().Add(20 * time.Second) // twice what is kept of history
			latest := over.Add(3 * patience)
			goesOn := func() bool { // a slow machine takes longer to flood it
				now := time.Now()
				return now.Before(over) || refused.Load() == 0 && now.Before(latest)
			}
			for i := range 3 {
				s, lock := stores[i%len(stores)], fmt.Sprint("l", i)
				c := begin(t, s)
				running.Go(func() {
					for goesOn() {
						request := c.Request()
						g, err := s.Acquire(t.Context(), c.Args(lock, request, 0))
						if errors.Is(err, etcdstore.ErrNoSpace) && test.stores > 1 { // the other has taken it
							pause(t, 20*time.Millisecond)
							continue
						}
						if err != nil || g.Outcome != etcdstore.Granted {
							t.Errorf("Acquire = %+v, %v", g, err)
							return
						}
						h := c.Section(lock, request, g.Token)
						for range test.records {
							_, err := s.Append(t.Context(), c.Record(h, "f", strings.Repeat("x", size)))
							if errors.Is(err, etcdstore.ErrNoSpace) {
								refused.Add(1)
								pause(t, 20*time.Millisecond) // as whoever is refused would
								break
							}
							if err != nil {
								t.Errorf("Append: %v", err)
								return
							}
							h.Appended = true
							appended.Add(int64(size))
						}
						if err := s.Release(t.Context(), h.Section); err != nil {
							t.Errorf("Release: %v", err)
							return
						}
						sections.Add(1)
						if h.Appended {
							published.Add(1)
						}
					}
				})
			}
			type moment struct {
				at  time.Time
				rev int64
			}
			var last []moment // the first of them 5 s ago
			for ; goesOn(); pause(t, 100*time.Millisecond) {
				last = append(last, moment{time.Now(), revision(t, etcd)})
				for len(last) > 1 && time.Since(last[1].at) > 5*time.Second {
					last = last[1:]
				}
			}
			if _, err := etcd.Get(storetest.Bounded(t), "/dlm/locks/l0", clientv3.WithRev(last[0].rev)); err != nil {
				t.Errorf("what was 5 s ago is not known any more: %v", err)
			}
			running.Wait()
			st, err := etcd.Status(storetest.Bounded(t), remote.Endpoints()[0])
			if err != nil {
				t.Fatalf("status: %v", err)
			}
			t.Logf("%d sections, %d with %d bytes in all; %d appends refused; the file has %d bytes, %d of them in use, of %d",
				sections.Load(), published.Load(), appended.Load(), refused.Load(), st.DbSize, st.DbSizeInUse, st.DbSizeQuota)
			if len(st.Errors) > 0 {
				t.Errorf("etcd has raised an alarm: %q", st.Errors)
			}
			if refused.Load() == 0 {
				t.Error("nothing was refused: there was no flood")
			}
			var read int64
			for i := range 3 {
				read += int64(len(storetest.Contents(t, stores[0], fmt.Sprint("l", i), "f")))
			}
			if read != appended.Load() {
				t.Errorf("%d bytes can be read; want %d", read, appended.Load())
			}
			gone(t, etcd, "staged/")
		})
	}
}
