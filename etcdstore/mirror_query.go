package etcdstore

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
)

// next is the first waiter of a lock that is not to be skipped; nil: nobody who may be served. That
// excludes a waiter of this store's own whose place is above rev. Say w2 took its place here at 12,
// and the watch is at 10: at 11 w1 may have taken one elsewhere, and comes first. The lock is then
// freed, and promoted when the watch has come to 12.
func (m *mirror) next(lock string, skip map[acquisition]bool) (first *mirrorWaiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	if l == nil {
		return nil
	}
	l.queue.all(func(w *mirrorWaiter) bool {
		if w.created > m.rev {
			return false
		}
		if !skip[w.acquisition] {
			first = w
		}
		return first == nil
	})
	return first
}

// front is the first waiters of a crowded lock; nil: it is not crowded, as far as is known. None of
// them has its place above rev, so that whoever was not heard of yet comes behind them.
func (m *mirror) front(lock string, n int) (first []*mirrorWaiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	if l == nil || l.queue.len() <= shortQueue {
		return nil
	}
	return m.firstsOf(l, n)
}

// firsts is the first waiters of a lock, as far as they may be served: see next.
func (m *mirror) firsts(lock string, n int) []*mirrorWaiter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.locks[lock]; l != nil {
		return m.firstsOf(l, n)
	}
	return nil
}

// firstsOf is called with mu held.
func (m *mirror) firstsOf(l *mirrorLock, n int) (first []*mirrorWaiter) {
	l.queue.all(func(w *mirrorWaiter) bool {
		if w.created <= m.rev {
			first = append(first, w)
		}
		return w.created <= m.rev && len(first) < n
	})
	return first
}

// isCrowded reports whether many wait for a lock.
func (m *mirror) isCrowded(lock string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	return l != nil && l.queue.len() > shortQueue
}

// crowds are the crowded locks whose names begin with a prefix.
func (m *mirror) crowds(prefix string) (locks []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for lock := range m.crowded {
		if strings.HasPrefix(lock, prefix) {
			locks = append(locks, lock)
		}
	}
	return locks
}

// waitedFor reports whether a lock looks free and waited for.
func (m *mirror) waitedFor(lock string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	return l != nil && l.holder == nil && l.queue.len() > 0
}

// waitsAt reports whether an acquisition seems to wait.
func (m *mirror) waitsAt(a acquisition) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queued[a] != nil
}

// vacant reports whether nobody seems to hold a lock or to wait for it. rev is for the grant to
// compare waited/L with. Until then it is sure that nobody waited: each place up to rev has been
// told, and so has its end, or its end is an own change. After rev, whoever took a place put
// waited/L with it.
func (m *mirror) vacant(lock string) (rev int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	return m.rev, l == nil || l.holder == nil && l.queue.len() == 0
}

// holder is who seems to hold a lock; nil: nobody. It is read without mu, so what is in it is not
// changed but for what is read with mu.
func (m *mirror) holder(lock string) *mirrorHolder {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.locks[lock]; l != nil {
		return l.holder
	}
	return nil
}

// holdsUnder reports whether a lock seems to be held under a token.
func (m *mirror) holdsUnder(lock string, token int64) bool {
	h := m.holder(lock)
	return h != nil && h.token == token
}

// place is an acquisition's position in its lock's queue, from 1, or the one behind the last if it
// is not there, and the length of the queue.
func (m *mirror) place(a acquisition) (position, length int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[a.lock]
	if l == nil {
		return 1, 0
	}
	w := m.queued[a]
	if w == nil {
		return l.queue.len() + 1, l.queue.len()
	}
	return l.queue.position(w), l.queue.len()
}

// bearer is who a credential says that it is, and how far that is true.
type bearer struct {
	valid        bool // the secret is the session's
	tagged       bool // and so is the tag, as far as is known
	label, owner string
}

// knows checks a session's credential. It reports whether the mirror has the session at all. That
// of the right secret is hashed once.
func (m *mirror) knows(c session) (is bearer, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[c.id]
	if s == nil {
		return bearer{}, false
	}
	if s.proven == "" && s.valid(c.secret) {
		s.proven = c.secret
	}
	return bearer{
		valid:  s.proven != "" && same(s.proven, c.secret),
		tagged: same(s.tag, c.tag) && (s.tag != "" || s.Owner == ""),
		label:  s.Label, owner: s.Owner,
	}, true
}

// tagged notes that a tag was found to be that of a session.
func (m *mirror) tagged(id, tag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[id]; s != nil {
		s.tag = tag
	}
}

// same compares what only one knows.
func same(secret, said string) bool {
	return subtle.ConstantTimeCompare([]byte(secret), []byte(said)) == 1
}

// session is what a session's key said last, and since when.
func (m *mirror) session(id string) (v sessionValue, rev int64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil {
		return sessionValue{}, 0, false
	}
	return s.sessionValue, s.rev, true
}

// claim is what waits for the end of a session, as far as is known; it reports whether the
// session is there.
func (m *mirror) claim(id string) (c claim, there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil {
		return 0, false
	}
	c = idles
	for a := range s.acqs {
		if state, _ := m.state(a); state == Holding {
			return holdsSomething, true
		}
		c = waitsOnly
	}
	return c, true
}

func (v sessionValue) valid(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], v.Secret) == 1
}

// hasEnded reports whether an acquisition is known to have ended (over), and whether it held the
// lock before that (held). Its acquire is then a late duplicate.
//
// Two things are remembered of a session. The last heartbeat came with a number and a list, say 7
// and {5}: what has a number up to 7 and is not listed, its client has done with. Besides, ended
// has what this store saw the end of and the heartbeat does not cover. A duplicate of request
//
//   - 3 is caught by the heartbeat (late). Whether it held is not known. It counts as held, which
//     refuses it.
//   - 5 is caught in ended, if it was evicted and its client has not heard of that yet. If it still
//     holds, it is not over, and finds its grant.
//   - 8, granted and released after that heartbeat, is caught in ended.
//   - 9, cancelled before its acquire has arrived, is caught in ended: see noteCancel.
//   - 10 is new. It is above every number that was recorded (newest), so ended is not searched.
//   - "a", which is no number, is caught in ended alone.
func (m *mirror) hasEnded(a acquisition) (over, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over(a)
}

// over is hasEnded with mu held.
func (m *mirror) over(a acquisition) (over, held bool) {
	s := m.sessions[a.session]
	if s == nil {
		return false, false
	}
	if n, ok := requestNumber(a.request); ok && n > s.newest { // as nearly all are
		late := s.late(a)
		return late, late
	}
	for _, e := range slices.Backward(s.ended) {
		if e.acquisition == a {
			return true, e.held
		}
	}
	late := s.late(a)
	return late, late
}

// endsSoon reports whether the end of an acquisition is on its way to etcd: of its section, or of
// its wait. It may come to nothing. An acquire asks when its transaction has its turn, and what
// ended in a batch before was marked by then:
//
//	acquire 4 holds l
//	release of it is submitted: marked
//	acquire 4 comes once more and is submitted, for a batch after that of the release
//	the release is committed; its answer may be told beside the next batch
//	acquire 4 has its turn, and the mirror still shows that it holds: etcd would let it in anew
func (m *mirror) endsSoon(a acquisition) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state, _ := m.state(a); state == Holding {
		return m.locks[a.lock].holder.ends > 0
	}
	s := m.sessions[a.session]
	return s != nil && s.cancels[a] > 0
}

// markEnd notes that the end of a section is on its way to etcd: see endsSoon.
// It returns since when the lock is held, in ms since 1970; 0: it is not known.
func (m *mirror) markEnd(lock string, token int64) (since int64) { return m.addEnds(lock, token, 1) }

// unmarkEnd notes that it came to nothing. If it came to something, the holder goes, and the mark
// with it. If the holder has gone otherwise, its client is told now: see lose.
func (m *mirror) unmarkEnd(lock string, token int64) { m.addEnds(lock, token, -1) }

func (m *mirror) addEnds(lock string, token int64, n int) (since int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.locks[lock]; l != nil && l.holder != nil && l.holder.token == token {
		l.holder.ends = max(0, l.holder.ends+n) // a holder that a new listing has brought was not marked
		return l.holder.Since
	}
	if l, ok := m.doubts[sectionKey{lock, token}]; ok {
		delete(m.doubts, sectionKey{lock, token})
		l.ends = max(0, l.ends+n)
		m.lose(l)
	}
	return 0
}

// markCancel notes that a cancel of an acquisition is on its way to etcd: see endsSoon. It is kept
// with the session, since the acquire may be on its way too, and nothing else be known of it.
func (m *mirror) markCancel(a acquisition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[a.session]; s != nil {
		if s.cancels == nil {
			s.cancels = map[acquisition]int{}
		}
		s.cancels[a]++
	}
}

// unmarkCancel notes that one cancel of an acquisition was answered. There may be others.
func (m *mirror) unmarkCancel(a acquisition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[a.session]
	switch {
	case s == nil:
	case s.cancels[a] > 1:
		s.cancels[a]--
	default:
		delete(s.cancels, a)
	}
}

// noteCancel notes that an acquisition was cancelled, whether or not it was known to wait. A cancel
// may overtake its acquire, which is then late, and would take a place that nobody gives up.
func (m *mirror) noteCancel(a acquisition) {
	if over, _ := m.hasEnded(a); over {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[a.session]; s != nil {
		s.record(a, false)
	}
}

// givenUp reports whether an acquisition is known to have been cancelled, or left out by a
// heartbeat.
func (m *mirror) givenUp(a acquisition) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[a.session]
	return s != nil && (slices.Contains(s.ended, ended{a, false}) || s.late(a))
}

// late reports whether the last heartbeat has left an acquisition out: its number is not above the
// heartbeat's, so its client had issued it, and its client does not list it any more.
func (s *mirrorSession) late(a acquisition) bool {
	n, ok := requestNumber(a.request)
	return ok && n <= s.highest && !s.listed[Acquisition{a.lock, a.request}]
}

// unlisted takes in what a heartbeat said, and returns what the session holds or waits for that its
// client no longer knows. A heartbeat that was overtaken by a later one says nothing new. What
// ended has of requests that are now late is dropped.
func (m *mirror) unlisted(session string, highest uint64, listed map[Acquisition]bool) []acquisition {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[session]
	if s == nil || highest == 0 || highest < s.highest {
		return nil
	}
	s.highest, s.listed = highest, listed
	s.ended = slices.DeleteFunc(s.ended, func(e ended) bool {
		n, ok := requestNumber(e.request)
		return ok && n <= highest && !listed[Acquisition{e.lock, e.request}] // what is listed, its client has not heard of
	})
	if len(s.ended) == 0 {
		s.ended = nil
	}
	var gone []acquisition
	for a := range s.acqs {
		if n, ok := requestNumber(a.request); ok && n <= highest && !listed[Acquisition{a.lock, a.request}] {
			gone = append(gone, a)
		}
	}
	return gone
}
