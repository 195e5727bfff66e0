package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// foreign is an etcd as somebody else runs it: stores reach it over a connection, which stays while
// it is stopped, and started again on other data.
type foreign struct {
	*testing.T
	cfg    embedded.Config
	server *embedded.Server
	etcd   *clientv3.Client
}

func startForeign(t *testing.T) *foreign {
	t.Helper()
	f := &foreign{T: t, cfg: embedded.Config{ClientListen: storetest.FreeAddr(t), UnsafeNoFsync: true}}
	f.start(t.TempDir())
	t.Cleanup(f.stop)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{f.cfg.ClientListen}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { etcd.Close() })
	f.etcd = etcd
	return f
}

// start starts etcd on a directory.
func (f *foreign) start(dir string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	f.cfg.DataDir = dir
	server, err := embedded.Start(ctx, f.cfg)
	if err != nil {
		f.Fatalf("start etcd: %v", err)
	}
	f.server = server
}

func (f *foreign) stop() {
	if f.server == nil {
		return
	}
	if err := f.server.Close(); err != nil {
		f.Errorf("stop etcd: %v", err)
	}
	f.server = nil
}

// saved is a copy of etcd's data as it is now, without what dlm's own etcd keeps beside it.
func (f *foreign) saved() (dir string) {
	f.Helper()
	dir = f.TempDir()
	now := f.cfg.DataDir
	f.stop()
	if err := os.CopyFS(filepath.Join(dir, "etcd"), os.DirFS(filepath.Join(now, "etcd"))); err != nil {
		f.Fatal(err)
	}
	f.start(now)
	return dir
}

// watched is a store whose log and service are looked at.
type watched struct {
	*etcdstore.Store
	log *logged
	up  atomic.Bool
}

func openWatched(t *testing.T, etcd *clientv3.Client) *watched {
	t.Helper()
	w := &watched{log: &logged{}}
	w.Store = openStoreWith(t, etcdstore.Config{
		Client: etcd, OnServing: w.up.Store, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	return w
}

// stopped wants a store to serve nothing any more, and to have said so once, with these words.
func (w *watched) stopped(t *testing.T, says ...string) {
	t.Helper()
	var err error
	storetest.Eventually(t, "the store to stop serving", func() bool { // by and by: etcd may not answer yet
		_, err = w.Init(storetest.Bounded(t), etcdstore.InitArgs{})
		return errors.Is(err, etcdstore.ErrWentBack) && !w.Serving() && !w.up.Load()
	})
	if len(err.Error()) > 512 {
		t.Errorf("the error is longer than what is sent to a client: %s", err)
	}
	_, err = w.Inspect(storetest.Bounded(t), "l")
	storetest.Want(t, "Inspect", err, etcdstore.ErrWentBack)
	var told []string
	storetest.Eventually(t, "the log to say so", func() bool {
		told = w.log.errors()
		return len(told) > 0
	})
	if len(told) != 1 {
		t.Errorf("%d lines say that something is wrong; want 1: %q", len(told), told)
	}
	for _, text := range append(says, "--mark-compacted") {
		if !strings.Contains(told[0], text) {
			t.Errorf("no %q in %s", text, told[0])
		}
	}
}

// customer is a session whose calls go through one store or another, and that is left to itself at
// the end: its store may be gone by then.
type customer struct {
	*testing.T
	etcdstore.Session
	requests int
}

func newCustomer(t *testing.T, s *watched) *customer {
	t.Helper()
	session, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{TTL: etcdstore.MaxTTL})
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	return &customer{T: t, Session: session}
}

func (c *customer) request() string {
	c.requests++
	return strconv.Itoa(c.requests)
}

func (c *customer) args(lock string, wait time.Duration) etcdstore.AcquireArgs {
	return etcdstore.AcquireArgs{
		Credential: c.Credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: c.request()}, Wait: wait,
	}
}

// acquire gets a lock that is free.
func (c *customer) acquire(s *watched, lock string) etcdstore.Section {
	c.Helper()
	g, err := s.Acquire(storetest.Bounded(c.T), c.args(lock, 0))
	if err != nil || g.Outcome != etcdstore.Granted {
		c.Fatalf("Acquire(%s) = %+v, %v; want a grant", lock, g, err)
	}
	return etcdstore.Section{Credential: c.Credential, Lock: lock, Token: g.Token, Appended: true}
}

func (c *customer) append(s *watched, sec etcdstore.Section, data string) error {
	_, err := s.Append(storetest.Bounded(c.T), etcdstore.Record{
		Credential: c.Credential, Lock: sec.Lock, Token: sec.Token, Request: c.request(), File: "f", Data: []byte(data),
	})
	return err
}

// publish appends to f in a section of its own, and returns the token.
func (c *customer) publish(s *watched, lock, data string) int64 {
	c.Helper()
	sec := c.acquire(s, lock)
	storetest.Want(c.T, "Append", c.append(s, sec, data), nil)
	storetest.Want(c.T, "Release", s.Release(storetest.Bounded(c.T), sec), nil)
	return sec.Token
}

// TestEtcdEmptied: somebody deletes all keys, under a holder and a waiter.
func TestEtcdEmptied(t *testing.T) {
	t.Parallel()
	f := startForeign(t)
	a, b := openWatched(t, f.etcd), openWatched(t, f.etcd)
	c := newCustomer(t, a)
	held := c.acquire(a, "l")
	waiting := c.args("l", etcdstore.WaitForever)
	waits := make(chan error, 1)
	go func() {
		_, err := b.Acquire(storetest.Bounded(t), waiting)
		waits <- err
	}()
	storetest.Eventually(t, "the waiter", func() bool { return len(keys(t, f.etcd, "queue/")) == 1 })
	before := revision(t, f.etcd)
	if _, err := f.etcd.Delete(storetest.Bounded(t), "/dlm/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	a.stopped(t, "cluster/meta", c.Cluster)
	b.stopped(t, "cluster/meta")
	if err := <-waits; err == nil {
		t.Error("the waiter was granted the lock")
	}
	storetest.Want(t, "Release", a.Release(storetest.Bounded(t), held), etcdstore.ErrWentBack)

	// Whoever is opened now makes a new cluster, which the clients of the old one notice.
	next := openWatched(t, f.etcd)
	_, err := next.Init(storetest.Bounded(t), etcdstore.InitArgs{Seen: etcdstore.Seen{Cluster: c.Cluster, Revision: before}})
	storetest.Want(t, "Init with what was seen", err, etcdstore.ErrOtherCluster)
	fresh, err := next.Init(storetest.Bounded(t), etcdstore.InitArgs{})
	if err != nil || fresh.Cluster == c.Cluster {
		t.Errorf("Init = %+v, %v; want a session of another cluster", fresh, err)
	}
	if a.Serving() || b.Serving() {
		t.Error("a store that had stopped serves the new cluster")
	}
	if len(next.log.errors()) > 0 {
		t.Errorf("the new one's log has %q", next.log.errors())
	}
}

// wentBack waits until the store has stopped because etcd is below a revision, and returns by how
// much its log advises to raise that. The store itself may have written, as by folding, after the
// revision was asked for, so what it has seen may be more.
func (w *watched) wentBack(t *testing.T, seen int64) (bump string) {
	t.Helper()
	w.stopped(t, "etcd went back")
	said := regexp.MustCompile(`has seen (\d+)\b.*--bump-revision (\d+) --mark-compacted`).FindStringSubmatch(w.log.errors()[0])
	if said == nil {
		t.Fatalf("the log does not tell what was seen and what to do: %q", w.log.errors()[0])
	}
	if n, err := strconv.ParseInt(said[1], 10, 64); err != nil || n < seen {
		t.Errorf("the log says that %s was seen, want %d at least", said[1], seen)
	}
	return said[2]
}

// TestEtcdPutBack: etcd's whole data directory is exchanged for an older one, at the same address.
// It cannot be told by etcd's own ids.
func TestEtcdPutBack(t *testing.T) {
	t.Parallel()
	f := startForeign(t)
	s := openWatched(t, f.etcd)
	c := newCustomer(t, s)
	c.publish(s, "l", "kept;")
	gone(t, f.etcd, "commits/")
	old := f.saved()
	var held etcdstore.Section
	storetest.Eventually(t, "the store to serve again", func() bool {
		g, err := s.Acquire(storetest.Bounded(t), c.args("held", 0))
		held = etcdstore.Section{Credential: c.Credential, Lock: "held", Token: g.Token}
		return err == nil && g.Outcome == etcdstore.Granted
	})
	for range 20 {
		c.publish(s, "l", "lost;")
	}
	seen := revision(t, f.etcd)
	f.stop()
	f.start(old)
	at := revision(t, f.etcd)
	if at >= seen {
		t.Fatalf("the old data is at %d, the new one was at %d", at, seen)
	}
	bump := s.wentBack(t, seen)
	if n, err := strconv.ParseInt(bump, 10, 64); err != nil || at+n <= seen || n > 2_000_000 {
		t.Errorf("the log advises to raise the revision by %s, from %d, over %d", bump, at, seen)
	}
	storetest.Want(t, "Append", c.append(s, held, "x"), etcdstore.ErrWentBack)
	for range 200 { // others write until the revision is above what was seen
		putKey(t, f.etcd, "/others", "x")
	}
	if revision(t, f.etcd) <= seen {
		t.Fatal("the revision is not above yet")
	}
	<-time.After(2 * time.Second) // four probes, by which nothing must change
	if s.Serving() {
		t.Error("the store serves again")
	}

	// A new store remembers nothing, and its clients do.
	n := openWatched(t, f.etcd)
	claim := etcdstore.Seen{Cluster: c.Cluster, Revision: revision(t, f.etcd) + 100}
	for range 3 {
		_, err := n.Init(storetest.Bounded(t), etcdstore.InitArgs{Seen: claim})
		storetest.Want(t, "Init with what was seen", err, etcdstore.ErrWentBack)
		_, err = n.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Seen: claim})
		storetest.Want(t, "Heartbeat with what was seen", err, etcdstore.ErrWentBack)
	}
	if told := n.log.errors(); len(told) != 1 || !strings.Contains(told[0], fmt.Sprint(claim.Revision)) {
		t.Errorf("the log says %q; want one line with %d", told, claim.Revision)
	}
	if !n.Serving() {
		t.Error("a client's word has stopped the store")
	}
	storetest.WantContents(t, n, "l", "f", "kept;")
}

// TestClaims: what a client says that it has seen refuses no more than its own call, however much
// it is.
func TestClaims(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openWatched(t, etcd)
	c, o := begin(t, s), begin(t, s)
	h := c.Acquire("l")
	for _, test := range []struct {
		seen etcdstore.Seen
		want error
	}{
		{etcdstore.Seen{}, nil},
		{etcdstore.Seen{Cluster: c.Cluster}, nil},
		{etcdstore.Seen{Cluster: c.Cluster, Revision: h.Token}, nil},
		{etcdstore.Seen{Revision: h.Token}, nil},
		{etcdstore.Seen{Revision: -1}, nil},
		{etcdstore.Seen{Cluster: c.Cluster, Revision: 1 << 62}, etcdstore.ErrWentBack},
		{etcdstore.Seen{Revision: math.MaxInt64}, etcdstore.ErrWentBack},
		{etcdstore.Seen{Cluster: "another's", Revision: 1 << 62}, etcdstore.ErrOtherCluster},
		{etcdstore.Seen{Cluster: strings.Repeat("x", 1000)}, etcdstore.ErrOtherCluster},
	} {
		_, err := s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Seen: test.seen})
		if !errors.Is(err, test.want) {
			t.Errorf("Heartbeat by who has seen %.60v: %v; want %v", test.seen, err, test.want)
		}
		session, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{Seen: test.seen})
		if !errors.Is(err, test.want) {
			t.Errorf("Init by who has seen %.60v: %v; want %v", test.seen, err, test.want)
		}
		if err == nil {
			storetest.Want(t, "CloseSession", s.CloseSession(storetest.Bounded(t), session.Credential), nil)
		}
		_, err = s.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: o.Credential})
		storetest.Want(t, "another's Heartbeat", err, nil)
	}
	for range 2 {
		future := c.Section("l", "1", 1<<62)
		storetest.Want(t, "Release under a token from the future", s.Release(storetest.Bounded(t), future.Section), etcdstore.ErrWentBack)
		_, err := s.Commit(storetest.Bounded(t), future.Section)
		storetest.Want(t, "Commit under a token from the future", err, etcdstore.ErrWentBack)
		_, err = s.Append(storetest.Bounded(t), c.Record(future, "f", "x"))
		storetest.Want(t, "Append under a token from the future", err, etcdstore.ErrWentBack)
	}
	if !s.Serving() || len(s.log.errors()) != 1 {
		t.Errorf("serving: %t, logged: %q; want it to serve, and one line", s.Serving(), s.log.errors())
	}
	c.Append(h, "f", "x")
	c.Release(h)
}

// TestOneEtcdTwoPrefixes: they share the revision, and are two clusters.
func TestOneEtcdTwoPrefixes(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openStore(t, etcd), openStoreWith(t, etcdstore.Config{Client: etcd, Prefix: "/b/"})
	c := begin(t, a)
	_, err := b.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{
		Credential: c.Credential, Seen: etcdstore.Seen{Cluster: c.Cluster, Revision: c.Revision},
	})
	storetest.Want(t, "Heartbeat at the other", err, etcdstore.ErrOtherCluster)
}

// TestNoFalseAlarm has three members change their leader again and again, with stores on each that
// have many calls on their way.
func TestNoFalseAlarm(t *testing.T) {
	t.Parallel()
	m := startMembers(t)
	stores := make([]*watched, 3)
	for i := range stores {
		w := &watched{log: &logged{}}
		w.Store = openStoreWith(t, etcdstore.Config{
			Client: m.servers[i].Client(), Local: m.servers[i].Local(), Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		})
		stores[i] = w
	}
	ctx, cancel := context.WithCancel(storetest.Bounded(t))
	defer cancel()
	var working sync.WaitGroup
	var answers atomic.Int64
	const clients = 8
	seen := make([]atomic.Int64, clients) // what each client has seen, at whichever store
	sessions := make([]etcdstore.Session, clients)
	for i := range clients {
		session, err := stores[0].Init(ctx, etcdstore.InitArgs{TTL: etcdstore.MaxTTL})
		if err != nil {
			t.Fatal(err)
		}
		sessions[i] = session
	}
	for i := range clients {
		working.Go(func() {
			lock := fmt.Sprint("l", i)
			for n := 1; ctx.Err() == nil; n++ {
				s := stores[(i+n)%3]
				before := seen[i].Load()
				g, err := s.Acquire(ctx, etcdstore.AcquireArgs{
					Credential: sessions[i].Credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: strconv.Itoa(n)},
				})
				if err == nil && g.Outcome == etcdstore.Granted {
					seen[i].Store(max(seen[i].Load(), g.Token))
					err = s.Release(ctx, etcdstore.Section{Credential: sessions[i].Credential, Lock: lock, Token: g.Token})
				}
				if err == nil {
					_, err = stores[(i+n+1)%3].Heartbeat(ctx, etcdstore.HeartbeatArgs{
						Credential: sessions[i].Credential, Highest: uint64(n), Seen: etcdstore.Seen{Cluster: sessions[i].Cluster, Revision: before},
					})
				}
				if errors.Is(err, etcdstore.ErrWentBack) || errors.Is(err, etcdstore.ErrOtherCluster) {
					t.Errorf("a false alarm: %v", err)
					return
				}
				if err == nil {
					answers.Add(3)
				}
			}
		})
		working.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := stores[n%3].Inspect(ctx, fmt.Sprint("l", i)); errors.Is(err, etcdstore.ErrWentBack) {
					t.Errorf("a false alarm: %v", err)
					return
				}
			}
		})
	}
	changes, began := 0, time.Now()
	shows := func() bool { return answers.Load() >= 100 && changes > 0 }
	for took := time.Duration(0); took < 5*time.Second || !shows() && took < patience; took = time.Since(began) {
		if m.moveLeader(ctx) {
			changes++
		}
		<-time.After(500 * time.Millisecond)
	}
	cancel()
	working.Wait()
	t.Logf("%d answers, %d changes of leader", answers.Load(), changes)
	if !shows() {
		t.Errorf("%d answers and %d changes of leader show nothing", answers.Load(), changes)
	}
	for i, s := range stores {
		if told := s.log.errors(); len(told) > 0 {
			t.Errorf("store %d says %q", i, told)
		}
	}
}

// moveLeader has the leader hand its office over. It reports whether it did.
func (m *members) moveLeader(ctx context.Context) bool {
	for _, server := range m.servers {
		st, err := server.Client().Status(ctx, "")
		if err != nil || st.Leader != st.Header.MemberId {
			continue
		}
		list, err := server.Client().MemberList(ctx)
		if err != nil {
			continue
		}
		for _, member := range list.Members {
			if member.ID != st.Leader {
				_, err := server.Client().MoveLeader(ctx, member.ID)
				return err == nil
			}
		}
	}
	return false
}

// etcdutl builds etcd's own tool for backups.
func etcdutl(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "etcdutl")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile", "tools/etcdutl/go.mod", "-o", path, "go.etcd.io/etcd/etcdutl/v3")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("etcdutl cannot be built here: %v\n%s", err, out)
	}
	return path
}

// restored is a directory with what a snapshot has, as `etcdutl snapshot restore` makes it.
func (f *foreign) restored(snapshot string, flags ...string) (dir string) {
	f.Helper()
	dir = f.TempDir()
	args := append([]string{
		"snapshot", "restore", snapshot, "--data-dir", filepath.Join(dir, "etcd"), "--name", "dlm",
		"--initial-cluster", "dlm=http://127.0.0.1:0", "--initial-advertise-peer-urls", "http://127.0.0.1:0", "--initial-cluster-token", "dlm",
	}, flags...)
	if out, err := exec.CommandContext(f.Context(), etcdutl(f.T), args...).CombinedOutput(); err != nil {
		f.Fatalf("etcdutl: %v\n%s", err, out)
	}
	return dir
}

// snapshot saves one.
func (f *foreign) snapshot() (file string) {
	f.Helper()
	r, err := f.etcd.Snapshot(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	file = filepath.Join(f.TempDir(), "snapshot")
	to, err := os.Create(file)
	if err == nil {
		_, err = to.ReadFrom(r)
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		f.Fatal(err)
	}
	return file
}

// TestSnapshotRestored restores an older snapshot, first as it is, which is refused, and then with
// the revision raised as the log has advised: then a store that is opened anew, and a client that
// remembers, go on.
func TestSnapshotRestored(t *testing.T) {
	t.Parallel()
	f := startForeign(t)
	s := openWatched(t, f.etcd)
	c := newCustomer(t, s)
	c.publish(s, "l", "kept;")
	snapshot := f.snapshot()
	token := c.publish(s, "l", "lost;")
	seen := etcdstore.Seen{Cluster: c.Cluster, Revision: revision(t, f.etcd)}

	naive := f.restored(snapshot)
	f.stop()
	f.start(naive)
	bump := s.wentBack(t, seen.Revision)
	unaware := openWatched(t, f.etcd)
	_, err := unaware.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Seen: seen})
	storetest.Want(t, "Heartbeat at a store without a memory", err, etcdstore.ErrWentBack)
	closeStore(t, unaware.Store)

	raised := f.restored(snapshot, "--bump-revision", bump, "--mark-compacted")
	f.stop()
	f.start(raised)
	again := openWatched(t, f.etcd)
	_, err = again.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential, Seen: seen})
	storetest.Want(t, "Heartbeat of who remembers", err, nil)
	if next := c.publish(again, "l", "next;"); next <= token {
		t.Errorf("the next token is %d; want it above %d", next, token)
	}
	storetest.WantContents(t, again, "l", "f", "kept;next;")
	if again.log.errors() != nil || !again.Serving() || s.Serving() {
		t.Errorf("serving: %t, logged: %q; the one that had stopped serves: %t", again.Serving(), again.log.errors(), s.Serving())
	}
}
