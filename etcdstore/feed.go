package etcdstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Watchers and tails are served from the mirror's one watch of etcd: the mirror hands on what it is
// told, with what each key was before, and the feed tells everybody from a goroutine of its own. A
// watcher costs etcd nothing but the state at its start.
//
//	etcd ─ watch ─ mirror ─ facts ─ feed ┬ news ─ Watch
//	                                     ├ news ─ Watch
//	                                     └ a wink ─ Tail
//
// What happened is explained once for all. Who left is known from the mirror, and why, mostly, from
// this store's own answers. Only of ends through other stores the notes are read, of all that have
// gathered at once.
//
// Nobody holds up the feed, and the feed does not hold up the mirror. What a watcher has not taken
// is bounded, and so is what the feed has not explained. Whatever was missed, by a gap in the watch
// or for want of room, is made good by the state as it is then.

const (
	// News come at most once in a tick. With more than tickRoom watchers and tails the ticks grow
	// with their number, up to maxTick, so that what they cost all together does not.
	tick     = 20 * time.Millisecond
	tickRoom = 40
	maxTick  = 500 * time.Millisecond

	maxFacts   = 1 << 16 // that are not explained
	maxOwnEnds = 1 << 14 // whose events have not come; the notes of further ones are read
)

// watchRoom is how many events a watcher may be behind.
const watchRoom = 1 << 14

// fact is an event of the mirror's watch, and what its key was before.
type fact struct {
	*clientv3.Event
	before past
	after  *mirrorHolder // what a lock's key is now, if the mirror has it in this form; or nil
}

type feed struct {
	keys keys
	look func(context.Context, []at[string]) (*pb.TxnResponse, error) // reads keys, each as of a revision

	recent recent

	takers  atomic.Int64  // how many watch or tail; facts wait only for them
	arrived chan struct{} // of size 1: there are facts

	mu    sync.Mutex // of what comes in
	runs  [][]fact   // whole revisions, in order; nil: something was missed
	facts int        // in runs
	ends  map[sectionKey]ownEnd

	joining sync.Mutex        // of who is told; before mu
	groups  map[string]*group // of watchers, by prefix
	lengths []int             // that these prefixes have, each once
	tails   map[string]map[*tail]struct{}
}

func newFeed(k keys) *feed {
	return &feed{
		keys: k, arrived: make(chan struct{}, 1), ends: map[sectionKey]ownEnd{},
		groups: map[string]*group{}, tails: map[string]map[*tail]struct{}{},
	}
}

// group is the watchers of one prefix, who are told the same.
type group struct {
	watchers map[*watcher]struct{}
	events   []Event // gathered for the next news
}

// watcher is one Watch.
type watcher struct {
	ready chan struct{} // of size 1: there is news

	mu     sync.Mutex
	news   []*News // nil: something was missed
	events int     // in news
	behind bool    // there was no room
}

// tail is one Tail. A wink says that a section of its lock may have been published.
type tail struct{ wink chan struct{} }

// signal makes a channel of size 1 ready.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put takes in a run of facts. If nobody is told, they are remembered only: whoever begins to watch
// just then does not miss them. etcd had committed them before, so they are in what it is asked for
// next.
func (f *feed) put(run []fact) {
	f.recent.put(run)
	f.hand(run)
}

// begin takes in that something was missed, and that the mirror has been listed anew, as of a
// revision.
func (f *feed) begin(rev int64) {
	f.recent.begin(rev)
	f.hand(nil)
}

// hand hands a run of facts to those who are told; nil: something was missed. If there is no room,
// that is missed as well.
func (f *feed) hand(run []fact) {
	if f.takers.Load() == 0 {
		return
	}
	f.mu.Lock()
	if f.facts += len(run); f.facts > maxFacts {
		f.runs, f.facts, run = nil, 0, nil
	}
	f.runs = append(f.runs, run)
	f.mu.Unlock()
	signal(f.arrived)
}

// ended takes in how a section ended, by an answer to this store.
func (f *feed) ended(by ownEnd) {
	if by.token == 0 || f.takers.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ends) >= maxOwnEnds { // answers that came after their events
		clear(f.ends)
	}
	f.ends[by.sectionKey] = by
}

// join has a watcher told of what happens from now on.
func (f *feed) join(prefix string) *watcher {
	w := &watcher{ready: make(chan struct{}, 1)}
	f.joining.Lock()
	defer f.joining.Unlock()
	g := f.groups[prefix]
	if g == nil {
		g = &group{watchers: map[*watcher]struct{}{}}
		f.groups[prefix] = g
		f.measure()
	}
	g.watchers[w] = struct{}{}
	f.takers.Add(1)
	return w
}

// leave ends what join began.
func (f *feed) leave(prefix string, w *watcher) {
	f.joining.Lock()
	defer f.joining.Unlock()
	g := f.groups[prefix]
	delete(g.watchers, w)
	if len(g.watchers) == 0 {
		delete(f.groups, prefix)
		f.measure()
	}
	f.left()
}

// joinTail has a tail told of a lock.
func (f *feed) joinTail(lock string) *tail {
	t := &tail{make(chan struct{}, 1)}
	f.joining.Lock()
	defer f.joining.Unlock()
	if f.tails[lock] == nil {
		f.tails[lock] = map[*tail]struct{}{}
	}
	f.tails[lock][t] = struct{}{}
	f.takers.Add(1)
	return t
}

// leaveTail ends what joinTail began.
func (f *feed) leaveTail(lock string, t *tail) {
	f.joining.Lock()
	defer f.joining.Unlock()
	delete(f.tails[lock], t)
	if len(f.tails[lock]) == 0 {
		delete(f.tails, lock)
	}
	f.left()
}

// wink has the tails of a lock look whether something was published.
func (f *feed) wink(lock string) {
	if f.takers.Load() == 0 {
		return
	}
	f.joining.Lock()
	defer f.joining.Unlock()
	for t := range f.tails[lock] {
		signal(t.wink)
	}
}

// winkAll is wink for the tails of all locks.
func (f *feed) winkAll() {
	f.joining.Lock()
	defer f.joining.Unlock()
	for _, tails := range f.tails {
		for t := range tails {
			signal(t.wink)
		}
	}
}

// left drops what nobody is told any more. joining is held.
func (f *feed) left() {
	if f.takers.Add(-1) > 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs, f.facts = nil, 0
	clear(f.ends)
}

// measure finds the lengths that prefixes have. joining is held.
func (f *feed) measure() {
	lengths := map[int]struct{}{}
	for prefix := range f.groups {
		lengths[len(prefix)] = struct{}{}
	}
	f.lengths = slices.Sorted(maps.Keys(lengths))
}

// watching yields the groups that watch a lock: of each length that a prefix has, the name has one.
// joining is held.
func (f *feed) watching(lock string, yield func(*group)) {
	for _, n := range f.lengths {
		if n > len(lock) {
			return
		}
		if g := f.groups[lock[:n]]; g != nil {
			yield(g)
		}
	}
}

// watched reports whether anybody watches a lock. joining is held.
func (f *feed) watched(lock string) (is bool) {
	f.watching(lock, func(*group) { is = true })
	return is
}

// run tells everybody, until ctx ends. What an earlier one had not told when it panicked is missed.
func (f *feed) run(ctx context.Context) {
	f.missed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.arrived:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tickFor(f.takers.Load())):
		}
		f.flush(ctx)
	}
}

// tickFor is how long facts are gathered for so many watchers and tails.
func tickFor(takers int64) time.Duration {
	return min(tick*time.Duration(max(1, takers/tickRoom)), maxTick)
}

// flush tells what has gathered.
func (f *feed) flush(ctx context.Context) {
	f.mu.Lock()
	runs := f.runs
	f.runs, f.facts = nil, 0
	f.mu.Unlock()
	var facts []fact
	for _, run := range runs {
		if run != nil {
			facts = append(facts, run...)
			continue
		}
		f.tell(ctx, facts)
		f.missed()
		facts = nil
	}
	f.tell(ctx, facts)
}

// tell tells of a run of facts. If a note cannot be read that it takes, that is missed.
func (f *feed) tell(ctx context.Context, facts []fact) {
	if len(facts) == 0 {
		return
	}
	events, open := f.explain(facts)
	if err := f.readNotes(ctx, events, open); err != nil {
		f.missed()
		return
	}
	f.joining.Lock()
	defer f.joining.Unlock()
	var told []*group
	for _, e := range events {
		f.watching(e.Lock, func(g *group) {
			if len(g.events) == 0 {
				told = append(told, g)
			}
			g.events = append(g.events, e)
		})
	}
	rev := facts[len(facts)-1].Kv.ModRevision
	for _, g := range told {
		n := &News{Events: g.events, Revision: rev}
		g.events = nil
		for w := range g.watchers {
			w.put(n)
		}
	}
}

// missed has all watchers begin anew, and all tails look.
func (f *feed) missed() {
	f.joining.Lock()
	defer f.joining.Unlock()
	for _, g := range f.groups {
		for w := range g.watchers {
			w.put(nil)
		}
	}
	for _, tails := range f.tails {
		for t := range tails {
			signal(t.wink)
		}
	}
}

// put hands news to a watcher; nil: something was missed. A watcher that has taken everything has
// room for whatever comes.
func (w *watcher) put(n *News) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := 1
	if n != nil {
		size = len(n.Events)
	}
	switch {
	case w.behind:
	case len(w.news) > 0 && w.events+size > watchRoom:
		w.behind, w.news = true, nil
	default:
		w.news = append(w.news, n)
		w.events += size
	}
	signal(w.ready)
}

// take returns what a watcher has not taken. The error is [ErrQuota].
func (w *watcher) take() (news []*News, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind {
		return nil, fmt.Errorf("%w: the watcher is more than %d events behind", ErrQuota, watchRoom)
	}
	news = w.news
	w.news, w.events = nil, 0
	return news, nil
}

// explain turns facts into what happened, for locks that are watched, and winks at tails. open are
// the events of ends that are not known to be this store's own.
func (f *feed) explain(facts []fact) (events []Event, open []int) {
	f.joining.Lock()
	defer f.joining.Unlock()
	return f.keys.explain(facts, f.watched, func(lock string, c fact) (noteValue, bool) {
		own, known := f.endOf(lock, c)
		if len(f.tails[lock]) > 0 && mayPublish(c) && (!known || own.published) {
			for t := range f.tails[lock] {
				signal(t.wink)
			}
		}
		return own.note, known
	})
}

// mayPublish reports whether a change of a lock's key may have published a section: it was held.
func mayPublish(c fact) bool { return c.Type == clientv3.EventTypeDelete || c.before != nil }

// endOf is how the section ended that held a lock before a change, if this store has ended it.
func (f *feed) endOf(lock string, c fact) (own ownEnd, known bool) {
	left, ok := eventBefore(f.keys, c)
	if !ok {
		return ownEnd{}, false
	}
	key := sectionKey{lock, left.Token}
	f.mu.Lock()
	defer f.mu.Unlock()
	own, known = f.ends[key]
	delete(f.ends, key)
	return own, known
}

// readNotes finds out how the open ones of the events have ended: the note is put with the end.
func (f *feed) readNotes(ctx context.Context, events []Event, open []int) error {
	for some := range slices.Chunk(open, commit.MaxOps) {
		notes := make([]at[string], len(some))
		for i, n := range some {
			e := events[n]
			notes[i] = at[string]{e.Revision, f.keys.note(e.Lock, e.Token)}
		}
		ctx, cancel := context.WithTimeout(ctx, explainSoon)
		resp, err := f.look(ctx, notes)
		cancel()
		if err != nil {
			return err
		}
		for i, n := range some {
			if kv := op.First(resp, i); kv != nil {
				v, _ := decodeNote(kv.Value) // what is malformed says all the same that it was undone
				events[n].undone(v)
			}
		}
	}
	return nil
}
