package etcdstore

import (
	"slices"
)

// touched is what a run of changes was about. It is settled when all of them are in: the changes of one revision come
// in no useful order.
type touched struct {
	locks  map[string]struct{}
	acqs   map[acquisition]bool // → it held
	unheld []*mirrorHolder      // holders that hold no more, or under another token
}

func (t *touched) lock(name string) {
	if t.locks == nil {
		t.locks = map[string]struct{}{}
	}
	t.locks[name] = struct{}{}
}

func (t *touched) acq(a acquisition, held bool) {
	if t.acqs == nil {
		t.acqs = map[acquisition]bool{}
	}
	t.acqs[a] = t.acqs[a] || held
	t.lock(a.lock)
}

// touch is for what an own change has applied already. Whose it is can have come only now: a session begun elsewhere is
// told of by the watch.
func (m *mirror) touch(c change, t *touched) {
	if a, ok := m.keys.parseWaiter(c.key); ok {
		t.acq(a, false)
		if m.queued[a] != nil {
			m.index(a)
		}
	} else if name, ok := m.keys.parseLock(c.key); ok {
		t.lock(name)
		l := m.locks[name]
		if l != nil && l.holder != nil {
			a := l.holder.acquisition()
			t.acq(a, true)
			m.index(a)
			if l.holder.token == c.rev {
				return
			}
		}
		if v, err := c.asHolder(); err == nil { // who held it in between
			t.acq(acquisition{name, v.session, v.request}, true)
		}
	}
}

// settle finds the waits that the changes end, notes what has ended, and promotes. It is level-triggered: it looks at what is,
// not at what happened, since an enqueue and a release commit in either order.
func (m *mirror) settle(t *touched) (verdicts []verdict) {
	for a, held := range t.acqs {
		if state, _ := m.state(a); state == None {
			m.retire(a, held)
		}
		verdicts = append(verdicts, m.judge(a)...)
	}
	for _, h := range t.unheld {
		if m.sessions[h.session] == nil {
			m.suspect(sectionKey{h.lock, h.token})
		}
	}
	for name := range t.locks {
		l := m.locks[name]
		switch {
		case l == nil || l.holder != nil:
		case l.queue.Len() > 0:
			m.promote(name)
		default:
			delete(m.locks, name)
		}
	}
	return verdicts
}

// retire remembers that an acquisition is over, so that a late duplicate of its acquire is refused.
func (m *mirror) retire(a acquisition, held bool) {
	s := m.sessions[a.session]
	if s == nil {
		return
	}
	if _, ok := s.acqs[a]; !ok {
		return
	}
	delete(s.acqs, a)
	if len(s.acqs) == 0 {
		s.acqs = nil
	}
	s.record(a, held)
}

// record keeps, for a while, that an acquisition of the session is over.
func (s *mirrorSession) record(a acquisition, held bool) {
	if len(s.ended) == keptEnded {
		s.ended = slices.Delete(s.ended, 0, keptEnded/2)
	}
	s.ended = append(s.ended, ended{a, held})
	if n, ok := requestNumber(a.request); ok {
		s.newest = max(s.newest, n)
	}
}
