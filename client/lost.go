package client

import (
	"cmp"
	"fmt"
	"strconv"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// loss is what a server said of an acquisition: that it holds nothing.
type loss struct {
	rev    int64  // as of which; 0: it said nothing. Of a token above, which was granted later, it says nothing
	reason string // for people; may be empty
}

// of reports whether a token is lost by it.
func (l loss) of(token int64) bool { return token <= l.rev }

// and is both of what was said: that it holds nothing as of the later revision.
func (l loss) and(o loss) loss {
	if o.rev < l.rev {
		o, l = l, o
	}
	return loss{rev: o.rev, reason: cmp.Or(o.reason, l.reason)}
}

// lost takes what a server told without being asked.
func (c *Client) lost(m *dlmv1.Lost) {
	c.mu.Lock()
	var s *session
	for _, o := range c.sessions {
		if o.id == m.GetSession() {
			s = o
		}
	}
	c.mu.Unlock()
	switch {
	case s == nil:
	case m.GetLock() != "":
		s.told(m)
	case m.GetRevision() >= s.began: // else of an older session that had the same id
		s.lose(fmt.Errorf("%w: %w: %s", ErrLockExpired, ErrSessionExpired, m.GetReason()))
	}
}

// told takes the loss of a hold. One that is not known here any more has ended, or was given up.
func (s *session) told(m *dlmv1.Lost) {
	number, err := strconv.ParseUint(m.GetRequest(), 10, 64)
	if err != nil {
		return
	}
	s.mu.Lock()
	a := s.unfinished[number]
	s.mu.Unlock()
	if a != nil && a.lock == m.GetLock() {
		a.holdsNothing(loss{rev: m.GetRevision(), reason: m.GetReason()})
	}
}

// holdsNothing takes in that the acquisition holds nothing as of a revision. While it waits that
// is kept: its grant may be on its way, and be over already.
func (a *acquisition) holdsNothing(l loss) {
	a.s.mu.Lock()
	held := a.held
	if held == nil {
		a.lost = a.lost.and(l)
	}
	a.s.mu.Unlock()
	if held != nil {
		held.holdsNothing(l)
	}
}

// holdsNothing takes in that the hold is over, as of a revision. If an end or a commit of the
// section is on its way, its answer decides, and what was heard is kept for that:
//
//   - A release was answered, and is repeated, since the answer got lost. Meanwhile a server tells
//     that the lock is not held any more: by that very release.
//   - A commit was carried out, and its section lost. If that is told before the commit is
//     answered, nobody will tell it again.
func (l *Lock) holdsNothing(what loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = l.heard.and(what)
	if !l.asked && (l.end == nil || !l.end.sent) {
		l.heed()
	}
}

// heed loses the hold if it was heard that it is over. It is called when that was heard, and when
// what was on its way has been answered and has not ended the section, or will not be answered any
// more. mu is held.
func (l *Lock) heed() {
	if l.heard.of(l.token) {
		l.loseLocked(l.a.lossBy(l.heard, l.token))
	}
}

// lossBy is the error of a hold that is over.
func (a *acquisition) lossBy(what loss, token int64) error {
	if what.reason == "" {
		return fmt.Errorf("%w: %q is not held under token %d any more", ErrLockExpired, a.lock, token)
	}
	return fmt.Errorf("%w: %s", ErrLockExpired, what.reason)
}
