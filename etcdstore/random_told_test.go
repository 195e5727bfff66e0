package etcdstore_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// hearsay is all that the clients of a run are told of losses, and what etcd had at the time.
type hearsay struct {
	links map[*faulty]*etcdstore.Link

	mu        sync.Mutex
	losses    []heard
	listeners map[string]*faulty // session → the store that it was begun through, which tells it of its losses
	past      map[string][]value // key → what it was
	evicted   []etcdstore.Loss   // what clients have to be told, as of when at least
	until     int64              // as of when that is known
}

// heard is a loss that was told by a store.
type heard struct {
	etcdstore.Loss
	by *faulty
}

// value is what a key was from a revision on; empty: it was not there.
type value struct {
	rev  int64
	text string
}

// listenTo has all losses of a run told, and notes what becomes of locks and sessions until ctx
// ends; ended is closed then.
func listenTo(ctx context.Context, etcd *clientv3.Client, stores []*faulty) (h *hearsay, ended <-chan struct{}) {
	h = &hearsay{links: map[*faulty]*etcdstore.Link{}, listeners: map[string]*faulty{}, past: map[string][]value{}}
	for _, s := range stores {
		h.links[s] = s.NewLink(func(l etcdstore.Loss) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.losses = append(h.losses, heard{l, s})
		})
	}
	over := make(chan struct{})
	watch := etcd.Watch(ctx, "/dlm/", clientv3.WithPrefix(), clientv3.WithRev(1))
	go func() {
		defer close(over)
		for resp := range watch { // which a compaction ends if it is behind
			h.mu.Lock()
			for _, e := range resp.Events {
				key := strings.TrimPrefix(string(e.Kv.Key), "/dlm/")
				if strings.HasPrefix(key, "locks/") || strings.HasPrefix(key, "sessions/") {
					owner, _, _ := strings.Cut(string(e.Kv.Value), "\x00")
					h.past[key] = append(h.past[key], value{e.Kv.ModRevision, owner})
				}
				if rest, ok := strings.CutPrefix(key, "undone/"); ok && strings.Contains(string(e.Kv.Value), "evicted") {
					lock, _, _ := strings.Cut(rest, "//")
					session, request, _ := strings.Cut(h.was("locks/"+lock, e.Kv.ModRevision-1), ".")
					h.evicted = append(h.evicted, etcdstore.Loss{Session: session, Lock: lock, Request: request, Revision: e.Kv.ModRevision})
				}
				h.until = e.Kv.ModRevision
			}
			h.mu.Unlock()
		}
	}()
	return h, over
}

// was is what a key was as of a revision.
func (h *hearsay) was(key string, rev int64) string {
	values := h.past[key]
	i, _ := slices.BinarySearchFunc(values, rev+1, func(v value, rev int64) int { return int(v.rev - rev) })
	if i == 0 {
		return ""
	}
	return values[i-1].text
}

// begun notes that a session takes its losses from a store.
func (h *hearsay) begun(session string, by *faulty) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners[session] = by
}

// untold is how many evictions were not told yet by the store that their sessions listen to. The
// end of the session says it too.
func (h *hearsay) untold() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	type loss struct{ session, lock, request string }
	latest := map[loss]int64{}
	for _, l := range h.losses {
		if l.by == h.listeners[l.Session] {
			key := loss{l.Session, l.Lock, l.Request}
			latest[key] = max(latest[key], l.Revision)
		}
	}
	for _, l := range h.evicted {
		if h.listeners[l.Session] != nil && latest[loss{l.Session, l.Lock, l.Request}] < l.Revision && latest[loss{l.Session, "", ""}] < l.Revision {
			n++
		}
	}
	return n
}

// check finds out whether what was told is true, that something holds nothing as of a revision, and
// whether all evictions are told.
func (h *hearsay) check(t *testing.T) {
	t.Helper()
	storetest.Eventually(t, "all evictions to be told", func() bool { return h.untold() == 0 })
	h.mu.Lock()
	defer h.mu.Unlock()
	sessions := 0
	for _, l := range h.losses {
		switch {
		case l.Revision > h.until:
		case l.Lock == "":
			sessions++
			if h.was("sessions/"+l.Session, l.Revision) != "" {
				t.Errorf("told %+v, and the session was there", l)
			}
		case h.was("locks/"+l.Lock, l.Revision) == l.Session+"."+l.Request:
			t.Errorf("told %+v, and it held the lock", l)
		}
	}
	t.Logf("%d losses were told, %d of them of sessions; of %d evictions all", len(h.losses), sessions, len(h.evicted))
	if len(h.losses) == sessions {
		t.Error("no loss of a hold was told: the run proves nothing of them")
	}
}
