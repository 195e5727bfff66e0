package client

import (
	"cmp"
	"fmt"
	"slices"
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

// told takes what a server told without being asked.
func (c *Client) told(m *dlmv1.StreamResponse) {
	if m.GetEnding() != nil {
		c.ending(m.GetEnding())
	} else {
		c.lost(m.GetLost())
	}
}

// sessionOf is the session that has a public id; nil: none does.
func (c *Client) sessionOf(id string) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

// ending takes in that a hold's deadline is near. A hold that is not known here any more has ended.
func (c *Client) ending(m *dlmv1.Ending) {
	s := c.sessionOf(m.GetSession())
	if s == nil {
		return
	}
	a := s.acquisitionOf(m.GetLock(), m.GetRequest())
	if a == nil {
		return
	}
	s.mu.Lock()
	held := a.held
	a.warned = true
	s.mu.Unlock()
	if held != nil {
		held.warn()
	}
}

// lost takes in that a hold, or a session, is over.
func (c *Client) lost(m *dlmv1.Lost) {
	s := c.sessionOf(m.GetSession())
	switch {
	case s == nil:
	case m.GetLock() != "":
		s.told(m)
	case m.GetRevision() >= s.began: // else of an older session that had the same id
		s.lose(fmt.Errorf("%w: %w: %s", ErrLockExpired, ErrSessionExpired, m.GetReason()))
	}
}

// ended takes in that the servers do not accept this client any more, and end its sessions: what it
// holds passes on at once, so the leases say nothing.
func (c *Client) ended(err *Error) {
	c.mu.Lock()
	sessions := slices.Clone(c.sessions)
	c.mu.Unlock()
	for _, s := range sessions {
		s.lose(fmt.Errorf("%w: %w: %w", ErrLockExpired, ErrSessionExpired, err))
	}
}

// told takes the loss of a hold.
func (s *session) told(m *dlmv1.Lost) {
	if a := s.acquisitionOf(m.GetLock(), m.GetRequest()); a != nil {
		a.holdsNothing(loss{rev: m.GetRevision(), reason: m.GetReason()})
	}
}

// acquisitionOf is the acquisition that a server speaks of; nil: it is not known here any more, has
// ended, or was given up.
func (s *session) acquisitionOf(lock, named string) *acquisition {
	number, err := strconv.ParseUint(named, 10, 64)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.unfinished[number]; a != nil && a.lock == lock {
		return a
	}
	return nil
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
