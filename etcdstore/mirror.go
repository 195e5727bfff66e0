package etcdstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// mirror keeps holders, queues and sessions in memory, so that a call knows what to ask etcd for
// without a question. It learns from the watch (observe), from the store's own transactions as soon
// as they are answered (own, take), and from a listing whenever the watch was lost (reset).
//
// It may be wrong about who holds a lock, who waits for it, and which sessions live: it is behind
// etcd by any amount, and with own changes in it, it is not even a state that etcd was ever in. So
// it only proposes, and the transaction compares what it was made from. docs/protocol.md has what
// comes of each wrong belief.
//
// It must not be wrong about four things, for nobody looks again:
//
//   - rev. Nothing at or below it is still to come. A grant compares waited/L with it, next serves
//     no place above it, and a place at or below it that is not here is gone.
//   - What was put at a revision, which does not change. guard leaves out the lease if the mirror
//     has seen whom the token was granted to, and a wait is granted once its grant was seen.
//   - The order of the changes of one key. An older one never covers a newer: see observe.
//   - What is recorded as ended. The acquire of such an acquisition is refused, and etcd is not
//     asked. The reverse may be wrong: what is not recorded may be granted anew, to nobody, and the
//     session's next heartbeat ends it.
type mirror struct {
	keys    keys
	promote func(lock string)               // called for a free lock with a queue; must not block
	suspect func(sectionKey)                // called for a section whose session ended before it; must not block
	overdue func(sectionKey)                // called for a section past its hold deadline; must not block
	explain func(acquisition)               // called for a loss that somebody takes and that is to be explained; must not block
	lapsed  func(lapse)                     // called for a hold that ended because its session did; must not block
	marked  func(session string, rev int64) // called for a session that is marked as over; must not block
	gone    func(session string) End        // called for a session that has ended, and says why; must not block
	left    func(lapse)                     // called for a session that has ended, to be logged; must not block

	malformed func(key string, why error) // called for a key that is passed over; must not block

	mu       sync.Mutex
	rev      int64 // everything up to here has been told by the watch; own changes do not move it
	told     int64 // so has everything up to here, no earlier than rev, as etcd says: for listings alone
	hoped    []hope
	locks    map[string]*mirrorLock
	queued   map[acquisition]*mirrorWaiter
	crowded  map[string]struct{} // locks with more waiters than shortQueue
	odd      map[string]int64    // locks whose holder cannot be read → its token
	sessions map[string]*mirrorSession
	ahead    map[string]lead // key → its last own change, until the watch repeats that
	waits    map[acquisition][]*wait
	begun    map[string]int // client → sessions that it has begun by this store, and that live
	observer Observer       // set before the mirror is used

	// Who is told of losses, and what of: see told.go.

	links  map[string][]*Link // that take a session's losses
	doubts map[sectionKey]holdLoss
	asked  map[acquisition]holdLoss

	former map[string]*mirrorLock // what was there before the listing that is taken in; nil: none is

	feed *feed // of what the watch tells, for watchers and tails
}

// lead is what a key with an own change is ahead of.
type lead struct {
	rev    int64 // of its last own change
	before past  // what the watch has shown of the key last
}

// past is what a key was, as the watch has shown it: a *mirrorHolder, a *mirrorWaiter, an
// oddHolder, or the *mvccpb.KeyValue that has any of them and was not decoded. nil: it was not
// there, or is another's.
type past any

// oddHolder is the token of a holder that cannot be read.
type oddHolder int64

type mirrorLock struct {
	holder *mirrorHolder // nil: free
	queue  line
}

type mirrorHolder struct {
	holderValue
	lock  string
	token int64
	local bool // granted by this store: usage counts its section from nothing
	ends  int  // how many ends of its section are on their way to etcd

	// Its hold deadline: see deadline.go. The mirror's mu guards warned.

	due    time.Time   // zero: none
	warned bool        // it is near
	timer  *time.Timer // for the warning, then for the deadline; nil: none
}

func (h *mirrorHolder) acquisition() acquisition { return acquisition{h.lock, h.session, h.request} }

type mirrorWaiter struct {
	acquisition
	waiterValue
	created int64 // the key's CreateRevision: its place

	node
}

// before orders a queue: by revision, ties by key.
func (w *mirrorWaiter) before(o *mirrorWaiter) bool {
	if w.created != o.created {
		return w.created < o.created
	}
	return cmp.Or(strings.Compare(w.session, o.session), strings.Compare(w.request, o.request)) < 0
}

type mirrorSession struct {
	sessionValue
	rev     int64                    // at which that was put
	proven  string                   // the secret, once it was seen and found to have the hash; empty: not yet
	tag     string                   // that of its owner, once it was seen and found to be right; empty: not yet, or it is nobody's
	acqs    map[acquisition]struct{} // what it holds and waits for
	ended   []ended                  // what it no longer does, the last of it: see hasEnded
	cancels map[acquisition]int      // how many are on their way to etcd
	newest  uint64                   // the highest request number that was ever recorded in ended
	highest uint64                   // the request number that the last heartbeat came with
	listed  map[Acquisition]bool     // what the last heartbeat said is not finished
	client  string                   // that has begun it by this store; empty: somebody else's
}

// ended is an acquisition that neither holds nor waits any more. held: it held the lock before
// that.
type ended struct {
	acquisition
	held bool
}

// keptEnded bounds what is remembered of a session between two heartbeats. A late duplicate of what
// is forgotten may be granted, and the next heartbeat ends it.
const keptEnded = 1024

// change is a put or a deletion of one mirrored key.
type change struct {
	key     string
	rev     int64
	deleted bool
	value   []byte
	created int64
	local   bool // by a transaction of this store

	// What the value says, if it need not be decoded.
	holder *holderValue
	waiter *waiterValue
}

// at is the change at the revision at which it was made, of a key that was not there before.
func (c change) at(rev int64) change {
	c.rev, c.created = rev, rev
	return c
}

func (c change) asHolder() (holderValue, error) {
	if c.holder != nil {
		return *c.holder, nil
	}
	return decodeHolder(c.value)
}

func (c change) asWaiter() (v waiterValue, err error) {
	if c.waiter != nil {
		return *c.waiter, nil
	}
	return decodeWaiter(c.value)
}

func newMirror(k keys, promote func(string), suspect, overdue func(sectionKey)) *mirror {
	m := &mirror{keys: k, promote: promote, suspect: suspect, overdue: overdue, waits: map[acquisition][]*wait{},
		links: map[string][]*Link{}, doubts: map[sectionKey]holdLoss{}, asked: map[acquisition]holdLoss{}, feed: newFeed(k), observer: nobody{}}
	m.marked, m.lapsed, m.left, m.malformed = func(string, int64) {}, func(lapse) {}, func(lapse) {}, func(string, error) {}
	m.gone = func(string) End { return EndElsewhere }
	m.clear()
	return m
}

func (m *mirror) clear() {
	for _, l := range m.locks {
		l.holder.stop()
	}
	m.locks, m.queued = map[string]*mirrorLock{}, map[acquisition]*mirrorWaiter{}
	m.crowded, m.odd = map[string]struct{}{}, map[string]int64{}
	m.sessions, m.ahead = map[string]*mirrorSession{}, map[string]lead{}
	m.begun = map[string]int{}
}

// stop lets no hold deadline pass any more.
func (m *mirror) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear()
}

// reset replaces everything by a listing at one revision, and looks at every local waiter anew:
// what happened between the last event and the listing is never told. w may have been granted l at
// 12 and evicted at 13 while there was no watch; the listing as of 15 shows neither, and w's wait
// is over.
//
// What clients said outlives the listing. So does what was known of a session's acquisitions: one
// that is not listed has ended, and may have held the lock in between. Only what is ahead of the
// listing has not: the listing is older than this store's own change, and the watch tells it again.
//
// A section that was lost in between has no event to suspect it by: tidy finds it. Its client is
// told from here.
func (m *mirror) reset(kvs []*mvccpb.KeyValue, rev int64) { tellAll(m.replace(kvs, rev)) }

// replace is reset but for the waits that are over by it, which it returns.
func (m *mirror) replace(kvs []*mvccpb.KeyValue, rev int64) []verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, locks, ahead := m.sessions, m.locks, m.ahead
	m.clear()
	m.rev, m.told = rev, rev
	m.reach(rev)
	m.former = locks
	var t touched
	for _, kv := range slices.Backward(kvs) { // sessions sort last, and are needed first
		m.apply(change{key: string(kv.Key), rev: kv.ModRevision, created: kv.CreateRevision, value: kv.Value}, &t)
	}
	m.former = nil
	for id, s := range m.sessions { // what clients said outlives a listing
		if o := old[id]; o != nil {
			s.ended, s.newest, s.highest, s.listed, s.cancels = o.ended, o.newest, o.highest, o.listed, o.cancels
			if s.client = o.client; s.client != "" {
				m.begun[s.client]++
			}
			for a := range o.acqs {
				if ahead[m.keys.lock(a.lock)].rev > rev || ahead[m.keys.waiter(a)].rev > rev {
					continue // this store's own, later than the listing
				}
				if _, ok := s.acqs[a]; !ok {
					s.record(a, true) // it may have been granted, and lost, untold
					l := holdLoss{acquisition: a, rev: rev}
					if o := locks[a.lock]; o != nil && o.holder != nil && o.holder.acquisition() == a {
						l.token, l.ends = o.holder.token, o.holder.ends
					}
					m.lose(l)
				}
			}
		}
	}
	for id, s := range old {
		if m.sessions[id] == nil && ahead[m.keys.session(id)].rev <= rev {
			m.endedUnseen(id, s, locks, rev)
		}
	}
	for id := range m.links {
		if m.sessions[id] == nil && ahead[m.keys.session(id)].rev <= rev {
			m.sessionOver(id, rev)
		}
	}
	verdicts := m.settle(&t)
	for a := range m.waits {
		verdicts = append(verdicts, m.judge(a)...)
	}
	m.feed.begin(rev)
	return verdicts
}

// endedUnseen tells that a session has ended while there was no watch, and with it what it held
// before, as an outage longer than its TTL has it. mu is held.
func (m *mirror) endedUnseen(id string, s *mirrorSession, locks map[string]*mirrorLock, rev int64) {
	l := lapse{session: id, rev: rev, label: s.Label, owner: s.Owner, how: m.gone(id)}
	m.left(l)
	for a := range s.acqs {
		if o := locks[a.lock]; o != nil && o.holder != nil && o.holder.acquisition() == a {
			l.lock, l.token, l.label, l.since = a.lock, o.holder.token, o.holder.Label, o.holder.Since
			m.observer.HoldEnded(l.lock, l.how, heldFor(l.since))
			m.lapsed(l)
		}
	}
}

// older is [ErrWentBack] if a listing at a revision shows a lock's key as it was before the mirror
// had heard of a later grant, though that was no later than the listing: etcd has gone back, and
// the revision has come past what was seen again.
func (m *mirror) older(kvs []*mvccpb.KeyValue, rev int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, kv := range kvs {
		name, ok := m.keys.parseLock(string(kv.Key))
		if l := m.locks[name]; ok && l != nil && l.holder != nil && kv.ModRevision < l.holder.token && l.holder.token <= rev {
			return fmt.Errorf("%w: at revision %d the lock %s is held under %d, and this server has seen it held under %d. An older "+
				"state was restored. %s", ErrWentBack, rev, quoted(name), kv.ModRevision, l.holder.token, commit.Remedy(rev))
		}
	}
	return nil
}

// lock finds or makes a lock's entry; settle drops it when nothing is left in it.
func (m *mirror) lock(name string) *mirrorLock {
	l := m.locks[name]
	if l == nil {
		l = &mirrorLock{}
		m.locks[name] = l
	}
	return l
}

// index notes that a session holds or waits.
func (m *mirror) index(a acquisition) {
	if s := m.sessions[a.session]; s != nil {
		if s.acqs == nil {
			s.acqs = map[acquisition]struct{}{}
		}
		s.acqs[a] = struct{}{}
	}
}

// state is what an acquisition is now, as far as is known, and its token. mu is held.
func (m *mirror) state(a acquisition) (State, int64) {
	if l := m.locks[a.lock]; l != nil && l.holder != nil && l.holder.acquisition() == a {
		return Holding, l.holder.token
	}
	if m.queued[a] != nil {
		return Waiting, 0
	}
	return None, 0
}
