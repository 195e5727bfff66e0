package etcdstore

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// How long a server's entry outlives it, and how often it is renewed.
const (
	registeredTTL = 30 * time.Second
	registerEvery = registeredTTL / 3
)

// register puts an entry of this server into etcd, so that an operator who switches a feature on is
// told if it does not know that, and keeps it there until the store is closed.
func (s *Store) register(lease clientv3.LeaseID) {
	tick := time.NewTicker(registerEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			s.unregister(lease)
			return
		case <-s.seen.Noticed():
			return
		case <-tick.C:
		}
		if lease == clientv3.NoLease || !s.renewEntry(lease) {
			lease = s.putEntry(s.ctx)
		}
	}
}

// putEntry puts the entry on a lease of its own. NoLease: it could not, and is to try again.
func (s *Store) putEntry(ctx context.Context) clientv3.LeaseID {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	granted, err := s.etcd().Grant(ctx, int64(registeredTTL/time.Second))
	if err == nil {
		_, err = s.etcd().Put(ctx, s.keys.server(hex16(int64(granted.ID))), encode(s.info), clientv3.WithLease(granted.ID))
	}
	if err != nil {
		s.log.Debug("this server is not registered", "err", err)
		return clientv3.NoLease
	}
	return granted.ID
}

// renewEntry reports whether the entry is there for certain, or may be.
func (s *Store) renewEntry(lease clientv3.LeaseID) bool {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	ttl, err := s.renewOnce(ctx, lease)
	if err != nil {
		return !errors.Is(err, rpctypes.ErrLeaseNotFound)
	}
	return ttl > 0
}

// unregister ends the entry with the store. If etcd does not answer at once, it ends by itself.
func (s *Store) unregister(lease clientv3.LeaseID) {
	if lease == clientv3.NoLease || !s.health.Up() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Second)
	defer cancel()
	_, _ = s.etcd().Revoke(ctx, lease)
}
