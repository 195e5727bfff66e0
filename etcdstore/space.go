package etcdstore

import (
	"context"
	"fmt"
	"sync/atomic"
)

// space is what is known of etcd's room.
type space struct {
	tight atomic.Bool // new data is refused
}

// refuseAt is the part of etcd's space quota, in percent, from which on new data is refused:
// sessions, acquires, records. The rest is for ending what there is: to release, fold and sweep
// also puts something, and at 100 % etcd refuses every put.
const refuseAt = 80

// room is [ErrNoSpace] while etcd's space is nearly used up.
func (s *Store) room() error {
	if s.space.tight.Load() {
		return fmt.Errorf("%w: over %d %% of etcd's quota is used", ErrNoSpace, refuseAt)
	}
	return nil
}

// lookAtSpace asks how full etcd is, and notes whether that is too much. The fullest member counts,
// since each has its own file and refuses for all. What counts of the file is what is in use: its
// free pages are used again, though the file does not shrink.
func (s *Store) lookAtSpace() {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	var used, quota int64
	for st := range s.statuses(ctx) {
		if st.DbSizeQuota > 0 && (quota == 0 || st.DbSizeInUse*quota > used*st.DbSizeQuota) {
			used, quota = st.DbSizeInUse, st.DbSizeQuota
		}
	}
	if quota == 0 {
		return // nobody answered, or an etcd too old to know its quota, whose own alarm refuses
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
