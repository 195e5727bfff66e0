package etcdstore

import (
	"slices"
)

// touched is what a run of changes was about. It is settled when all of them are in, since those of
// one revision mean something only together: when a lock passes on, its new holder's place is
// deleted after it holds; when a session ends, its locks go before the session.
type touched struct {
	locks  map[string]struct{}
	acqs   map[acquisition]bool // → it held
	unheld []*mirrorHolder      // holders that hold no more, or under another token
	lost   []holdLoss           // what clients are to be told
	by     ownEnd               // the section that an own transaction ended
	freed  []lapse              // holds whose lock's key was deleted
	over   map[string]parting   // sessions that ended
}

// lapse is a hold that ended at a revision because its session did; without a lock: a session that
// ended.
type lapse struct {
	lock, session string
	token, rev    int64
	label, owner  string
	since         int64 // ms since 1970
	how           End
}

// parting is when a session ended, and how that came to be.
type parting struct {
	rev int64
	how End
}

func (t *touched) sessionOver(id string, rev int64, how End) {
	if t.over == nil {
		t.over = map[string]parting{}
	}
	t.over[id] = parting{rev, how}
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

// touch is apply for old news: it changes no holder and no place, and has settle look at whom the
// change was about. There are three reasons to.
//
//   - A wait may be over only now that the watch has come to here: see fate.
//   - A grant that is answered after the end of its section was never applied. Its acquisition
//     held the lock all the same, and is remembered as ended (the last lines below).
//   - Whose it is may be known only now (index). A session begins at 11; a listing as of 10 forgets
//     that; an own change says that the session holds l, at 12; the watch tells of 11 and then, as
//     old news, of 12.
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
			a := acquisition{name, v.session, v.request}
			m.between(a, c, t)
			t.acq(a, true)
		}
	}
}

// settle finds the waits that the changes end, records what has ended, and asks for promotions and
// sweeps. It is level-triggered: it looks at what is now, and not at which event led to it. There
// is no event that means "promote". A place and the release of its lock may be committed in either
// order, or at one revision:
//
//	place at 12, release at 13 that knew of no waiter: free and waited for since 13
//	release at 12, place at 13: free and waited for since 13
//	the holder's session ends at 12: free and waited for, without any release
//
// Whatever came last, the lock is touched and the state is the same. A promotion that is asked for
// twice, or in vain, does nothing.
func (m *mirror) settle(t *touched) (verdicts []verdict) {
	for a, held := range t.acqs {
		if state, _ := m.state(a); state == None {
			m.retire(a, held)
		}
		verdicts = append(verdicts, m.judge(a)...)
	}
	for _, l := range t.lost {
		m.lose(l)
	}
	for _, h := range t.unheld {
		if m.sessions[h.session] == nil {
			m.suspect(sectionKey{h.lock, h.token})
		}
	}
	for _, l := range t.freed {
		if p, is := t.over[l.session]; is && p.rev == l.rev { // a session that ends after it has released does so later
			l.how = p.how
			m.observer.HoldEnded(l.lock, l.how, heldFor(l.since))
			m.lapsed(l)
		}
	}
	for name := range t.locks {
		l := m.locks[name]
		switch {
		case l == nil || l.holder != nil:
		case l.queue.len() > 0:
			m.promote(name)
		default:
			delete(m.locks, name)
		}
	}
	return verdicts
}

// retire records that an acquisition is over, so that a late duplicate of its acquire is refused.
// Whatever is touched and neither holds nor waits comes here, again and again: it counts once, if
// the session was known to hold or wait by it.
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

// record keeps, until a heartbeat says it as well, that an acquisition of the session is over. If
// there are too many, the older half is forgotten.
func (s *mirrorSession) record(a acquisition, held bool) {
	if len(s.ended) == keptEnded {
		s.ended = slices.Delete(s.ended, 0, keptEnded/2)
	}
	s.ended = append(s.ended, ended{a, held})
	if n, ok := requestNumber(a.request); ok {
		s.newest = max(s.newest, n)
	}
}
