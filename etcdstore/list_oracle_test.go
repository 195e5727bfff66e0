package etcdstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// asOf is what etcd has of all locks as of a revision, one line a lock.
func asOf(t *testing.T, etcd *clientv3.Client, rev int64) (lines []string) {
	t.Helper()
	read := func(family string) (kvs []struct {
		name, key string
		mod, made int64
		value     []byte
	}) {
		resp, err := etcd.Get(storetest.Bounded(t), "/dlm/"+family, clientv3.WithPrefix(), clientv3.WithRev(rev))
		if err != nil {
			t.Fatalf("read %s as of %d: %v", family, rev, err)
		}
		for _, kv := range resp.Kvs {
			rest := strings.TrimPrefix(string(kv.Key), "/dlm/"+family)
			name, key, _ := strings.Cut(rest, "//")
			kvs = append(kvs, struct {
				name, key string
				mod, made int64
				value     []byte
			}{name, key, kv.ModRevision, kv.CreateRevision, kv.Value})
		}
		return kvs
	}
	type state struct {
		token   int64
		staged  int
		waiters []string
	}
	all := map[string]*state{}
	of := func(name string) *state {
		if all[name] == nil {
			all[name] = &state{}
		}
		return all[name]
	}
	for _, kv := range read("locks/") {
		of(kv.name).token = kv.mod
	}
	queue := read("queue/")
	slices.SortStableFunc(queue, func(a, b struct {
		name, key string
		mod, made int64
		value     []byte
	}) int {
		return cmp.Or(cmp.Compare(a.made, b.made), cmp.Compare(a.key, b.key))
	})
	for _, kv := range queue {
		of(kv.name).waiters = append(of(kv.name).waiters, kv.key)
	}
	for _, kv := range read("staged/") {
		if s := all[kv.name]; s != nil && strings.HasPrefix(kv.key, fmt.Sprintf("%016x/", s.token)) {
			s.staged++
		}
	}
	for name, s := range all {
		lines = append(lines, fmt.Sprint(name, " ", s.token, " ", s.staged, " ", len(s.waiters), " ", s.waiters[:min(10, len(s.waiters))]))
	}
	slices.Sort(lines)
	return lines
}

func lineOf(l etcdstore.LockInfo) string {
	token := int64(0)
	if l.Holder != nil {
		token = l.Holder.Token
	}
	waiters := []string{}
	for i, w := range l.Waiters {
		if w.Position != 0 && w.Position != i+1 {
			waiters = append(waiters, fmt.Sprint("at ", w.Position))
		}
		waiters = append(waiters, w.Session+"."+w.Request)
	}
	return fmt.Sprint(l.Name, " ", token, " ", l.Staged, " ", l.QueueLength, " ", waiters)
}

// churn has clients of some stores take, queue for, write to, commit, release and abandon a few
// locks until stop is called.
func churn(t *testing.T, stores ...*etcdstore.Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range 8 {
		s := stores[i%len(stores)]
		c := begin(t, s)
		running.Go(func() {
			g := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // a test
			for n := 0; ctx.Err() == nil; n++ {
				lock := fmt.Sprintf("churn/%d", g.IntN(5))
				within, done := context.WithTimeout(ctx, time.Duration(1+g.IntN(20))*time.Millisecond)
				grant, err := s.Acquire(within, c.Args(lock, c.Request(), etcdstore.WaitForever))
				done()
				if err != nil || grant.Outcome != etcdstore.Granted {
					if g.IntN(2) == 0 {
						_, _ = s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: c.Credential, Highest: c.Requests()})
					}
					continue
				}
				h := c.Section(lock, fmt.Sprint(n), grant.Token)
				wrote := g.IntN(3) == 0
				if wrote {
					_ = storetest.AppendTo(ctx, s, c.Record(h, "f", "x"))
				}
				sec := etcdstore.Section{Credential: c.Credential, Lock: lock, Token: grant.Token, Appended: wrote}
				switch g.IntN(4) {
				case 0:
					if sec.Token, err = s.Commit(ctx, sec); err != nil {
						continue
					}
				case 1:
					_, _ = s.Evict(ctx, lock, sec.Token, "churn")
					continue
				case 2:
					_, _ = s.Discard(ctx, sec)
					continue
				}
				_ = s.Release(ctx, sec)
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); running.Wait() })
}

// What is listed is what etcd had as of the revision that the page tells, which is no earlier than
// the call, whatever goes on meanwhile and through whichever store.
func TestListIsOfOneRevision(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	intrude(t, etcd, "locks/churn/odd", "malformed")
	stop := churn(t, here, elsewhere)
	defer stop()
	waiting := 0
	for i := range 60 {
		s := []*etcdstore.Store{here, elsewhere}[i%2]
		before, err := etcd.Get(storetest.Bounded(t), "x")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		rev := int64(0)
		sel := etcdstore.Selection{Limit: 2}
		for {
			page, err := s.Select(storetest.Bounded(t), sel)
			if err != nil {
				t.Fatalf("Select: %v", err)
			}
			if rev == 0 {
				rev = page.Revision
			}
			if page.Revision != rev || rev < before.Header.Revision {
				t.Fatalf("a page is of revision %d, the first of %d, and etcd was at %d before", page.Revision, rev, before.Header.Revision)
			}
			for _, l := range page.Locks {
				got = append(got, lineOf(l))
			}
			if sel.After = page.Next; page.Next == "" {
				break
			}
		}
		if want := asOf(t, etcd, rev); !slices.Equal(got, want) {
			t.Fatalf("as of %d it lists\n%s\nwant\n%s", rev, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		names := []string{"churn/4", "churn/none", "churn/0", "churn/odd"}
		infos, rev, err := s.Describe(storetest.Bounded(t), names)
		if err != nil || len(infos) != len(names) || infos[1].Holder != nil || infos[3].Holder == nil {
			t.Fatalf("Describe = %+v, %v", infos, err)
		}
		want := asOf(t, etcd, rev)
		for i, info := range infos {
			is := slices.ContainsFunc(want, func(l string) bool { return strings.HasPrefix(l, names[i]+" ") })
			if line := lineOf(info); is && !slices.Contains(want, line) || info.Name != names[i] || !is && line != names[i]+" 0 0 0 []" {
				t.Fatalf("as of %d Describe has %s; want one of\n%s", rev, line, strings.Join(want, "\n"))
			}
			waiting += info.QueueLength
		}
	}
	if waiting == 0 {
		t.Error("nobody ever waited, so this has looked at nothing")
	}
}

// Whoever asks for what a session or an owner has is told all of that, however far behind in a
// queue it is.
func TestSelect(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	in := func(owner string) context.Context { return etcdstore.WithOwner(storetest.Bounded(t), owner) }
	sessions := map[string]etcdstore.Session{}
	for _, owner := range []string{alice, bob} {
		c, err := s.Init(in(owner), etcdstore.InitArgs{})
		if err != nil {
			t.Fatal(err)
		}
		sessions[owner] = c
	}
	acquire := func(owner, lock, request string) {
		t.Helper()
		ctx, cancel := context.WithCancel(in(owner))
		done := make(chan struct{})
		s.StartAcquire(ctx, etcdstore.AcquireArgs{
			Credential: sessions[owner].Credential, Wait: etcdstore.WaitForever, Acquisition: etcdstore.Acquisition{Lock: lock, Request: request},
		}, func(etcdstore.Grant, error) { close(done) })
		storetest.Eventually(t, request+" to hold or wait", func() bool {
			info, err := s.Inspect(storetest.Bounded(t), lock)
			return err == nil && (info.Holder != nil && info.Holder.Request == request ||
				slices.ContainsFunc(info.Waiters, func(w etcdstore.Waiter) bool { return w.Request == request }))
		})
		cancel()
		<-done
	}
	acquire(alice, "a", "1")
	acquire(bob, "b", "1")
	for i := range 12 {
		acquire(alice, "b", fmt.Sprint(i+2))
	}
	acquire(bob, "a", "20")
	acquire(bob, "b", "21")
	for _, store := range []*etcdstore.Store{s, other} {
		for _, test := range []struct {
			sel  etcdstore.Selection
			want string
		}{
			{etcdstore.Selection{}, "a:alice:[1/20] b:bob:[1/2 2/3 3/4 4/5 5/6 6/7 7/8 8/9 9/10 10/11]"},
			{etcdstore.Selection{Owner: bob}, "a:alice:[1/20] b:bob:[13/21]"},
			{etcdstore.Selection{Owner: bob, Prefix: "b"}, "b:bob:[13/21]"},
			{etcdstore.Selection{Owner: bob, Limit: 1}, "a:alice:[1/20] b:bob:[13/21]"},
			{etcdstore.Selection{Session: sessions[bob].ID}, "a:alice:[1/20] b:bob:[13/21]"},
			{etcdstore.Selection{Session: sessions[alice].ID, Owner: bob}, ""},
			{etcdstore.Selection{Owner: "nobody"}, ""},
		} {
			var got []string
			for {
				page, err := store.Select(storetest.Bounded(t), test.sel)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range page.Locks {
					places := []string{}
					for _, w := range l.Waiters {
						places = append(places, fmt.Sprint(w.Position, "/", w.Request))
					}
					got = append(got, fmt.Sprint(l.Name, ":", strings.TrimPrefix(l.Holder.Owner, "user:"), ":", places))
				}
				if test.sel.After = page.Next; page.Next == "" {
					break
				}
			}
			want := strings.ReplaceAll(strings.ReplaceAll(test.want, ":alice:", ":"+strings.TrimPrefix(alice, "user:")+":"), ":bob:", ":"+strings.TrimPrefix(bob, "user:")+":")
			if strings.Join(got, " ") != want {
				t.Errorf("Select(%+v) = %q; want %q", test.sel, got, want)
			}
		}
	}
	page, err := s.Select(storetest.Bounded(t), etcdstore.Selection{Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatalf("Select = %+v, %v", page, err)
	}
	for _, token := range []string{page.Next + "\x00", ":a", "0:", "-1:a", "01:a", "99999999999999999999:a", "1:a//b"} {
		if _, err := s.Select(storetest.Bounded(t), etcdstore.Selection{After: token}); !errors.Is(err, etcdstore.ErrInvalidArgument) {
			t.Errorf("page token %q: %v; want %v", token, err, etcdstore.ErrInvalidArgument)
		}
	}
}

// A session's heartbeat is as old as the server says that heard it, or as etcd's leader says, or it
// is not known.
func TestHeartbeatAges(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	c := storetest.BeginFor(t, here, "c", time.Minute)
	c.Acquire("l")
	intrude(t, etcd, "locks/odd", "malformed")
	near := func(what string, h *etcdstore.Holder) {
		t.Helper()
		if h.HeartbeatAge < 0 || h.HeartbeatAge > 20*time.Second || h.LeaseLeft < 30*time.Second || h.LeaseLeft > 62*time.Second {
			t.Errorf("%s: the last heartbeat came %v ago and %v are left; want a moment, and about a minute", what, h.HeartbeatAge, h.LeaseLeft)
		}
	}
	for _, s := range []*etcdstore.Store{elsewhere, here} {
		info, err := s.Inspect(storetest.Bounded(t), "l")
		if err != nil {
			t.Fatal(err)
		}
		near("Inspect", info.Holder)
		storetest.Eventually(t, "the leader's answer", func() bool {
			infos, _, err := s.Describe(storetest.Bounded(t), []string{"l", "odd"})
			if err != nil {
				t.Fatal(err)
			}
			if infos[1].Holder.HeartbeatAge >= 0 || infos[1].Holder.LeaseLeft >= 0 {
				t.Error("the age is known of a session that is not")
			}
			if infos[0].Holder.HeartbeatAge >= 0 {
				near("Describe", infos[0].Holder)
			}
			return infos[0].Holder.HeartbeatAge >= 0
		})
	}
}
