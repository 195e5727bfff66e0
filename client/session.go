package client

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// sessionRoom is how many acquisitions one session takes. A heartbeat may name 1,000, and the
// server ends those that it does not name.
const sessionRoom = 900

// answeredSoon is how long an Acquire, or its answer, may be on its way before it counts as lost.
const answeredSoon = time.Second

// session is a lease and what is acquired under it. Its heartbeats say which acquisitions are still
// wanted, so that the server ends what a lost message left behind.
type session struct {
	c          *Client
	credential string
	id         string
	began      int64         // the revision; 0: the server did not say
	gone       chan struct{} // closed when the session is lost or closed
	settled    chan struct{} // closed when a server has answered its close, or none does
	nudge      chan struct{} // wakes run
	begunOn    uint64        // the number of the link that it was begun on

	mu         sync.Mutex
	highest    uint64 // the last request number issued
	unfinished map[uint64]*acquisition
	ttl        time.Duration // as granted
	expiry     time.Time     // the lease lives at least until then
	beatAt     time.Time     // when the last heartbeat was begun
	beating    *call         // the heartbeat that is unanswered; nil: none
	beatSent   time.Time     // when that was first sent on a link
	beatOn     uint64        // that link's number
	denied     error         // why the last heartbeat was, if it was
	linger     time.Duration // 0: the session does not
	brokenAt   time.Time     // since when it is not attached for certain; zero: it is
	brokenOn   uint64        // the last link of which that is so
	attachedOn uint64        // the last link that it was attached to for certain
	pins       int           // what keeps it from being closed: see unpin
	lost       time.Time     // when gone was closed; zero: it was not
	cause      error         // why it was lost
}

// acquisition is one attempt to get one lock, and the hold that came of it.
type acquisition struct {
	s      *session
	lock   string
	number uint64

	// Guarded by the session's mu.

	wait   *call  // the unanswered Acquire; nil: none
	held   *Lock  // nil: it waits
	lost   loss   // the last that was told of it while it waited
	queued func() // to be told that it waits; nil: nobody is, or any more

	warned bool // it was told that its deadline is near
}

func (a *acquisition) request() string { return strconv.FormatUint(a.number, 10) }

// newSession begins to keep a session alive, from the answer to the Init that began it.
func (c *Client) newSession(m *dlmv1.InitResponse, a answer) *session {
	ttl, sent := m.GetTtl().AsDuration(), a.sent
	s := &session{
		c:          c,
		credential: m.GetSession(),
		id:         m.GetId(),
		began:      m.GetRevision(),
		gone:       make(chan struct{}),
		settled:    make(chan struct{}),
		nudge:      make(chan struct{}, 1),
		unfinished: make(map[uint64]*acquisition),
		ttl:        ttl,
		expiry:     sent.Add(ttl),
		beatAt:     sent,
		pins:       1,
		linger:     c.cfg.Linger,
		begunOn:    a.link,
		attachedOn: a.link,
	}
	if s.linger > 0 {
		c.wire.attach(s, a.link)
	}
	c.wire.want(1) // what it loses is told over a link
	c.running.Go(s.run)
	return s
}

// enlist numbers a new acquisition. It returns nil if the session is full or lost. Number and entry
// are made in one step: a heartbeat between them would name the number as the highest, and not the
// acquisition, so the server would end it.
func (s *session) enlist(lock string) *acquisition {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lost.IsZero() || len(s.unfinished) >= sessionRoom {
		return nil
	}
	s.highest++
	a := &acquisition{s: s, lock: lock, number: s.highest}
	s.unfinished[a.number] = a
	return a
}

// delist makes the next heartbeat end whatever is left of the acquisition.
func (s *session) delist(a *acquisition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unfinished, a.number)
}

// nextRequest numbers an append.
func (s *session) nextRequest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.highest++
	return strconv.FormatUint(s.highest, 10)
}

// lease returns until when the session lives at least, and how long before that it stops being
// certain.
func (s *session) lease() (time.Time, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaseLocked()
}

// lostAt returns when the session was lost, and whether it was.
func (s *session) lostAt() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost, !s.lost.IsZero()
}

// refusal is why no heartbeat is answered, if servers say so: they do not accept who this client
// is, or that the session is its own. nil: they do not.
func (s *session) refusal() error {
	s.mu.Lock()
	last := s.denied
	s.mu.Unlock()
	if last != nil {
		return last
	}
	return s.c.wire.turnedAwayNow()
}

// uncertain is the error of a session that is not confirmed in time, with the refusal that is why.
func uncertain(refusal error) error {
	if refusal == nil {
		return errUncertain
	}
	return fmt.Errorf("%w: %w", errUncertain, refusal)
}

// errUncertain is the end of a session that nobody confirmed in time.
var errUncertain = fmt.Errorf("%w: its lease is no longer certain, no heartbeat was answered in time", ErrLockExpired)

// waitsOnly reports whether the session is good for places in queues and nothing else: it holds no
// lock, and no end of a section is unanswered (its life is the only pin). mu is held.
func (s *session) waitsOnly() bool {
	for _, a := range s.unfinished {
		if a.held != nil {
			return false
		}
	}
	return len(s.unfinished) > 0 && s.pins == 1
}

// certainLocked returns how long the lease is certain from now on. mu is held.
func (s *session) certainLocked(now time.Time) time.Duration {
	expiry, margin := s.leaseLocked()
	return expiry.Add(-margin).Sub(now)
}

// run sends heartbeats, and ends the session when it stops being certain. A session that only waits
// goes on until a server says that it has ended: etcd counts leases anew when it restarts or
// changes its leader, so the places in the queues may well be there after a long outage. If servers
// refuse who this client is, it does not go on.
func (s *session) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.gone:
			return
		case <-s.nudge:
		case <-timer.C:
		}
		now := time.Now()
		s.mu.Lock()
		certain := s.certainLocked(now)
		beat := s.beatAt.Add(s.everyLocked()).Sub(now)
		beating := s.beating != nil
		waits, again := s.waitsOnly(), s.ttl/3
		s.mu.Unlock()
		var refusal error
		if certain <= 0 {
			if refusal = s.refusal(); waits && refusal == nil {
				certain = again // then looked at again
			}
		}
		switch {
		case certain <= 0:
			s.lose(uncertain(refusal))
			return
		case beating:
			timer.Reset(certain)
		case beat <= 0:
			s.beat(now)
			wake(s.nudge)
		default:
			timer.Reset(min(certain, beat))
		}
	}
}

// refresh makes the next heartbeat due. It is called after a move to another server: what that
// server knows is to be learned soon. A session that lingers is to be attached before anything else
// is sent: its heartbeat is put in line at once, unless there is one from before.
func (s *session) refresh() {
	s.mu.Lock()
	s.beatAt = time.Time{}
	attach := s.linger > 0 && s.beating == nil
	s.mu.Unlock()
	if attach {
		s.beat(time.Now())
	}
	wake(s.nudge)
}

// mention is one acquisition that a heartbeat names, and its hold as it was at that moment.
type mention struct {
	a     *acquisition
	held  *Lock
	epoch uint64
}

func (s *session) beat(now time.Time) {
	m := &dlmv1.HeartbeatRequest{Session: s.credential, TakesLost: true, Seen: s.c.wire.seen.message()}
	c := &call{
		message: func() *dlmv1.StreamRequest {
			m = s.numbers(m)
			return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{Heartbeat: m}}
		},
		lease: s,
		says:  true,
	}
	s.mu.Lock()
	if !s.lost.IsZero() || s.beating != nil {
		s.mu.Unlock()
		return
	}
	c.limit = s.ttl / 3
	if s.linger > 0 && s.c.wire.unclear.Load() {
		c.limit = min(c.limit, s.linger/2)
	}
	s.beatAt, s.beatSent, s.beating = now, now, c
	m.HighestRequest = s.highest
	named := make([]mention, 0, len(s.unfinished))
	for _, a := range s.unfinished {
		m.Unfinished = append(m.Unfinished, &dlmv1.Acquisition{Lock: a.lock, Request: a.request()})
		named = append(named, mention{a: a, held: a.held})
	}
	s.mu.Unlock()
	for i := range named {
		if l := named[i].held; l != nil {
			named[i].epoch = l.currentEpoch()
		}
	}
	c.done = func(a answer) { s.beatAnswered(named, a) }
	_ = s.c.wire.start(c) // fails when the client is being closed, which ends the session too
}

// beatAnswered takes a heartbeat's answer. The lease counts from when the heartbeat was sent.
func (s *session) beatAnswered(named []mention, a answer) {
	m := a.msg.GetHeartbeat()
	s.mu.Lock()
	s.beating, s.denied = nil, nil
	if denied(a.err) {
		s.denied = a.err
	}
	if m == nil {
		s.soonLocked() // it may be served then
	} else if ttl := m.GetTtl().AsDuration(); lasting(ttl) {
		s.ttl = ttl
		s.expiry = later(s.expiry, a.sent.Add(ttl))
		s.attachedLocked(m, a)
	}
	s.mu.Unlock()
	wake(s.nudge)
	if hook := s.c.cfg.Hooks.Heartbeat; hook != nil && !errors.Is(a.err, ErrClosed) {
		took := time.Since(a.sent)
		if m == nil {
			took = 0
		}
		err := a.err
		if err == nil && m == nil {
			err = errMalformed
		}
		s.c.tell(func() { hook(s.id, took, err) })
	}
	if m == nil {
		s.beatFailed(a.err)
		return
	}
	if s.c.cfg.Linger > 0 {
		s.c.wire.release()
	}
	states := m.GetStates()
	for i, n := range named {
		if i >= len(states) || states[i].GetRequest() != n.a.request() {
			return
		}
		if states[i].GetState() == dlmv1.AcquisitionState_STATE_NONE {
			n.a.holdsNothing(loss{rev: m.GetRevision()})
		}
		if n.held != nil {
			n.held.verify(n.epoch, states[i])
			continue
		}
		if states[i].GetState() == dlmv1.AcquisitionState_STATE_WAITING {
			n.a.waits()
			continue
		}
		// An Acquire that left well before the heartbeat, and that the server does not know, has
		// been lost on its way, or its answer has. While an outage lasts that is normal: then the
		// Acquire has not been sent again yet.
		s.mu.Lock()
		wait, soon := n.a.wait, min(answeredSoon, s.ttl/3)
		s.mu.Unlock()
		if wait != nil {
			s.c.wire.resend(wait, a.sent.Add(-soon))
		}
	}
}

// beatFailed ends the session if that is what the error of a heartbeat says.
func (s *session) beatFailed(err error) {
	switch {
	case errors.Is(err, ErrSessionExpired), foreign(err):
		s.lose(fmt.Errorf("%w: %w", ErrLockExpired, err))
	case err != nil && !errors.Is(err, ErrClosed):
		s.c.journal.write(func(log *slog.Logger) { log.Warn("heartbeat refused", "session", s.id, "err", err) })
	}
}

// lose ends the session on this side: whoever holds a lock under it learns so, and whoever waits
// goes on under another one. The first call counts.
func (s *session) lose(cause error) {
	s.mu.Lock()
	if !s.lost.IsZero() {
		s.mu.Unlock()
		return
	}
	s.lost, s.cause = time.Now(), cause
	var held []*Lock
	for _, a := range s.unfinished {
		if a.held != nil {
			held = append(held, a.held)
		}
	}
	close(s.gone)
	beating := s.beating
	s.mu.Unlock()
	s.c.remove(s)
	s.c.wire.want(-1)
	s.c.wire.detach(s)
	if beating != nil {
		s.c.wire.forget(beating)
	}
	if !errors.Is(cause, ErrClosed) {
		s.c.journal.write(func(log *slog.Logger) {
			log.Warn("session lost", "session", s.id, "err", cause, "locks", len(held))
		})
	}
	if s.c.atLoss != nil {
		s.c.atLoss()
	}
	for _, l := range held {
		l.lose(cause)
	}
	s.unpin()
}

// pin keeps the session from being closed while a section's end (a release, commit or discard) is
// unanswered: to close it would undo what is being published. Only a holder that has not been told
// of a loss may pin. It does so with the Lock's mu held, for which lose has to wait.
func (s *session) pin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins++
}

// unpin undoes one pin, or gives up the session's life, which is the first pin. The last to unpin
// closes the session, and there is one last: lose gives the life up after it has told every holder,
// so nobody pins from then on, and the count cannot leave 0 again.
//
// If the loss itself decided whether an end is unanswered, this could happen: the session is lost,
// and no end is unanswered; a holder that has not been told yet sends a release; it is answered, as
// the last one, and closes the session; then the loss, by its earlier look, closes it a second
// time.
func (s *session) unpin() {
	s.mu.Lock()
	s.pins--
	last := s.pins == 0
	s.mu.Unlock()
	if last {
		s.close()
	}
}

// close tells the server that the session has ended, so that others need not wait for its TTL. It
// is called once, by unpin.
func (s *session) close() {
	err := s.c.wire.start(&call{
		message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Close{
			Close: &dlmv1.CloseRequest{Session: s.credential},
		}}),
		done: func(answer) { close(s.settled) },
	})
	if err != nil {
		close(s.settled)
	}
}
