package client

import (
	"errors"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// A session that lingers ends if its client's side has closed the stream that it is attached to,
// and it was not attached to another one within the time. Whether the server has seen a close, this
// side cannot know for certain: so from when the stream ends, the session counts as certain only
// for a while, until a heartbeat is answered on the next. What this side does know is said by
// harmless.

// beatAtLeast is how often a session that lingers sends a heartbeat, however long its TTL.
const beatAtLeast = 5 * time.Second

// peerHeader is the header of a stream's answers by which the server says what address it sees.
const peerHeader = "dlm-peer"

// straight reports whether the server sees this very connection, by its address: then nothing
// between them has a connection of its own, which it could end on one side alone. It returns when
// the server has said so, with its first answer at the latest, or when the stream has ended.
func straight(stream grpc.ClientStream) bool {
	header, err := stream.Header()
	p, ok := peer.FromContext(stream.Context())
	if err != nil || !ok {
		return false
	}
	seen := header.Get(peerHeader)
	own, ok := p.LocalAddr.(*net.TCPAddr)
	return ok && len(seen) == 1 && seen[0] == own.String()
}

// accepted reports whether a server has taken a stream that has ended, and may have done what was
// sent on it.
func accepted(stream grpc.ClientStream) bool {
	header, err := stream.Header()
	return err != nil || len(header.Get(peerHeader)) > 0
}

// harmless reports whether a link's end makes no session linger. That is so if the server has
// refused a call on it that it could not serve, or was closing down: then it does not mind that its
// clients leave. And if it was the server's side that closed a straight connection, nobody saw this
// side do so.
func harmless(l *link, err error) bool {
	e, ok := errors.AsType[*Error](err)
	closed := ok && (e.Code == codes.Unavailable || e.Code == codes.Unauthenticated)
	return l.unable || ok && e.Reason == "SHUTTING_DOWN" || closed && l.ended && l.straight
}

// maxKept is how many links are kept that were given up.
const maxKept = 4

// keep keeps a link that is given up, because its server is silent, until the sessions are attached
// to another one: its close would make them linger. If something lies in between, the server's side
// may have been closed already. mu is held.
func (t *transport) keep(l *link, now time.Time) {
	if !l.straight {
		t.broke(l, now)
	}
	t.retain(l, now)
}

// retain keeps a link. mu is held.
func (t *transport) retain(l *link, now time.Time) {
	t.kept = append(t.kept, l)
	if len(t.kept) > maxKept {
		t.abandon(t.kept[0], now)
	}
}

// broke tells the sessions that a link's stream may have ended. mu is held.
func (t *transport) broke(l *link, now time.Time) {
	for s := range t.attached {
		s.broke(l.number, now)
	}
}

// abandon ends a link that may have sessions attached to it. mu is held.
func (t *transport) abandon(l *link, now time.Time) {
	t.kept = slices.DeleteFunc(t.kept, func(o *link) bool { return o == l })
	t.broke(l, now)
	l.cancel()
}

// settle ends the links that no session is attached to any more. mu is held.
func (t *transport) settle() {
	t.kept = slices.DeleteFunc(t.kept, func(l *link) bool {
		for s := range t.attached {
			if !s.attachedSince(l.number) {
				return false
			}
		}
		l.cancel()
		return true
	})
}

// attachedSince reports whether the session was attached to a later link than that.
func (s *session) attachedSince(link uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attachedOn > link || s.linger == 0
}

// reached notes whether a link is straight.
func (t *transport) reached(l *link, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.straight, l.bent = is, !is
	if t.link == l {
		t.unclear.Store(!is)
	}
}

// broken gives a link up whose stream has ended.
func (t *transport) broken(l *link, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.ended = true
	if t.heir == l {
		t.notReplaced(l, err, time.Now())
		return
	}
	if slices.Contains(t.kept, l) {
		t.abandon(l, time.Now())
		return
	}
	t.leave(l, err, time.Now())
}

// attach has a session that lingers hear of its stream's end. on is the link that it was begun on,
// which may be gone by now.
func (t *transport) attach(s *session, on uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attached[s] = struct{}{}
	if t.link == nil || t.link.number != on {
		s.broke(on, time.Now())
	}
}

func (t *transport) detach(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.attached, s)
	t.settle()
}

// release ends the links that were kept for a session's sake, now that it was attached anew.
func (t *transport) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle()
}

// broke notes that the stream of a link has ended. Until the session is attached to another one it
// counts from the first that did.
func (s *session) broke(link uint64, at time.Time) {
	s.mu.Lock()
	if s.attachedOn <= link {
		s.brokenOn = max(s.brokenOn, link)
		if s.brokenAt.IsZero() {
			s.brokenAt = at
		}
	}
	s.mu.Unlock()
	wake(s.nudge)
}

// attachment is the number of the session's attachment to a link; 0: it does not linger. The one
// that it was begun on has number 1.
func (s *session) attachment(link uint64) uint64 {
	if s.c.cfg.Linger == 0 || link < s.begunOn {
		return 0
	}
	return link - s.begunOn + 1
}

// numbers puts the number of the current link into a heartbeat that is about to be sent, and notes
// when it first was there. It returns m, or a copy: what was sent before is not changed.
func (s *session) numbers(m *dlmv1.HeartbeatRequest) *dlmv1.HeartbeatRequest {
	link := s.c.wire.numbered.Load()
	n := s.attachment(link)
	if m.GetAttachment() == n {
		return m
	}
	m = proto.CloneOf(m)
	m.Attachment = n
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beatSent, s.beatOn = time.Now(), link
	wake(s.nudge) // the session may be certain for less time from now on
	return m
}

// attachedLocked takes in what a heartbeat's answer says of the attachment. mu is held.
func (s *session) attachedLocked(m *dlmv1.HeartbeatResponse, a answer) {
	switch at := m.GetAttachment(); {
	case s.linger == 0:
	case at == 0:
		s.linger = 0 // the servers do not have it: the session lives its TTL
	case at < s.attachment(a.link):
		s.soonLocked() // etcd was too full for it
	default:
		s.attachedOn = max(s.attachedOn, a.link)
		if a.link > s.brokenOn {
			s.brokenAt = time.Time{}
		}
	}
}

// everyLocked is how often a heartbeat is sent. mu is held.
func (s *session) everyLocked() time.Duration {
	if s.linger > 0 {
		return min(s.ttl/3, beatAtLeast)
	}
	return s.ttl / 3
}

// soonLocked makes a heartbeat due long before it would be. mu is held.
func (s *session) soonLocked() { s.beatAt = s.beatAt.Add(-s.everyLocked() * 9 / 10) }

// breakLocked is since when the session may be lingering; zero: it is attached. A heartbeat that is
// unanswered for half of the time says that something in between may have closed the server's side.
// mu is held.
func (s *session) breakLocked() time.Time {
	if s.linger == 0 {
		return time.Time{}
	}
	at := s.brokenAt
	if s.beating != nil && s.beatOn == s.c.wire.numbered.Load() && s.c.wire.unclear.Load() {
		if silent := s.beatSent.Add(s.linger / 2); at.IsZero() || silent.Before(at) {
			at = silent
		}
	}
	return at
}

// leaseLocked is until when the session lives at least, and how long before that it stops being
// certain. mu is held.
func (s *session) leaseLocked() (time.Time, time.Duration) {
	expiry, margin := s.expiry, marginOf(s.ttl)
	if at := s.breakLocked(); !at.IsZero() {
		over, short := at.Add(s.linger), s.linger/4
		if over.Add(-short).Before(expiry.Add(-margin)) {
			return over, short
		}
	}
	return expiry, margin
}
