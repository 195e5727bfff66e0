package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

const (
	listPage   = 1000                   // keys of one request
	relistWait = 200 * time.Millisecond // after a failure, so that an etcd that is down is not flooded
)

// inform keeps the mirror: it lists everything at one revision, and watches from the next. loaded
// is told of the first listing: nil, or that it is not allowed.
//
// Whenever the watch is lost it lists anew. It does not watch on from where the mirror is: what was
// missed may be compacted, and that is the usual reason why a watch is lost. Until the listing is
// done the mirror stays as it is, and calls go on: it is only behind, as it always may be.
//
// A listing has what is there, and not what has happened meanwhile. A wait whose grant fell into
// the gap is judged by what is there: see mirror.reset. A section that was lost in it has no event
// to be swept by: tidy finds it.
func (s *Store) inform(loaded chan<- error) {
	for s.ctx.Err() == nil && s.seen.Err() == nil {
		rev, err := s.list()
		if err == nil {
			if loaded != nil {
				select {
				case loaded <- nil:
				default: // it begins anew after a panic
				}
				loaded = nil
			}
			err = s.follow(rev + 1)
		} else if loaded != nil && errors.Is(err, rpctypes.ErrPermissionDenied) {
			loaded <- err
			return
		}
		if s.ctx.Err() != nil {
			return
		}
		s.log.Info("listing the locks anew", "err", err)
		select {
		case <-s.ctx.Done():
		case <-time.After(relistWait):
		}
	}
}

// list loads the mirror with everything as it was at one revision, which it returns. All pages are
// of that revision. With each as of its own, a waiter that is granted the lock between two of them
// would be in neither: not yet a holder when the locks are read, and no waiter any more when the
// queues are.
func (s *Store) list() (rev int64, err error) {
	sc := scan{page: listPage, pinned: true}
	sc.from, sc.end = s.keys.mirrored()
	var kvs []*mvccpb.KeyValue
	for resp, err := range sc.pages(s.getAnyway) {
		if err != nil {
			return 0, err
		}
		kvs = append(kvs, resp.Kvs...)
	}
	if err := s.mirror.older(kvs, sc.rev); err != nil {
		s.seen.Refuse(err)
		return 0, err
	}
	s.mirror.reset(kvs, sc.rev)
	return sc.rev, nil
}

// getAnyway reads even while calls are refused because the store cannot commit. A store begins so,
// and opens with the first listing.
func (s *Store) getAnyway(key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(s.ctx, commit.Timeout)
	defer cancel()
	return s.read(ctx, key, opts...)
}

// follow feeds the mirror from a watch, from a revision on, until the watch is lost. It returns
// why.
func (s *Store) follow(rev int64) error {
	from, end := s.keys.mirrored()
	tell := func(events []*clientv3.Event, upTo int64) {
		if n := len(events); n > 0 {
			s.seen.Raise(events[n-1].Kv.ModRevision)
			s.mirror.observe(events)
			s.usage.forget(s.keys, events)
		}
		s.mirror.reached(upTo)
	}
	if s.local != nil {
		return s.local.Follow(s.ctx, from, end, rev, s.asked, tell)
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.ctx))
	defer cancel()
	etcd := s.etcd()
	watch := etcd.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev))
	for {
		select {
		case <-s.asked:
			if err := etcd.RequestProgress(ctx); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
		case resp, ok := <-watch:
			if !ok {
				return fmt.Errorf("watch: ended")
			}
			if err := resp.Err(); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
			switch n := len(resp.Events); {
			case n > 0:
				tell(resp.Events, resp.Events[n-1].Kv.ModRevision)
			case resp.IsProgressNotify():
				tell(nil, resp.Header.Revision)
			}
		}
	}
}
