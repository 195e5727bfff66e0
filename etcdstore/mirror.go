package etcdstore

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

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

// observe takes in the events of a watch, whole revisions at a time.
//
// What this store does comes twice, with the answer of its transaction (take) and with the watch,
// in either order, and is applied once. Of each key the revisions only go up: a change is old news
// if the watch has come past it (rev), or if an own change of that key is as new (ahead).
//
// The answer is first. Through this store w is granted l at 12:
//
//	rev 10  take     locks/l at 12: w holds, and l is ahead at 12
//	rev 11  observe  locks/x at 11: applied; until now the mirror had 12 without 11
//	rev 12  observe  locks/l at 12: old news; l is not ahead any more
//
// The watch is first. Applied, the answer would bring w back, who is evicted:
//
//	rev 12  observe  locks/l at 12: w holds
//	rev 14  observe  locks/l at 14: deleted, through another store
//	        take     locks/l at 12: old news, see granted
//
// Two answers cross, since those of a batch may be told beside the next batch. Here the grant must
// not cover the eviction that came after it. But w did hold the lock, and a call that waits for its
// grant is to hear that this is over: see touch.
//
//	rev 10  take     locks/l at 13: deleted, and l is ahead at 13
//	        take     locks/l at 12: old news; w is touched
//	rev 12  observe  locks/l at 12: old news; l is still ahead at 13
//	rev 13  observe  locks/l at 13: old news; l is not ahead any more
//
// A listing comes between, that was asked for before the grant. It forgets the own change, which
// does no harm: the watch goes on behind the listing, and repeats it.
//
//	rev 10  take     locks/l at 12: w holds, and l is ahead at 12
//	rev 11  reset    as of 11: l is free, and nothing is ahead
//	rev 12  observe  locks/l at 12: w holds
func (m *mirror) observe(events []*clientv3.Event) { tellAll(m.news(events)) }

// news is observe but for the waits that are over by it, which it returns.
func (m *mirror) news(events []*clientv3.Event) []verdict {
	facts := make([]fact, 0, len(events))
	m.mu.Lock()
	defer m.mu.Unlock()
	var t touched
	for _, e := range events {
		c := change{
			key: string(e.Kv.Key), rev: e.Kv.ModRevision, created: e.Kv.CreateRevision, value: e.Kv.Value,
			deleted: e.Type == clientv3.EventTypeDelete,
		}
		m.rev = max(m.rev, c.rev)
		before := m.observeOne(c, e.Kv, &t)
		facts = append(facts, fact{e, before, m.holderAt(c)})
	}
	m.reach(m.rev) // here: a listing beside the watch is to say the revision of what is in it
	if len(facts) > 0 {
		m.feed.put(facts)
	}
	return m.settle(&t)
}

// holderAt is whom a change has given a lock to, if that holds it now. mu is held.
func (m *mirror) holderAt(c change) *mirrorHolder {
	if lock, ok := m.keys.parseLock(c.key); ok && !c.deleted {
		if l := m.locks[lock]; l != nil && l.holder != nil && l.holder.token == c.rev {
			return l.holder
		}
	}
	return nil
}

// observeOne takes in one event of a watch, kv, and returns what the watch has shown of its key
// before. mu is held.
func (m *mirror) observeOne(c change, kv *mvccpb.KeyValue, t *touched) (before past) {
	own, ok := m.ahead[c.key]
	if !ok {
		return m.apply(c, t)
	}
	if c.rev >= own.rev {
		delete(m.ahead, c.key)
	} else {
		shown := lead{rev: own.rev}
		if !c.deleted {
			shown.before = kv
		}
		m.ahead[c.key] = shown
	}
	if c.rev > own.rev {
		m.apply(c, t)
	} else {
		m.touch(c, t) // some waits are over only when the watch gets here: see fate
	}
	return own.before
}

// own takes in what a transaction of this store wrote, without waiting for the watch, and ends the
// waits that are over by it.
func (m *mirror) own(changes ...change) { tellAll(m.take(ownEnd{}, changes...)) }

// take is own for a caller that has something to do before others hear of it: it returns the waits
// that are over. A release tells its own caller first, and then the next holder. by is the section
// that the transaction ended; the zero ownEnd: none.
func (m *mirror) take(by ownEnd, changes ...change) (verdicts []verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := touched{by: by}
	m.decide(by)
	m.feed.ended(by)
	for _, c := range changes {
		if c.holder != nil && c.holder.Prev == 0 {
			if lock, ok := m.keys.parseLock(c.key); ok {
				m.observer.Granted(lock)
			}
		}
		if c.rev <= m.rev { // the watch was faster
			m.granted(c)
			continue
		}
		own, ok := m.ahead[c.key]
		if c.rev <= own.rev { // a later change of this key was answered first
			m.touch(c, &t)
			continue
		}
		c.local = true
		before := m.apply(c, &t)
		if !ok {
			own.before = before
		}
		own.rev = c.rev
		m.ahead[c.key] = own
	}
	return m.settle(&t)
}

// granted notes that a grant was this store's own, if the watch was faster than its answer: the
// event did not say so. It matters to what usage has to count. If the lock has passed on since, it
// does not.
func (m *mirror) granted(c change) {
	name, ok := m.keys.parseLock(c.key)
	if l := m.locks[name]; ok && l != nil && l.holder != nil && l.holder.token == c.rev {
		h := *l.holder // others look at it unlocked
		h.local = true
		l.holder = &h
	}
}

// apply makes a change, and returns what its key was before, of holders and waiters.
func (m *mirror) apply(c change, t *touched) past {
	if name, ok := m.keys.parseLock(c.key); ok {
		return m.applyLock(name, c, t)
	}
	if a, ok := m.keys.parseWaiter(c.key); ok {
		return m.applyWaiter(a, c, t)
	}
	if id, ok := m.keys.parseSession(c.key); ok {
		m.applySession(id, c, t)
	} else if kd, ours := m.keys.kindOf(c.key); ours && kd.family() && !c.deleted {
		m.malformed(c.key, errKey)
	}
	return nil
}

func (m *mirror) applyLock(name string, c change, t *touched) (before past) {
	l := m.lock(name)
	old := l.holder
	if old != nil {
		before = old
		t.acq(old.acquisition(), true)
		t.unheld = append(t.unheld, old)
		old.stop()
		l.holder = nil
	} else if token, ok := m.odd[name]; ok {
		before = oddHolder(token)
	}
	delete(m.odd, name)
	t.lock(name)
	var v holderValue
	var err error
	if !c.deleted {
		v, err = c.asHolder()
	}
	a := acquisition{name, v.session, v.request}
	held := !c.deleted && err == nil // by a; what is malformed is nobody's here, and etcd is asked who holds
	if err != nil {
		m.odd[name] = c.rev
		m.malformed(c.key, err)
	}
	if old != nil && !(held && a == old.acquisition()) {
		m.unhold(old, c, t)
	}
	if old != nil && c.deleted && !c.local { // what this store writes is no session's end
		t.freed = append(t.freed, lapse{
			lock: name, session: old.session, token: old.token, rev: c.rev, label: old.Label, owner: old.Owner, since: old.Since,
		})
	}
	if !held {
		return before
	}
	l.holder = &mirrorHolder{holderValue: v, lock: name, token: c.rev, local: c.local}
	m.time(l.holder, old)
	t.acq(a, true)
	m.index(a)
	return before
}

func (h *mirrorHolder) stop() {
	if h != nil && h.timer != nil {
		h.timer.Stop()
	}
}

func (m *mirror) applyWaiter(a acquisition, c change, t *touched) (before past) {
	t.acq(a, false)
	if w := m.queued[a]; w != nil {
		before = w
		q := &m.lock(a.lock).queue
		q.remove(w)
		if q.len() == shortQueue {
			delete(m.crowded, a.lock)
		}
		delete(m.queued, a)
	}
	if c.deleted {
		return before
	}
	v, err := c.asWaiter()
	if err != nil {
		m.malformed(c.key, err)
		return before
	}
	w := &mirrorWaiter{acquisition: a, waiterValue: v, created: c.created}
	q := &m.lock(a.lock).queue
	q.insert(w)
	if q.len() == shortQueue+1 {
		m.crowded[a.lock] = struct{}{}
	}
	m.queued[a] = w
	m.index(a)
	return before
}

// before orders a queue: by revision, ties by key.
func (w *mirrorWaiter) before(o *mirrorWaiter) bool {
	if w.created != o.created {
		return w.created < o.created
	}
	return cmp.Or(strings.Compare(w.session, o.session), strings.Compare(w.request, o.request)) < 0
}

func (m *mirror) applySession(id string, c change, t *touched) {
	if c.deleted {
		how := m.gone(id)
		t.sessionOver(id, c.rev, how)
		if s := m.sessions[id]; s != nil {
			m.left(lapse{session: id, rev: c.rev, label: s.Label, owner: s.Owner, how: how})
		}
		m.disown(m.sessions[id])
		delete(m.sessions, id)
		m.sessionOver(id, c.rev)
		return
	}
	v, err := decodeSession(c.value)
	if err != nil { // what was known of it before counts
		m.malformed(c.key, err)
		return
	}
	s := m.sessions[id]
	if s == nil || !bytes.Equal(s.Secret, v.Secret) {
		s = &mirrorSession{}
		m.sessions[id] = s
	}
	s.sessionValue, s.rev = v, c.rev // the rest stays: it is the same session, attached anew or marked
	if v.Over {
		m.marked(id, c.rev)
	}
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
