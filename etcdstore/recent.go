package etcdstore

import (
	"context"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// The last changes that the watch has told are kept, so that what has just happened can be told
// without etcd. They are kept as they came: what they mean is found out when somebody asks, and
// until then they cost next to nothing.

const maxRecent = 1 << 14 // changes that are kept, some MB

// recent are the last changes, whole revisions and none left out.
type recent struct {
	mu    sync.Mutex
	runs  []recentRun
	facts int       // in runs
	after int64     // everything that has changed after this revision is in runs
	since time.Time // when the watch had come to it
}

type recentRun struct {
	facts []fact
	at    time.Time // when they were told
}

func (r *recentRun) last() int64 { return r.facts[len(r.facts)-1].Kv.ModRevision }

// begin forgets all: the watch goes on behind a revision.
func (r *recent) begin(rev int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs, r.facts, r.after, r.since = nil, 0, rev, time.Now()
}

func (r *recent) put(facts []fact) {
	if len(facts) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, recentRun{facts, time.Now()})
	r.facts += len(facts)
	for r.facts > maxRecent {
		oldest := &r.runs[0]
		r.after, r.since = oldest.last(), oldest.at
		r.facts -= len(oldest.facts)
		*oldest = recentRun{} // which the array may outlive
		r.runs = r.runs[1:]
	}
}

// has reports whether everything is kept that has changed after a revision.
func (r *recent) has(since int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.covers(since)
}

// covers is has with mu held.
func (r *recent) covers(since int64) bool { return r.after > 0 && r.after <= since }

// between returns what has changed after a revision: up to another one, which the watch has come
// to, or the first of it, whole revisions. It returns up to which; false: not all of it is kept.
func (r *recent) between(since, upTo int64) (facts []fact, rev int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.covers(since) {
		return nil, 0, false
	}
	rev = since
	first := sort.Search(len(r.runs), func(i int) bool { return r.runs[i].last() > since })
	for i := range r.runs[first:] {
		for _, f := range r.runs[first+i].facts {
			switch now := f.Kv.ModRevision; {
			case now <= since:
				continue
			case now > upTo:
				return facts, upTo, true
			case now > rev && len(facts) >= catchUpRound:
				return facts, rev, true
			}
			facts, rev = append(facts, f), f.Kv.ModRevision
		}
	}
	return facts, upTo, true
}

// all returns all that is kept, and from when on nothing is left out.
func (r *recent) all() (runs []recentRun, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.runs), r.since
}

// PastEvent is an event, and when this store was told of it.
type PastEvent struct {
	Event
	Told time.Time
}

// howUnknown is the reason of an end of which it is not known any more whether it was a release.
const howUnknown = "it is not known any more how"

// LastEvents returns the last events of a lock that this store remembers, at most a number of them,
// the latest first; and from when on it remembers all. It remembers some ten thousand changes of
// all locks together, no longer than it is open and follows etcd. Without a quorum it returns
// [ErrNoQuorum], or an error of ctx.
//
//   - [ErrInvalidName]: no lock can have that name.
func (s *Store) LastEvents(ctx context.Context, lock string, most int) (events []PastEvent, since time.Time, err error) {
	if err := CheckLock(lock); err != nil {
		return nil, time.Time{}, err
	}
	runs, since := s.mirror.feed.recent.all()
	var facts []fact
	for _, run := range runs {
		facts = append(facts, run.facts...)
	}
	all, open := s.keys.explain(facts, func(name string) bool { return name == lock }, nil)
	if first := len(all) - most; first > 0 {
		all = all[first:]
		open = slices.DeleteFunc(open, func(i int) bool { return i < first })
		for i := range open {
			open[i] -= first
		}
	}
	if err := s.readOldNotes(ctx, all, open); err != nil {
		return nil, time.Time{}, err
	}
	for _, e := range slices.Backward(all) {
		run := sort.Search(len(runs), func(i int) bool { return runs[i].last() >= e.Revision })
		events = append(events, PastEvent{e, runs[run].at})
	}
	return events, since, nil
}

// readOldNotes is readNotes of events that may be so old that etcd has compacted their revision.
// Their notes may still be there. If one is not, it may have been, and the section undone.
func (s *Store) readOldNotes(ctx context.Context, events []Event, open []int) error {
	for oldest := int64(0); ; {
		asOf := slices.Clone(events)
		for _, i := range open {
			asOf[i].Revision = max(asOf[i].Revision, oldest)
		}
		err := s.mirror.feed.readNotes(ctx, asOf, open)
		if errors.Is(err, rpctypes.ErrCompacted) {
			if oldest, err = s.oldestKept(ctx, oldest); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		for _, i := range open {
			asOf[i].Revision = events[i].Revision
			if events[i] = asOf[i]; events[i].Revision < oldest && events[i].Reason == "" {
				events[i].Reason = howUnknown
			}
		}
		return nil
	}
}
