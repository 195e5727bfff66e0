package etcdstore

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// history remembers which revision was current when, since etcd compacts by revision, and what is
// to be kept is a time. It is the time in which the store could commit: an outage, or a sleep of
// the process, makes nothing older. Whoever repeats a call after one, to learn how its section
// ended, still finds that there.
type history struct {
	all    span // of what is kept; keep 0: for ever
	recent span // of what is kept while there is little space
	served time.Duration
	seen   time.Time // when the store last was able to commit; zero: it is not
}

const (
	// leastHistory is kept however little space there is: a call is repeated within seconds.
	leastHistory = 10 * time.Second
	// longestGap is the most that two looks in a row lie apart while the store serves.
	longestGap = probeEvery + probeTimeout
)

func newHistory(keep time.Duration) *history {
	return &history{all: span{keep: keep}, recent: span{keep: min(keep, leastHistory)}}
}

// look takes in the current revision, and returns the one to compact to: 0 for none.
func (h *history) look(rev int64, now time.Time, tight bool) int64 {
	if h.all.keep == 0 {
		return 0
	}
	if !h.seen.IsZero() {
		h.served += min(now.Sub(h.seen), longestGap)
	}
	h.seen = now
	old, recent := h.all.due(rev, h.served), h.recent.due(rev, h.served)
	if tight {
		return recent
	}
	return old
}

// pause notes that the store cannot commit just now.
func (h *history) pause() { h.seen = time.Time{} }

// span remembers the revisions of a time that is kept.
type span struct {
	keep  time.Duration
	marks []mark
}

type mark struct {
	at  time.Duration // as time that was served
	rev int64
}

// due takes in the current revision and returns the newest that is too old, 0 for none. It moves
// in steps of an eighth of what is kept, so that compaction is neither rare nor constant.
func (s *span) due(rev int64, now time.Duration) int64 {
	if n := len(s.marks); n == 0 || now-s.marks[n-1].at >= s.keep/8 {
		s.marks = append(s.marks, mark{now, rev})
	}
	var to int64
	for len(s.marks) > 0 && now-s.marks[0].at >= s.keep {
		to = s.marks[0].rev
		s.marks = s.marks[1:]
	}
	return to
}

// compact drops etcd's history up to a revision; 0: nothing is due.
func (s *Store) compact(rev int64) {
	if rev <= 1 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, commit.Timeout)
	defer cancel()
	_, err := s.etcd().Compact(ctx, rev)
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrCompacted): // by another server
		s.space.droppedUpTo(rev)
	case s.ctx.Err() == nil:
		s.log.Warn("history was not compacted", "err", err)
	}
}
