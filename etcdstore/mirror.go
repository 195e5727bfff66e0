package etcdstore

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// mirror keeps holders, queues and sessions in memory. It may be stale: it proposes whom to hand a lock to and wakes
// local waiters, and the transaction decides. It learns from the watch, and from the store's own transactions as soon
// as they are answered, which the watch then repeats: a change counts once, told apart by its revision.
type mirror struct {
	keys    keys
	promote func(lock string) // called for a free lock with a queue; must not block
	suspect func(sectionKey)  // called for a section whose session ended before it; must not block
	overdue func(sectionKey)  // called for a section past its hold deadline

	mu       sync.Mutex
	rev      int64 // everything up to here has been seen
	locks    map[string]*mirrorLock
	queued   map[acquisition]*list.Element // of *mirrorWaiter, in its lock's queue
	sessions map[string]*mirrorSession
	ahead    map[string]int64 // key → revision of an own change that the watch has not repeated yet
	waits    map[acquisition][]*wait
}

type mirrorLock struct {
	holder *mirrorHolder // nil: free
	queue  *list.List    // of *mirrorWaiter, first in line first
}

type mirrorHolder struct {
	holderValue
	lock  string
	token int64
	local bool        // granted by this store
	ends  bool        // its end is on its way to etcd
	due   time.Time   // its hold deadline, counted from when this store heard of the grant; zero: none
	timer *time.Timer // for that; nil: none
}

func (h *mirrorHolder) acquisition() acquisition { return acquisition{h.lock, h.session, h.request} }

type mirrorWaiter struct {
	acquisition
	waiterValue
	created int64 // the key's CreateRevision: its place
}

type mirrorSession struct {
	sessionValue
	proven  string                   // the secret, once it was seen and found to have the hash; empty: not yet
	acqs    map[acquisition]struct{} // what it holds and waits for
	ended   []ended                  // what it no longer does, the last of it
	cancels map[acquisition]int      // how many are on their way to etcd
	newest  uint64                   // the highest request number that ended has had
	highest uint64                   // of the last heartbeat
	listed  map[Acquisition]bool     // by the last heartbeat
}

// ended is an acquisition that is over.
type ended struct {
	acquisition
	held bool
}

// keptEnded bounds what is remembered of a session between two heartbeats; what is forgotten the next one ends.
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

// at is the change at the revision that it was made at: of a key that was not there before.
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
	err = decode(c.value, &v)
	return v, err
}

func newMirror(k keys, promote func(string), suspect, overdue func(sectionKey)) *mirror {
	m := &mirror{keys: k, promote: promote, suspect: suspect, overdue: overdue, waits: map[acquisition][]*wait{}}
	m.clear()
	return m
}

func (m *mirror) clear() {
	for _, l := range m.locks {
		l.holder.stop()
	}
	m.locks, m.queued = map[string]*mirrorLock{}, map[acquisition]*list.Element{}
	m.sessions, m.ahead = map[string]*mirrorSession{}, map[string]int64{}
}

// stop lets no hold deadline pass any more.
func (m *mirror) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear()
}

// reset replaces everything by a listing at one revision, and looks at every local waiter anew: what happened between
// the last event and the listing is never told.
func (m *mirror) reset(kvs []*mvccpb.KeyValue, rev int64) {
	m.mu.Lock()
	old, ahead := m.sessions, m.ahead
	m.clear()
	m.rev = rev
	var t touched
	for _, kv := range slices.Backward(kvs) { // sessions sort last, and are needed first
		m.apply(change{key: string(kv.Key), rev: kv.ModRevision, created: kv.CreateRevision, value: kv.Value}, &t)
	}
	for id, s := range m.sessions { // what clients said outlives a listing
		if o := old[id]; o != nil {
			s.ended, s.newest, s.highest, s.listed, s.cancels = o.ended, o.newest, o.highest, o.listed, o.cancels
			for a := range o.acqs {
				if ahead[m.keys.lock(a.lock)] > rev || ahead[m.keys.waiter(a)] > rev {
					continue // this store's own, later than the listing
				}
				if _, ok := s.acqs[a]; !ok {
					s.record(a, true) // it may have been granted, and lost, untold
				}
			}
		}
	}
	verdicts := m.settle(&t)
	for a := range m.waits {
		verdicts = append(verdicts, m.judge(a)...)
	}
	m.mu.Unlock()
	tellAll(verdicts)
}

// observe takes in the events of a watch, whole revisions at a time.
func (m *mirror) observe(events []*clientv3.Event) {
	m.mu.Lock()
	var t touched
	for _, e := range events {
		c := change{
			key: string(e.Kv.Key), rev: e.Kv.ModRevision, created: e.Kv.CreateRevision, value: e.Kv.Value,
			deleted: e.Type == clientv3.EventTypeDelete,
		}
		m.rev = max(m.rev, c.rev)
		if seen, ok := m.ahead[c.key]; ok {
			if c.rev >= seen {
				delete(m.ahead, c.key)
			}
			if c.rev <= seen {
				m.touch(c, &t) // whoever waits for the watch to get here is told
				continue
			}
		}
		m.apply(c, &t)
	}
	verdicts := m.settle(&t)
	m.mu.Unlock()
	tellAll(verdicts)
}

// own takes in what a transaction of this store wrote, before the watch repeats it.
func (m *mirror) own(changes ...change) { tellAll(m.take(changes...)) }

// take is own without telling those whose wait is over by it.
func (m *mirror) take(changes ...change) (verdicts []verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var t touched
	for _, c := range changes {
		if c.rev <= m.rev { // the watch was faster
			m.granted(c)
			continue
		}
		if c.rev <= m.ahead[c.key] { // answered out of order
			m.touch(c, &t)
			continue
		}
		m.ahead[c.key] = c.rev
		c.local = true
		m.apply(c, &t)
	}
	return m.settle(&t)
}

// granted notes that a grant which the watch has told of was this store's own.
func (m *mirror) granted(c change) {
	name, ok := m.keys.parseLock(c.key)
	if l := m.locks[name]; ok && l != nil && l.holder != nil && l.holder.token == c.rev {
		h := *l.holder // others look at it unlocked
		h.local = true
		l.holder = &h
	}
}

func (m *mirror) apply(c change, t *touched) {
	if name, ok := m.keys.parseLock(c.key); ok {
		m.applyLock(name, c, t)
	} else if a, ok := m.keys.parseWaiter(c.key); ok {
		m.applyWaiter(a, c, t)
	} else if id, ok := m.keys.parseSession(c.key); ok {
		m.applySession(id, c)
	}
}

func (m *mirror) applyLock(name string, c change, t *touched) {
	l := m.lock(name)
	old := l.holder
	if old != nil {
		t.acq(old.acquisition(), true)
		t.unheld = append(t.unheld, old)
		old.stop()
		l.holder = nil
	}
	t.lock(name)
	if c.deleted {
		return
	}
	v, err := c.asHolder()
	if err != nil {
		return // not ours; the transactions refuse it as well
	}
	a := acquisition{name, v.session, v.request}
	l.holder = &mirrorHolder{holderValue: v, lock: name, token: c.rev, local: c.local}
	m.time(l.holder, old)
	t.acq(a, true)
	m.index(a)
}

// time sets a holder's hold deadline. It goes on over a commit, and starts anew with a new listing: no two clocks
// are compared, a deadline may only be late.
func (m *mirror) time(h, before *mirrorHolder) {
	if h.Hold == 0 {
		return
	}
	if before != nil && before.token == h.Prev && !before.due.IsZero() {
		h.due = before.due
	} else {
		h.due = time.Now().Add(time.Duration(h.Hold) * time.Millisecond)
	}
	key := sectionKey{h.lock, h.token}
	h.timer = time.AfterFunc(time.Until(h.due), func() { m.overdue(key) })
}

func (h *mirrorHolder) stop() {
	if h != nil && h.timer != nil {
		h.timer.Stop()
	}
}

func (m *mirror) applyWaiter(a acquisition, c change, t *touched) {
	t.acq(a, false)
	if e := m.queued[a]; e != nil {
		m.lock(a.lock).queue.Remove(e)
		delete(m.queued, a)
	}
	if c.deleted {
		return
	}
	v, err := c.asWaiter()
	if err != nil {
		return
	}
	w := &mirrorWaiter{acquisition: a, waiterValue: v, created: c.created}
	q := m.lock(a.lock).queue
	at := q.Back()
	for at != nil && w.before(at.Value.(*mirrorWaiter)) {
		at = at.Prev()
	}
	if at == nil {
		m.queued[a] = q.PushFront(w)
	} else {
		m.queued[a] = q.InsertAfter(w, at)
	}
	m.index(a)
}

// before orders a queue: by revision, ties by key.
func (w *mirrorWaiter) before(o *mirrorWaiter) bool {
	if w.created != o.created {
		return w.created < o.created
	}
	return w.owner() < o.owner()
}

func (m *mirror) applySession(id string, c change) {
	if c.deleted {
		delete(m.sessions, id)
		return
	}
	s := &mirrorSession{}
	if decode(c.value, &s.sessionValue) == nil {
		m.sessions[id] = s
	}
}

// lock finds or makes a lock's entry; settle drops it when nothing is left in it.
func (m *mirror) lock(name string) *mirrorLock {
	l := m.locks[name]
	if l == nil {
		l = &mirrorLock{queue: list.New()}
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

// state is what an acquisition is now, as far as is known, and its token.
func (m *mirror) state(a acquisition) (State, int64) {
	if l := m.locks[a.lock]; l != nil && l.holder != nil && l.holder.acquisition() == a {
		return Holding, l.holder.token
	}
	if m.queued[a] != nil {
		return Waiting, 0
	}
	return None, 0
}
