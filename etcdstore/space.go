package etcdstore

import (
	"context"
	"fmt"
	"sync/atomic"
)

// space is whether etcd has room.
type space struct {
	tight atomic.Bool // new data is refused
}

// refuseAt is the part of etcd's space quota, in percent, at which new data is refused, so that what is held can
// still be released, folded and swept.
const refuseAt = 80

// room refuses new data when etcd's space is nearly used up.
func (s *Store) room() error {
	if s.space.tight.Load() {
		return fmt.Errorf("%w: over %d %% of etcd's quota is used", ErrNoSpace, refuseAt)
	}
	return nil
}

// lookAtSpace asks how full etcd is. What counts is what is in use: free pages are used again.
func (s *Store) lookAtSpace() {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	var used, quota int64
	for _, endpoint := range s.statusEndpoints() {
		st, err := s.etcd.Status(ctx, endpoint)
		if err != nil {
			continue // the quorum's watchdog tells of it
		}
		if st.DbSizeQuota > 0 && (quota == 0 || st.DbSizeInUse*quota > used*st.DbSizeQuota) {
			used, quota = st.DbSizeInUse, st.DbSizeQuota
		}
	}
	if quota == 0 {
		return // an etcd too old to tell; its own alarm refuses
	}
	tight := used*100 >= quota*refuseAt
	if s.space.tight.Swap(tight) != tight {
		if tight {
			s.log.Warn("etcd is nearly full: new data is refused", "used", used, "quota", quota)
		} else {
			s.log.Info("etcd has room again", "used", used, "quota", quota)
		}
	}
}

// statusEndpoints are the members to ask. An etcd in this process has no endpoints, and speaks for its own member.
func (s *Store) statusEndpoints() []string {
	if s.local != nil {
		return []string{""}
	}
	return s.etcd.Endpoints()
}
