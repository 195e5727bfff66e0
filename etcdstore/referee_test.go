package etcdstore_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// referee follows etcd itself and judges every grant by what stood there one revision before,
// whatever the stores and their clients make of it:
//
//   - who is granted a lock is the first in its queue, or the queue is empty and the lock free;
//   - nobody holds a lock and waits for it.
type referee struct {
	t     *testing.T
	locks map[string]*refereed
	until atomic.Int64 // up to which revision it has judged

	grants, promotions int // promotions are grants of a free lock that somebody waited for
}

// refereed is one lock.
type refereed struct {
	holder string // session.request; empty: nobody
	queue  []queued
}

type queued struct {
	owner string
	rev   int64
}

// startReferee judges all that happens from now on. stop returns when everything until then has
// been judged.
func startReferee(t *testing.T, etcd *clientv3.Client) (r *referee, stop func()) {
	t.Helper()
	r = &referee{t: t, locks: map[string]*refereed{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	from, err := etcd.Get(storetest.Bounded(t), "/dlm/", clientv3.WithPrefix(), clientv3.WithLimit(1))
	if err != nil || len(from.Kvs) > 0 {
		t.Fatalf("the referee has to be there from the beginning: %v, %v", from, err)
	}
	// One revision is never in two parts: what a watch without fragments delivers is whole.
	watch := etcd.Watch(ctx, "/dlm/", clientv3.WithPrefix(), clientv3.WithRev(from.Header.Revision+1), clientv3.WithCreatedNotify())
	if created := <-watch; !created.Created {
		t.Fatalf("the referee's watch: %v", created.Err())
	}
	const over = "/dlm/over" // no family of keys
	go func() {
		defer close(done)
		for resp := range watch {
			if err := resp.Err(); errors.Is(err, rpctypes.ErrCompacted) {
				t.Error("the referee was too slow")
			}
			for len(resp.Events) > 0 {
				rev := resp.Events[0].Kv.ModRevision
				n := slices.IndexFunc(resp.Events, func(e *clientv3.Event) bool { return e.Kv.ModRevision != rev })
				if n < 0 {
					n = len(resp.Events)
				}
				if string(resp.Events[0].Kv.Key) == over {
					return
				}
				r.judge(rev, resp.Events[:n])
				r.until.Store(rev)
				resp.Events = resp.Events[n:]
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r, func() {
		t.Helper()
		if _, err := etcd.Put(storetest.Bounded(t), over, ""); err != nil {
			t.Fatalf("put: %v", err)
		}
		storetest.Await(t, "the referee", done)
	}
}

// judge looks at one revision: first at the grants, by what was before, then at what is.
func (r *referee) judge(rev int64, events []*clientv3.Event) {
	holders := map[string]string{} // after this revision, of the locks that it changes
	for _, e := range events {
		lock, ok := strings.CutPrefix(string(e.Kv.Key), "/dlm/locks/")
		if !ok {
			continue
		}
		owner, _, _ := bytes.Cut(e.Kv.Value, []byte{0}) // nobody, if it is deleted
		holders[lock] = string(owner)
		if l := r.lock(lock); e.Type == mvccpb.PUT && l.holder != string(owner) { // otherwise it is a commit
			r.granted(rev, lock, string(owner))
		}
	}
	for _, e := range events {
		rest, ok := strings.CutPrefix(string(e.Kv.Key), "/dlm/queue/")
		if !ok {
			continue
		}
		lock, owner, _ := strings.Cut(rest, "//")
		l := r.lock(lock)
		at := slices.IndexFunc(l.queue, func(q queued) bool { return q.owner == owner })
		switch {
		case e.Type == mvccpb.DELETE && at >= 0:
			l.queue = slices.Delete(l.queue, at, at+1)
		case e.Type == mvccpb.PUT && at < 0:
			l.queue = append(l.queue, queued{owner, rev})
		}
		slices.SortFunc(l.queue, func(a, b queued) int {
			return cmp.Or(cmp.Compare(a.rev, b.rev), cmp.Compare(a.owner, b.owner))
		})
		if _, ok := holders[lock]; !ok {
			holders[lock] = l.holder
		}
	}
	for lock, holder := range holders {
		l := r.lock(lock)
		l.holder = holder
		if slices.ContainsFunc(l.queue, func(q queued) bool { return q.owner == holder }) {
			r.t.Errorf("at %d %s holds %s and waits for it", rev, holder, lock)
		}
	}
}

// granted judges one grant.
func (r *referee) granted(rev int64, lock, owner string) {
	r.grants++
	l := r.lock(lock)
	switch {
	case len(l.queue) == 0 && l.holder != "":
		r.t.Errorf("at %d %s is granted to %s, who did not wait, while %s held it", rev, lock, owner, l.holder)
	case len(l.queue) > 0 && l.queue[0].owner != owner:
		r.t.Errorf("at %d %s is granted to %s, past %+v", rev, lock, owner, l.queue)
	case len(l.queue) > 0 && l.holder == "":
		r.promotions++
	}
}

func (r *referee) lock(name string) *refereed {
	l := r.locks[name]
	if l == nil {
		l = &refereed{}
		r.locks[name] = l
	}
	return l
}
