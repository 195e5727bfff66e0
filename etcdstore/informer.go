package etcdstore

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

const (
	listPage   = 1000
	relistWait = 200 * time.Millisecond
)

// inform keeps the mirror: it lists, watches from the next revision, and lists again when the watch is lost or its
// revisions have been compacted away. loaded is closed after the first listing.
func (s *Store) inform(loaded chan<- struct{}) {
	for s.ctx.Err() == nil {
		rev, err := s.list()
		if err == nil {
			if loaded != nil {
				close(loaded)
				loaded = nil
			}
			err = s.follow(rev + 1)
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

// list loads the mirror with everything as it was at one revision.
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
	s.mirror.reset(kvs, sc.rev)
	return sc.rev, nil
}

// getAnyway reads past the refusal of calls while the store cannot commit: it begins so.
func (s *Store) getAnyway(key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(s.ctx, commit.Timeout)
	defer cancel()
	return s.etcd.Get(ctx, key, opts...)
}

// follow feeds the mirror from a watch until the watch is lost.
func (s *Store) follow(rev int64) error {
	from, end := s.keys.mirrored()
	tell := func(events []*clientv3.Event) {
		s.mirror.observe(events)
		s.usage.forget(s.keys, events)
	}
	if s.local != nil {
		return s.local.Follow(s.ctx, from, end, rev, tell)
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.ctx))
	defer cancel()
	for resp := range s.etcd.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev)) {
		if err := resp.Err(); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		tell(resp.Events)
	}
	return fmt.Errorf("watch: ended")
}
