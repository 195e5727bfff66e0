package etcdstore

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
)

// next is the first waiter of a lock that is not to be skipped. A waiter of this store's own that the watch has not told
// of yet is none: others may stand before it, queued elsewhere, whom the watch has not told of either.
func (m *mirror) next(lock string, skip map[acquisition]bool) *mirrorWaiter {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	if l == nil {
		return nil
	}
	for e := l.queue.Front(); e != nil; e = e.Next() {
		w := e.Value.(*mirrorWaiter)
		if w.created > m.rev {
			return nil
		}
		if !skip[w.acquisition] {
			return w
		}
	}
	return nil
}

// waitedFor reports whether a lock looks free and waited for.
func (m *mirror) waitedFor(lock string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	return l != nil && l.holder == nil && l.queue.Len() > 0
}

// vacant tells whether nobody looks to hold a lock or to wait for it, and the revision up to which that is true of those who
// wait.
func (m *mirror) vacant(lock string) (rev int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[lock]
	return m.rev, l == nil || l.holder == nil && l.queue.Len() == 0
}

// holder is who looks to hold a lock.
func (m *mirror) holder(lock string) *mirrorHolder {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.locks[lock]; l != nil {
		return l.holder
	}
	return nil
}

// place is an acquisition's place in its lock's queue, from 1, or the place behind it if it is not there; and how many
// wait.
func (m *mirror) place(a acquisition) (position, length int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[a.lock]
	if l == nil {
		return 1, 0
	}
	e := m.queued[a]
	if e == nil {
		return l.queue.Len() + 1, l.queue.Len()
	}
	for ; e != nil; e = e.Prev() {
		position++
	}
	return position, l.queue.Len()
}

// knows checks a session's secret: known tells whether the session is there at all.
func (m *mirror) knows(id, secret string) (known, valid bool, label string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil {
		return false, false, ""
	}
	if s.proven == "" && s.valid(secret) {
		s.proven = secret
	}
	return true, s.proven != "" && subtle.ConstantTimeCompare([]byte(s.proven), []byte(secret)) == 1, s.Label
}

func (v sessionValue) valid(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], v.Secret) == 1
}

// hasEnded reports whether an acquisition is known to have ended, and whether it held the lock: its acquire is then a late
// duplicate.
func (m *mirror) hasEnded(a acquisition) (over, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
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

// endsSoon reports whether the end of an acquisition is on its way to etcd: of its section, or of its wait. It may come to nothing.
// An acquire asks when its transaction has its turn: what ended in a batch before it was marked by then.
func (m *mirror) endsSoon(a acquisition) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state, _ := m.state(a); state == Holding {
		return m.locks[a.lock].holder.ends
	}
	s := m.sessions[a.session]
	return s != nil && s.cancels[a] > 0
}

// markEnd notes that the end of a section is on its way to etcd.
func (m *mirror) markEnd(lock string, token int64) { m.setEnds(lock, token, true) }

// unmarkEnd notes that it came to nothing.
func (m *mirror) unmarkEnd(lock string, token int64) { m.setEnds(lock, token, false) }

func (m *mirror) setEnds(lock string, token int64, ends bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.locks[lock]; l != nil && l.holder != nil && l.holder.token == token {
		l.holder.ends = ends
	}
}

// markCancel notes that a cancel of an acquisition is on its way to etcd. The acquire may be on its way, too.
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

// unmarkCancel notes that it was answered.
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

// noteCancel notes that an acquisition was cancelled, whether or not it was known to wait: its acquire, if it is still to come, is late.
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

// givenUp tells whether an acquisition is known to have been cancelled, or left out by a heartbeat.
func (m *mirror) givenUp(a acquisition) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[a.session]
	return s != nil && (slices.Contains(s.ended, ended{a, false}) || s.late(a))
}

// late tells whether a heartbeat has left an acquisition out.
func (s *mirrorSession) late(a acquisition) bool {
	n, ok := requestNumber(a.request)
	return ok && n <= s.highest && !s.listed[Acquisition{a.lock, a.request}]
}

// unlisted takes in what a heartbeat said and answers what the session holds or waits for that its client no longer
// knows. A heartbeat that was overtaken by a later one says nothing new.
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
