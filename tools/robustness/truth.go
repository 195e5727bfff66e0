package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// prefix is what all keys of the servers begin with.
const prefix = "/dlm/"

// change is one put or deletion of a key.
type change struct {
	rev     int64
	created int64  // the revision since which the key has been there
	lease   int64  // that the key is put on; 0: none
	key     string // without the prefix
	value   []byte
	deleted bool
	seen    time.Time
}

// section is what really became of one section.
type section struct {
	lock, session, request string
	token                  int64
	prev                   int64 // the token before a commit
	began                  time.Time
	end                    int64 // the revision at which the token stopped to hold; 0: it holds
	ended                  time.Time
	next                   int64 // the token that its own commit made, 0: none
	marked, noted, expired bool
	records                map[string]recorded // by request
}

type recorded struct {
	rev    int64
	number uint64 // in its section
	operation
}

func newRecorded(c change) (r recorded, err error) {
	r.rev = c.rev
	if r.number, r.operation, err = parseStaged(c.value); err != nil {
		return r, fmt.Errorf("%s at %d: %w", c.key, c.rev, err)
	}
	return r, nil
}

// published reports whether the section became readable.
func (s *section) published() bool { return s.marked }

// own reports whether the section was ended by a call of its holder that is not known to have
// undone it.
func (s *section) own() bool { return s.end > 0 && (s.marked || !s.noted && !s.expired) }

type sectionID struct {
	lock  string
	token int64
}

// epoch is the time between two restores. A restored cluster has the past of its snapshot, and
// another future than the one it had.
type epoch struct {
	from    time.Time // when it began
	changes []change
	cut     bool  // by a restore
	since   int64 // tokens of what is granted in it are above this

	compactions []compaction // by the run
	tight       []span       // when etcd may have had no space
	doubling    []span       // when a message may have been delivered more often than it was sent
}

// span is a time from one moment to another; to is zero while it lasts.
type span struct{ from, to time.Time }

// meets reports whether the span has some of the time from one moment to another.
func (s span) meets(from, to time.Time) bool {
	return to.After(s.from) && (s.to.IsZero() || from.Before(s.to))
}

// full reports whether etcd may have had no space at a time.
func (e *epoch) full(at time.Time) bool {
	return slices.ContainsFunc(e.tight, func(s span) bool { return s.meets(at, at) })
}

// doubled reports whether what was asked by a call may have come to a server more often than it was
// sent: its client then has not ruled out that a copy comes after the answer.
func (e *epoch) doubled(a answer) bool {
	return slices.ContainsFunc(e.doubling, func(s span) bool { return s.meets(a.Asked, a.Answered) })
}

// endOf is when an epoch was over; after all that is known, if it is not.
func endOf(epochs []*epoch, i int) time.Time {
	if i+1 < len(epochs) {
		return epochs[i+1].from
	}
	return time.Unix(1<<40, 0)
}

// compaction is when etcd's history up to a revision may have been dropped.
type compaction struct {
	rev int64
	at  time.Time
}

// forgotten reports whether what happened at a revision may not be known any more at a time.
func (e *epoch) forgotten(rev int64, at time.Time) bool {
	return slices.ContainsFunc(e.compactions, func(c compaction) bool { return c.rev >= rev && c.at.Before(at) })
}

// truth is what a watch of etcd saw.
type truth struct {
	mu     sync.Mutex
	epochs []*epoch
	rev    int64 // seen up to here
	failed error
}

func newTruth() *truth { return &truth{epochs: []*epoch{{from: time.Now()}}} }

func (t *truth) current() *epoch { return t.epochs[len(t.epochs)-1] }

// noSpace notes that etcd may have no space from now on, until what it returns is called.
func (t *truth) noSpace() (over func()) {
	return t.spanning(func(e *epoch) *[]span { return &e.tight })
}

// doubles notes that messages may be delivered twice from now on, until what it returns is called.
func (t *truth) doubles() (over func()) {
	return t.spanning(func(e *epoch) *[]span { return &e.doubling })
}

// spanning begins a span of the epoch, which ends when what it returns is called.
func (t *truth) spanning(of func(*epoch) *[]span) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := of(t.current())
	i := len(*spans)
	*spans = append(*spans, span{from: time.Now()})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		(*spans)[i].to = time.Now().Add(time.Second) // what happened by then may be seen later
	}
}

// compacting notes that the history of all that was seen is about to be dropped, and returns up to
// where.
func (t *truth) compacting() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.current()
	e.compactions = append(e.compactions, compaction{rev: t.rev, at: time.Now()})
	return t.rev
}

// restore begins a new epoch: what was seen above the snapshot's revision has not happened.
func (t *truth) restore(snapshot, rev int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.current()
	kept := slices.DeleteFunc(slices.Clone(before.changes), func(c change) bool { return c.rev > snapshot })
	before.cut = true
	t.epochs = append(t.epochs, &epoch{from: time.Now(), since: rev, changes: kept, tight: slices.Clone(before.tight), doubling: slices.Clone(before.doubling)})
	t.rev = rev
}

// watch takes in all changes until ctx ends, from where it stopped before.
func (t *truth) watch(ctx context.Context, etcd *clientv3.Client) {
	for ctx.Err() == nil {
		t.mu.Lock()
		from := t.rev + 1
		t.mu.Unlock()
		wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		for resp := range etcd.Watch(wctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
			if resp.CompactRevision > 0 {
				t.mu.Lock()
				t.failed = fmt.Errorf("etcd's history is compacted to %d, and was seen to %d", resp.CompactRevision, from-1)
				t.mu.Unlock()
			}
			if resp.Err() != nil {
				break
			}
			t.take(resp.Events)
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (t *truth) take(events []*clientv3.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, e := range events {
		t.rev = max(t.rev, e.Kv.ModRevision)
		t.current().changes = append(t.current().changes, change{
			rev: e.Kv.ModRevision, created: e.Kv.CreateRevision, lease: e.Kv.Lease,
			key: strings.TrimPrefix(string(e.Kv.Key), prefix), value: e.Kv.Value,
			deleted: e.Type == clientv3.EventTypeDelete, seen: now,
		})
	}
}

// await waits until everything up to a revision was seen.
func (t *truth) await(ctx context.Context, rev int64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		t.mu.Lock()
		seen, failed := t.rev, t.failed
		t.mu.Unlock()
		if seen >= rev || failed != nil {
			return failed
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("etcd was seen to %d, and is at %d: %w", seen, rev, ctx.Err())
		case <-tick.C:
		}
	}
}

// soFar is what was seen up to now, to be looked at while more is seen.
func (t *truth) soFar() []*epoch {
	t.mu.Lock()
	defer t.mu.Unlock()
	epochs := make([]*epoch, len(t.epochs))
	for i, e := range t.epochs {
		epochs[i] = &epoch{
			from: e.from, since: e.since, changes: e.changes[:len(e.changes):len(e.changes)], cut: e.cut,
			compactions: slices.Clone(e.compactions), tight: slices.Clone(e.tight), doubling: slices.Clone(e.doubling),
		}
	}
	return epochs
}

// facts is what is known of one epoch.
type facts struct {
	sections map[sectionID]*section
	byAcq    map[string][]*section // by lock, session and request
	sessions map[string]int64      // → the revision at which it ended, 0: it lives

	published []*publish // by one call, in the order of revisions
	publishes map[publishID]*publish
	withdrawn map[publishID]bool
	highest   map[publishID]uint64 // of each lane, without a number: the highest that is noted
	forgotten int64                // up to which revision notes may be gone
}

func acqKey(lock, session, request string) string { return lock + "\n" + session + "." + request }

// facts works out what became of each section; with an error, that a revision is impossible, of
// those before it.
func (e *epoch) facts() (*facts, error) {
	f := &facts{
		sections: map[sectionID]*section{}, byAcq: map[string][]*section{}, sessions: map[string]int64{},
		publishes: map[publishID]*publish{}, withdrawn: map[publishID]bool{}, highest: map[publishID]uint64{},
	}
	held := map[string]*section{}
	for changes := range e.revisions() {
		if err := f.revision(changes, held); err != nil {
			return f, err
		}
	}
	return f, nil
}

// revisions are the changes, those of one revision together.
func (e *epoch) revisions() iter.Seq[[]change] {
	return func(yield func([]change) bool) {
		for i := 0; i < len(e.changes); {
			j := i
			for j < len(e.changes) && e.changes[j].rev == e.changes[i].rev {
				j++
			}
			if !yield(e.changes[i:j]) {
				return
			}
			i = j
		}
	}
}

// revision takes in all changes of one revision: what ends a section, and what says how it ended,
// are in the same one.
func (f *facts) revision(changes []change, held map[string]*section) error {
	gone := map[string]bool{}
	for _, c := range changes {
		if id, ok := strings.CutPrefix(c.key, "sessions/"); ok {
			if gone[id] = c.deleted; c.deleted {
				f.sessions[id] = c.rev
			} else {
				f.sessions[id] = 0
			}
		}
	}
	for _, c := range changes {
		lock, isLock := strings.CutPrefix(c.key, "locks/")
		if !isLock {
			continue
		}
		old := held[lock]
		if old != nil {
			old.end, old.ended, old.expired = c.rev, c.seen, gone[old.session]
			delete(held, lock)
		}
		if c.deleted {
			continue
		}
		s, err := granted(lock, c)
		if err != nil {
			return err
		}
		if s.prev != 0 {
			if old == nil || old.token != s.prev || old.session != s.session || old.request != s.request {
				return fmt.Errorf("lock %s: the commit at %d is of token %d, and %+v held", lock, c.rev, s.prev, old)
			}
			old.next = s.token
		}
		held[lock] = s
		f.sections[sectionID{lock, s.token}] = s
		key := acqKey(lock, s.session, s.request)
		f.byAcq[key] = append(f.byAcq[key], s)
	}
	for _, c := range changes {
		if c.deleted {
			continue
		}
		family, rest, _ := strings.Cut(c.key, "/")
		lock, tail, _ := strings.Cut(rest, "//")
		token16, request, _ := strings.Cut(tail, "/")
		switch family {
		case "commits", "undone", "staged":
			token, err := strconv.ParseInt(token16, 16, 64)
			if err != nil {
				return fmt.Errorf("key %s: %w", c.key, err)
			}
			s := f.sections[sectionID{lock, token}]
			if s == nil {
				return fmt.Errorf("%s at %d is of a token that was never granted", c.key, c.rev)
			}
			switch family {
			case "commits":
				if s.end != c.rev || s.noted {
					return fmt.Errorf("%s is put at %d, and the section ended at %d (undone: %t)", c.key, c.rev, s.end, s.noted)
				}
				s.marked = true
			case "undone":
				if s.marked || s.end == 0 {
					return fmt.Errorf("%s is put at %d: published %t, ended at %d", c.key, c.rev, s.marked, s.end)
				}
				s.noted = true
			default:
				if _, twice := s.records[request]; twice || s.end != 0 && s.end != c.rev {
					return fmt.Errorf("%s is staged at %d: twice %t, ended at %d", c.key, c.rev, twice, s.end)
				}
				if s.records[request], err = newRecorded(c); err != nil {
					return err
				}
			}
		}
	}
	return f.takePublishes(changes)
}

// granted reads a holder's value.
func granted(lock string, c change) (*section, error) {
	owner, rest, _ := bytes.Cut(c.value, []byte{0})
	session, request, found := strings.Cut(string(owner), ".")
	var v struct {
		Prev int64 `json:"prev"`
	}
	if err := json.Unmarshal(rest, &v); err != nil {
		return nil, fmt.Errorf("lock %s at %d: holder %q: %w", lock, c.rev, c.value, err)
	}
	if !found {
		return nil, fmt.Errorf("lock %s at %d: holder %q", lock, c.rev, c.value)
	}
	return &section{lock: lock, session: session, request: request, token: c.rev, prev: v.Prev, began: c.seen, records: map[string]recorded{}}, nil
}
