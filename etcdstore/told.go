package etcdstore

import (
	"context"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// A client is told over its stream that it has lost a hold, or its session: docs/protocol.md,
// "Told at once", has the rules and what goes wrong without each.
//
// The mirror notices. What it notices is certain, since a holder that is gone from locks/L at a
// revision does not come back under its token; but it does not know why. So it leaves that to a
// goroutine that asks etcd, and never waits. Only what this store did itself needs no question: of
// an eviction it knows the reason, and of a release it says nothing, since the answer does.

// holdLoss is that an acquisition that held holds nothing as of a revision.
type holdLoss struct {
	acquisition
	token int64  // that it held, as far as was known; 0: it may only have waited
	rev   int64  // as of which it holds nothing
	exact bool   // it ended at rev, under token
	ends  int    // how many ends of it, by this store, are on their way to etcd
	why   string // as its client is told; empty: not known here
}

// ownEnd is the end of a section by this store.
type ownEnd struct {
	sectionKey
	note      noteValue // why it was undone; zero: it was released
	published bool      // there is something to read
}

// told is what the section's client is told; empty: it asked for the end, and is answered.
func (e ownEnd) told() string {
	if e.note.Why == discarded {
		return ""
	}
	return e.note.String()
}

const (
	tellers     = 4           // how many losses are explained at once
	maxAsked    = 1024        // that wait for their explanation; further ones are told without
	explainSoon = time.Second // how long a loss may wait for it
)

// releasedElsewhere is the reason of a loss without a note: only an end with the session's own
// credential leaves none.
const releasedElsewhere = "released by another call"

// subscribe has a link told of what a session loses from now on. A heartbeat calls it before it
// reads what the session holds: what was lost before is in its answer. A repeat does nothing.
func (m *mirror) subscribe(session string, l *Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := l.sessions[session]; ok || l.closed {
		return
	}
	if l.sessions == nil {
		l.sessions = map[string]struct{}{}
	}
	l.sessions[session] = struct{}{}
	m.links[session] = append(m.links[session], l)
	m.warnAll(session, l)
}

// unsubscribe ends all that a link is told.
func (m *mirror) unsubscribe(l *Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.closed = true
	for session := range l.sessions {
		links := slices.DeleteFunc(m.links[session], func(o *Link) bool { return o == l })
		if len(links) == 0 {
			delete(m.links, session)
		} else {
			m.links[session] = links
		}
	}
	l.sessions = nil
}

// sessionOver tells that a session has ended, which is the last that is told of it. mu is held.
func (m *mirror) sessionOver(session string, rev int64) {
	for _, l := range m.links[session] {
		l.tell(Loss{Session: session, Revision: rev, Reason: sessionEnded})
		delete(l.sessions, session)
	}
	delete(m.links, session)
}

// leaseless notes that a session had no lease any more when a heartbeat came. The mirror tells of
// its end when it sees it, unless that was before the heartbeat's own link was subscribed.
func (m *mirror) leaseless(session string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[session] == nil {
		m.sessionOver(session, m.rev)
	}
}

// unhold notes that a holder was found to hold no more, by a change that did not put it again under
// its next token. A commit is no loss. mu is held.
func (m *mirror) unhold(h *mirrorHolder, c change, t *touched) {
	if m.links[h.session] == nil {
		return
	}
	l := holdLoss{acquisition: h.acquisition(), token: h.token, rev: c.rev, exact: !c.local, ends: h.ends}
	if t.by.sectionKey == (sectionKey{h.lock, h.token}) {
		if l.why = t.by.told(); l.why == "" {
			return
		}
	}
	t.lost = append(t.lost, l)
}

// between notes that an acquisition was granted the lock by a change that came after this store's
// own, later change of the lock: it has held the lock, and does not any more, unless that change
// was its commit. If that is known already, as of all that is granted and released here while the
// watch is slow, it is no news. mu is held.
func (m *mirror) between(a acquisition, c change, t *touched) {
	rev := m.ahead[c.key].rev
	if state, _ := m.state(a); state == Holding || m.links[a.session] == nil || rev <= c.rev {
		return
	}
	if over, _ := m.over(a); !over {
		t.lost = append(t.lost, holdLoss{acquisition: a, token: c.rev, rev: rev})
	}
}

// lose has the client of an acquisition told. If this store's own end of it is on its way to etcd,
// and the watch was faster than its answer, that answer is waited for: it says whose end it was.
// mu is held.
func (m *mirror) lose(l holdLoss) {
	switch {
	case m.links[l.session] == nil: // or not any more: its session has ended
	case l.why != "":
		m.tell(l)
	case l.ends > 0:
		m.doubts[sectionKey{l.lock, l.token}] = l
	default:
		m.ask(l)
	}
}

// decide takes in that this store's own end has ended a section, if it was in doubt. mu is held.
func (m *mirror) decide(by ownEnd) {
	l, ok := m.doubts[by.sectionKey]
	if !ok {
		return
	}
	delete(m.doubts, by.sectionKey)
	if l.why = by.told(); l.why != "" {
		m.tell(l)
	}
}

// ask has it found out why an acquisition was lost, and its client told. There is one entry for an
// acquisition. mu is held.
func (m *mirror) ask(l holdLoss) {
	if l.token == 0 || len(m.asked) >= maxAsked {
		m.tell(l)
		return
	}
	m.asked[l.acquisition] = l
	m.explain(l.acquisition)
}

// tell tells a loss. mu is held.
func (m *mirror) tell(l holdLoss) {
	for _, link := range m.links[l.session] {
		link.tell(Loss{Session: l.session, Lock: l.lock, Request: l.request, Revision: l.rev, Reason: l.why})
	}
}

// takeAsked is a loss that is to be explained.
func (m *mirror) takeAsked(a acquisition) (l holdLoss, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok = m.asked[a]
	delete(m.asked, a)
	return l, ok
}

// tellAsked tells all losses that are to be explained as they are.
func (m *mirror) tellAsked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.asked {
		m.tell(l)
	}
	clear(m.asked)
}

// explainLoss finds out why an acquisition was lost and tells its client. That it was lost is
// certain, so it is told without a reason if etcd does not give one; and so are the others then,
// since each might have to wait as long.
func (s *Store) explainLoss(ctx context.Context, a acquisition) error {
	l, ok := s.mirror.takeAsked(a)
	if !ok {
		return nil
	}
	note, err := s.noteAsOf(ctx, sectionKey{l.lock, l.token}, l.rev)
	if err != nil {
		s.mirror.tellAsked()
	}
	switch {
	case err != nil:
		s.log.Debug("why a hold was lost is not known", "lock", l.lock, "token", l.token, "err", err)
	case note != nil:
		v, _ := decodeNote(note.Value) // what is malformed has no reason
		l.why = v.String()
	case note == nil && l.exact:
		l.why = releasedElsewhere
	}
	s.mirror.mu.Lock()
	defer s.mirror.mu.Unlock()
	s.mirror.tell(l)
	return nil
}

// noteAsOf is a section's note as of a revision; nil: there was none. What was does not change, so
// any member may be asked. One that has not come to the revision refuses, and is asked again when
// it is up to date. Unlike with asOf, whose callers may repeat what they asked for, a read that
// fails in another way is made again too: nobody asks a second time why a hold was lost.
func (s *Store) noteAsOf(ctx context.Context, k sectionKey, rev int64) (note *mvccpb.KeyValue, err error) {
	ctx, cancel := context.WithTimeout(ctx, explainSoon)
	defer cancel()
	r := &pb.RangeRequest{Key: []byte(s.keys.note(k.lock, k.token)), Revision: rev, Serializable: true}
	resp, err := s.engine.Alone(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(r)}})
	if err != nil {
		r.Serializable = false
		resp, err = s.engine.Alone(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(r)}})
	}
	if err != nil {
		return nil, err
	}
	return op.First(resp, 0), nil
}
