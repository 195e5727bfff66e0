package client

import (
	"slices"
	"sync"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// seen is what a client has seen of the cluster that its first session was begun with: its id, and
// the highest revision of any answer. Servers compare it with what they know, when a session is
// begun, with each heartbeat, and on each new link. So it is noticed if the cluster goes back, even
// if no server remembers anything, and if an endpoint is another cluster's.
type seen struct {
	mu         sync.Mutex
	cluster    string // empty: unknown, as of a server that says none
	revision   int64
	at         time.Time // when that was last raised
	credential string    // of the last session, to ask with
}

// message is what is said of it; nil: nothing has been seen.
func (s *seen) message() *dlmv1.Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster == "" && s.revision == 0 {
		return nil
	}
	return &dlmv1.Seen{Cluster: s.cluster, Revision: s.revision}
}

// id is the cluster's; empty: not known.
func (s *seen) id() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cluster
}

// take takes in an answer. Tokens are revisions.
func (s *seen) take(msg *dlmv1.StreamResponse) {
	var rev int64
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := msg.GetResponse().(type) {
	case *dlmv1.StreamResponse_Init:
		rev, s.credential = m.Init.GetRevision(), m.Init.GetSession()
		if s.cluster == "" {
			s.cluster = m.Init.GetCluster()
		}
	case *dlmv1.StreamResponse_Heartbeat:
		rev = m.Heartbeat.GetRevision()
		if s.cluster == "" {
			s.cluster = m.Heartbeat.GetCluster()
		}
	case *dlmv1.StreamResponse_Acquire:
		rev = m.Acquire.GetToken()
	case *dlmv1.StreamResponse_Cancel:
		rev = m.Cancel.GetToken()
	case *dlmv1.StreamResponse_Commit:
		rev = m.Commit.GetToken()
	case *dlmv1.StreamResponse_Append:
		rev = m.Append.GetRevision()
	case *dlmv1.StreamResponse_Publish:
		rev = m.Publish.GetVersion().GetToken()
	}
	if rev > s.revision {
		s.revision, s.at = rev, time.Now()
	}
}

// seenLately is how old the highest revision may be that a publish is born at: notes of publishes
// are kept for longer.
const seenLately = 5 * time.Minute

// lately is the highest revision, if it is from some minutes ago at most; else 0.
func (s *seen) lately(now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.at) > seenLately {
		return 0
	}
	return s.revision
}

// question is what a server is asked of which nothing is known yet. It ends nothing, for it names
// no request number; that its session may have ended is an answer too.
func (t *transport) question() *dlmv1.StreamRequest {
	t.seen.mu.Lock()
	credential := t.seen.credential
	t.seen.mu.Unlock()
	return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{
		Heartbeat: &dlmv1.HeartbeatRequest{Session: credential, Seen: t.seen.message()},
	}}
}

// recognize asks the server of a new link whether it is of the client's cluster. Until it has
// answered that, or another call that says what was seen, only such calls are sent: another cluster
// would answer an append, or a section's end, as one of a lock that was lost. mu is held.
func (t *transport) recognize(l *link) {
	if l.recognized {
		return // it has proved itself
	}
	if t.seen.id() == "" {
		l.recognized = true
		return
	}
	if t.asking != nil {
		return // it is sent again with all others
	}
	c := &call{
		message: t.question,
		limit:   t.stall,
		says:    true,
	}
	c.done = func(answer) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.asking == c {
			t.asking = nil
		}
	}
	t.asking = c
	t.order++
	c.order, c.started = t.order, time.Now()
	t.calls[c] = struct{}{}
}

// passOver leaves a server that is not of the client's cluster, or not of its latest state, unless
// all have said so by now: then the answer stands. It reports whether it left. mu is held.
func (t *transport) passOver(l *link, err *Error, now time.Time) bool {
	if t.foreign == nil {
		t.foreign = make(map[string]bool)
	}
	t.foreign[l.endpoint] = true
	if !slices.ContainsFunc(t.cfg.Endpoints, func(e string) bool { return !t.foreign[e] }) {
		return false
	}
	l.unable = true
	t.leave(l, err, now)
	return true
}

// passedOver is passOver for a call outside the stream.
func (t *transport) passedOver(l *link, err *Error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.passOver(l, err, time.Now())
}

// recognized notes that a link's server is of the client's cluster. mu is held.
func (t *transport) recognized(l *link) {
	delete(t.foreign, l.endpoint)
	if l.recognized {
		return
	}
	l.recognized, l.refusal = true, nil
	wake(l.wake)
	t.announce()
}

// heldBack takes the calls off the books that wait for a link to be recognized, which it is not. mu
// is held.
func (t *transport) heldBack(l *link, refusal error) (held []*call) {
	l.refusal = refusal
	t.announce()
	for _, c := range t.queue {
		if !c.says && t.drop(c) {
			held = append(held, c)
		}
	}
	return held
}
