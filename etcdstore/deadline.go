package etcdstore

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A hold deadline is when a holder is evicted that has the lock still. What an acquire asked for is
// in its waiter's and its holder's record, over commits and whoever enforces it, so that any store
// does. What is configured counts with the store that grants, when it grants.
//
// Each store counts on its own clock from when it heard of the grant: that can only be late. One
// that was opened since goes by the grant's time in the record, which is by another clock maybe;
// else a hold would begin anew whenever a store is opened. It leaves at least as long as a holder
// is warned before, and at most the whole.

// HoldLimit is how long the locks below a prefix of names may be held at most.
type HoldLimit struct {
	Prefix string        // whole segments of names; empty: all locks
	Max    time.Duration // MinHold to MaxHold; 0: no limit, whatever a shorter prefix says
}

// holdLimits are hold limits by their prefixes.
type holdLimits map[string]time.Duration

// LimitHolds sets how long locks may be held that this store grants from now on: the limit of the
// longest prefix counts, or what the acquire asked for if that is shorter. What is held already is
// left as it was granted. None: only what is asked for counts.
//
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was changed.
func (s *Store) LimitHolds(limits []HoldLimit) error {
	by := make(holdLimits, len(limits))
	var faults []error
	for _, l := range limits {
		if l.Prefix != "" {
			faults = append(faults, CheckLock(l.Prefix))
		}
		if _, twice := by[l.Prefix]; twice {
			faults = append(faults, fmt.Errorf("%w: the prefix %s has two limits of holds", ErrInvalidArgument, quoted(l.Prefix)))
		}
		faults = append(faults, checkHold(l.Max))
		by[l.Prefix] = l.Max
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if len(by) == 0 { // as mostly: nothing is looked up then
		s.holdLimits.Store(nil)
	} else {
		s.holdLimits.Store(&by)
	}
	return nil
}

// holdOf is the hold deadline in ms with which a lock is granted to somebody who has asked for one;
// 0: none.
func (s *Store) holdOf(lock string, asked int64) int64 {
	limits := s.holdLimits.Load()
	if limits == nil {
		return asked
	}
	limit := limits.of(lock).Milliseconds()
	if asked == 0 || limit > 0 && limit < asked {
		return limit
	}
	return asked
}

// of is the limit of the longest prefix that a lock's name has.
func (by holdLimits) of(lock string) time.Duration {
	for lock != "" {
		if limit, ok := by[lock]; ok {
			return limit
		}
		lock = lock[:max(0, strings.LastIndexByte(lock, '/'))]
	}
	return by[""]
}

// maxWarning is the longest that a holder is warned before its deadline.
const maxWarning = time.Minute

// warning is how long before its deadline a holder is warned.
func warning(hold time.Duration) time.Duration { return min(hold/5, maxWarning) }

// hold is how long a holder may hold; 0: for ever.
func (v holderValue) hold() time.Duration { return time.Duration(v.Hold) * time.Millisecond }

// deadline is when a holder is evicted, by the clock of the store that has granted it; zero: never.
func (v holderValue) deadline() time.Time {
	if v.Hold == 0 {
		return time.Time{}
	}
	return fromMillis(v.Since).Add(v.hold())
}

// time sets a holder's hold deadline. It runs on over a commit and a new listing, and is the same
// however often this store hears of the hold. before is who held the lock before; nil: nobody.
func (m *mirror) time(h, before *mirrorHolder) {
	if h.Hold == 0 {
		return
	}
	if before == nil && m.former[h.lock] != nil {
		before = m.former[h.lock].holder
	}
	switch hold := h.hold(); {
	case before != nil && before.acquisition() == h.acquisition() && !before.due.IsZero():
		h.due, h.warned = before.due, before.warned
	case m.former != nil: // it may have been granted long before
		h.due = time.Now().Add(min(max(time.Until(h.deadline()), warning(hold)), hold))
	default:
		h.due = time.Now().Add(hold)
	}
	key, next := sectionKey{h.lock, h.token}, h.due
	if !h.warned {
		next = next.Add(-warning(h.hold()))
	}
	h.timer = time.AfterFunc(time.Until(next), func() { m.nears(key) })
}

// nears is called when a hold's deadline is near, and when it is over. The timer may have run when
// it was stopped.
func (m *mirror) nears(key sectionKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.locks[key.lock]
	if l == nil || l.holder == nil || l.holder.token != key.token {
		return
	}
	h := l.holder
	if h.warned {
		m.overdue(key)
		return
	}
	h.warned = true
	h.timer.Reset(time.Until(h.due))
	for _, link := range m.links[h.session] {
		m.warn(h, link)
	}
}

// warn tells a link that a hold's deadline is near. mu is held.
func (m *mirror) warn(h *mirrorHolder, link *Link) {
	link.tell(Loss{Session: h.session, Lock: h.lock, Request: h.request, Revision: h.token, HoldLeft: h.left()})
}

// warnAll tells a new link of those deadlines of a session that are near. mu is held.
func (m *mirror) warnAll(session string, link *Link) {
	s := m.sessions[session]
	if s == nil {
		return
	}
	for a := range s.acqs {
		if l := m.locks[a.lock]; l != nil && l.holder != nil && l.holder.warned && l.holder.acquisition() == a {
			m.warn(l.holder, link)
		}
	}
}

// left is how much longer a holder may hold, the least that is above 0 if that is over; 0: for
// ever.
func (h *mirrorHolder) left() time.Duration {
	if h.due.IsZero() {
		return 0
	}
	return max(time.Until(h.due), 1)
}

// holdLeft is how much longer a token may hold, as far as is known; 0: for ever. mu is held.
func (m *mirror) holdLeft(lock string, token int64) time.Duration {
	if l := m.locks[lock]; l != nil && l.holder != nil && l.holder.token == token {
		return l.holder.left()
	}
	return 0
}

// timed fills in how much longer what is held may be.
func (m *mirror) timed(states []AcquisitionState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range states {
		if st := &states[i]; st.State == Holding {
			st.HoldLeft = m.holdLeft(st.Lock, st.Token)
		}
	}
}

// granted is the result of an acquire that was granted a token.
func (s *Store) granted(lock string, token int64) Grant {
	s.mirror.mu.Lock()
	defer s.mirror.mu.Unlock()
	return Grant{Outcome: Granted, Token: token, HoldLeft: s.mirror.holdLeft(lock, token)}
}
