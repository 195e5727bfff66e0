package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// logged is what a store has logged.
type logged struct{ await.Text }

func (l *logged) count(what string) int { return strings.Count(l.String(), what) }

// errors are the lines of the log that say that something is wrong.
func (l *logged) errors() (all []string) {
	for line := range strings.SplitSeq(l.String(), "\n") {
		if strings.Contains(line, "level=ERROR") {
			all = append(all, line)
		}
	}
	return all
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// worker goes through a lock again and again, repeating what is indeterminate, as a client does.
type worker struct {
	t       *testing.T
	s       *etcdstore.Store
	c       *storetest.Client
	lock    string
	longest time.Duration // of a call with its repeats
	which   string
	rounds  int
	err     error
}

// call makes a call until it is answered, and notes how long that took.
func (w *worker) call(ctx context.Context, what string, call func(context.Context) error) bool {
	began := time.Now()
	for {
		err := call(ctx)
		if took := time.Since(began); took > w.longest {
			w.longest, w.which = took, what
		}
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case !errors.Is(err, etcdstore.ErrNoQuorum):
			w.err = fmt.Errorf("%s: %w", what, err)
			return false
		}
		select { // a client does not come back at once either
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}

// work goes on until ctx ends, or a call is refused.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		args := w.c.Args(w.lock, w.c.Request(), time.Minute)
		var h *storetest.Held
		ok := w.call(ctx, "acquire", func(ctx context.Context) error {
			g, err := w.s.Acquire(ctx, args)
			if err == nil {
				h = w.c.Section(w.lock, args.Request, g.Token)
			}
			return err
		})
		if !ok {
			return
		}
		r := w.c.Record(h, "file", "x")
		ok = w.call(ctx, "append", func(ctx context.Context) error {
			_, err := w.s.Append(ctx, r)
			return err
		}) &&
			w.call(ctx, "heartbeat", func(ctx context.Context) error {
				_, err := w.s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: w.c.Credential})
				return err
			}) &&
			w.call(ctx, "release", func(ctx context.Context) error { return w.s.Release(ctx, h.Section) })
		if !ok {
			return
		}
		w.rounds++
	}
}

// TestMemberCutOff cuts the member that a store uses off from its peers, but not from the store:
// the store goes on with another one, and so does one that is opened meanwhile. Who waits hears of
// nothing, and neither does anybody when the member is back. It runs by itself, as does the next
// one: beside all others three members may find no leader for a minute.
func TestMemberCutOff(t *testing.T) {
	p := startPeers(t)
	// The longest call depends on the machine. What is meant is said below; without leaving the
	// member it was over 10 s.
	const most = 8 * time.Second
	for _, what := range []string{"follower", "leader"} {
		t.Run(what, func(t *testing.T) {
			i, follower := p.roles(t)
			if what == "follower" {
				i = follower
			}
			log := &logged{}
			cfg := etcdstore.Config{Etcd: clientv3.Config{Endpoints: p.from(i), Logger: zap.NewNop()}, Prefix: prefixOf(t), Logger: log.logger()}
			s := openStoreWith(t, cfg)
			w := &worker{t: t, s: s, c: storetest.BeginFor(t, s, "worker", 10*time.Second), lock: "l"}
			holder, waiter := begin(t, s), begin(t, s)
			h := holder.Acquire("held")
			waits := waiter.Queue("held")
			working, stop := context.WithCancel(storetest.Bounded(t))
			var running sync.WaitGroup
			running.Go(func() { w.work(working) })
			t.Cleanup(running.Wait)
			t.Cleanup(stop)

			p.cut(i)
			t.Cleanup(p.heal)
			storetest.Eventually(t, "a word that the member was left", func() bool { return log.count("etcd member left") == 1 })
			began := time.Now()
			other := openStoreWith(t, cfg)
			opening := time.Since(began)
			storetest.Begin(t, other, "meanwhile").Publish("other", "file", "y")
			repeated := &worker{t: t, s: s} // on a slow machine there may be no quorum yet
			for _, next := range []func() *storetest.Held{func() *storetest.Held { return h }, waits.Granted} {
				sec := next().Section
				if !repeated.call(storetest.Bounded(t), "release", func(ctx context.Context) error { return s.Release(ctx, sec) }) {
					t.Errorf("the release of token %d is not answered: %v", sec.Token, repeated.err)
				}
			}

			p.heal()
			storetest.Eventually(t, "a word that the member is back", func() bool { return log.count("etcd member is back") == 1 })
			stop()
			running.Wait()
			if w.err != nil {
				t.Error(w.err)
			}
			if n := log.count("etcd member left"); n != 1 {
				t.Errorf("a member was left %d times, want once", n)
			}
			t.Logf("%d rounds, longest call: %s, %v (meant: at most 3 s, 4 s for the leader); opened meanwhile in %v",
				w.rounds, w.which, w.longest.Round(time.Millisecond), opening.Round(time.Millisecond))
			if w.longest > most || opening > most {
				t.Errorf("want at most %v", most)
			}
			if n := log.count("no quorum"); n != 0 && what == "follower" {
				t.Error("the store found no quorum, and there was one")
			}
		})
	}
}

// TestNoMemberCommits stops two of three members: then no other one is any better, and a store says
// that there is no quorum, and when there is one again.
func TestNoMemberCommits(t *testing.T) {
	p := startPeers(t)
	told := make(chan bool, 16)
	s := openStoreWith(t, etcdstore.Config{
		Etcd: clientv3.Config{Endpoints: p.endpoints, Logger: zap.NewNop()}, OnServing: func(up bool) { told <- up },
	})
	hear := func(want bool) { hearServing(t, s, told, want) }
	hear(true)
	c := begin(t, s)
	h := c.Acquire("l")
	p.stop(1, 2)
	hear(false)
	_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
	storetest.Want(t, "Init", err, etcdstore.ErrNoQuorum)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = etcdstore.Open(ctx, etcdstore.Config{Etcd: clientv3.Config{Endpoints: p.endpoints, Logger: zap.NewNop()}})
	storetest.Want(t, "Open", err, etcdstore.ErrNoQuorum)
	for _, endpoint := range p.endpoints {
		if !strings.Contains(err.Error(), endpoint+": ") {
			t.Errorf("%v; want a word of %s", err, endpoint)
		}
	}
	p.start(1, 2)
	hear(true)
	storetest.Want(t, "Release", s.Release(storetest.Bounded(t), h.Section), nil)
}
