package etcdstore

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// tails has a store watch what is published, as long as it has a tail. What is published in one
// call changes no lock, so that the mirror does not hear of it.
type tails struct {
	mu     sync.Mutex
	n      int
	cancel context.CancelFunc
}

func (t *tails) join(s *Store) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n++; t.n > 1 {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	t.cancel = cancel
	s.start(func() { s.watchLatest(ctx) })
}

func (t *tails) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 {
		t.cancel()
	}
}

// watchLatest winks at the tails of each lock of which something is published. Whenever it begins
// to watch, something may have been missed, and it winks at all.
func (s *Store) watchLatest(ctx context.Context) {
	for ctx.Err() == nil {
		watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		news := s.etcd().Watch(watching, s.keys.allLatest(), clientv3.WithPrefix(), clientv3.WithFilterDelete(), clientv3.WithCreatedNotify())
		for resp := range news {
			if resp.Err() != nil {
				break
			}
			if resp.Created {
				s.mirror.feed.winkAll()
			}
			for _, e := range resp.Events {
				if lock, ok := s.keys.parseLatest(string(e.Kv.Key)); ok {
					s.mirror.feed.wink(lock)
				}
			}
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(relistWait):
		}
	}
}
