package etcdstore

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// history remembers which revision was current when, since etcd compacts by revision, and what is
// to be kept is a time.
type history struct {
	keep  time.Duration // 0: for ever
	marks []mark
}

type mark struct {
	at  time.Time
	rev int64
}

// due takes in the current revision and returns the one to compact to, 0 for none. History is cut
// in steps of an eighth of what is kept, so that compaction is neither rare nor constant.
func (h *history) due(rev int64, now time.Time) int64 {
	if h.keep == 0 {
		return 0
	}
	if n := len(h.marks); n == 0 || now.Sub(h.marks[n-1].at) >= h.keep/8 {
		h.marks = append(h.marks, mark{now, rev})
	}
	var to int64
	for len(h.marks) > 0 && now.Sub(h.marks[0].at) >= h.keep {
		to = h.marks[0].rev
		h.marks = h.marks[1:]
	}
	return to
}

// compact drops etcd's history up to a revision; 0: nothing is due. While etcd is nearly full all
// of it is dropped, at every probe.
func (s *Store) compact(rev int64) {
	if s.history > 0 && s.space.tight.Load() { // what history holds may be all that is in the way
		if now, err := s.ask(); err == nil {
			rev = now
		}
	}
	if rev <= 1 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, commit.Timeout)
	defer cancel()
	_, err := s.etcd.Compact(ctx, rev)
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) && s.ctx.Err() == nil {
		s.log.Warn("history was not compacted", "err", err)
	}
}
