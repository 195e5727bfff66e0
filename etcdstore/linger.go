package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// A session may linger: then it does not live its whole TTL when its client is gone, but ends soon
// after the client's side has closed the stream that the session is attached to.
//
// It is attached by Init, and by the first heartbeat of each stream that the client moves to. The
// client numbers its attachments, and sessions/S has the number of the last one (at). The store
// that put that keeps the revision A of the put with the stream: as long as sessions/S is at A,
// this stream is the one that counts. When the time since its close is over, one transaction
// decides:
//
//	sessions/S is still at A   it is marked: over. Nobody attaches it any more, and its lease is
//	                           revoked
//	it is not                  it was attached elsewhere, and goes on
//
// So between a heartbeat that attaches and a linger that ends, whichever is committed first wins,
// whatever the clocks of two servers say, and however late one of them looks. A client that was
// told that it is attached by a stream that stands does not lose its session by the close of an
// older one.
//
// The mark comes before the revocation, and is not a deletion, since a release in between must not
// find the session gone: it would look as if the lock had been lost with it.

// MinLinger is the least that a session may linger; the most is its TTL.
const MinLinger = time.Second

const (
	// overKept is how long a session may be seen marked before whoever sees it revokes its lease:
	// the store that has marked it does so at once, unless it crashed in between.
	overKept = time.Second

	endings = 16 // how many sessions are ended at once

	fewAttachments = 64 // so many of one link are kept without a look at whether their sessions live
)

// checkLinger checks how long a session is to linger.
func checkLinger(linger, ttl time.Duration) error {
	if linger != 0 && (linger < MinLinger || linger > ttl) {
		return fmt.Errorf("%w: a session that lingers for %v: want %v to its TTL, %v", ErrInvalidArgument, linger, MinLinger, ttl)
	}
	return nil
}

// attachments are the sessions that are attached to one link, of those that linger.
type attachments struct {
	store *Store

	mu      sync.Mutex
	closed  bool
	byPeer  bool                  // the client's side has closed the link
	current map[string]attachment // by session
	room    int                   // how many there may be before those that have ended are dropped
}

// attachment is what there is to know when the link is closed.
type attachment struct {
	rev    int64 // at which the session was put: A
	linger time.Duration
}

// add notes that a session is attached to the link. If the link was closed before that, the linger
// begins now: nobody else will notice, and a client that was killed right after its heartbeat would
// keep its session for its whole TTL.
func (as *attachments) add(id string, a attachment) {
	as.mu.Lock()
	defer as.mu.Unlock()
	switch {
	case !as.closed:
		as.tidy()
		if as.current[id].rev < a.rev {
			as.current[id] = a
		}
	case as.byPeer:
		as.store.lingers.begin(id, a)
	}
}

// tidy makes room for another attachment. Nobody tells of sessions that have ended, and a client
// may begin and close any number of them over one link. mu is held.
func (as *attachments) tidy() {
	if as.current == nil {
		as.current, as.room = map[string]attachment{}, fewAttachments
	}
	if len(as.current) < as.room {
		return
	}
	maps.DeleteFunc(as.current, func(id string, _ attachment) bool {
		_, _, known := as.store.mirror.session(id)
		return !known
	})
	as.room = max(fewAttachments, 2*len(as.current))
}

// close begins the lingers, if the client's side has closed the link. The first call counts.
func (as *attachments) close(byPeer bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.closed {
		return
	}
	as.closed, as.byPeer = true, byPeer
	if byPeer {
		for id, a := range as.current {
			as.store.lingers.begin(id, a)
		}
	}
	as.current = nil
}

// lingers are the sessions whose client's stream was closed, and those that are marked as over.
// Each has one timer, so there are no more of them than sessions.
type lingers struct {
	due *backlog[lingering]

	mu      sync.Mutex
	stopped bool
	timers  map[string]*lingerTimer // by session
}

// lingering is a session that is to end, unless it was put since.
type lingering struct {
	session string
	rev     int64
}

type lingerTimer struct {
	rev   int64
	timer *time.Timer
}

func newLingers() *lingers {
	return &lingers{due: newBacklog[lingering](), timers: map[string]*lingerTimer{}}
}

// begin has a session looked at when its linger is over. An attachment that is older than one whose
// linger has begun is none any more.
func (ls *lingers) begin(id string, a attachment) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	before := ls.timers[id]
	if ls.stopped || before != nil && before.rev >= a.rev {
		return
	}
	if before != nil {
		before.timer.Stop()
	}
	t := &lingerTimer{rev: a.rev}
	t.timer = time.AfterFunc(a.linger, func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		if ls.timers[id] == t {
			delete(ls.timers, id)
			ls.due.add(lingering{id, a.rev})
		}
	})
	ls.timers[id] = t
}

// marked has a session that is over, since a revision, looked at in a while.
func (ls *lingers) marked(id string, rev int64) { ls.begin(id, attachment{rev: rev, linger: overKept}) }

// stop lets no linger end any more: the sessions live their TTL, unless another store ends them.
func (ls *lingers) stop() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.stopped = true
	for _, t := range ls.timers {
		t.timer.Stop()
	}
	clear(ls.timers)
}

// endLingering ends a session whose linger is over, if it was not attached anew. It may be repeated
// after any error: what has come of it is read first. Another store may have marked the session and
// crashed; then it remains to revoke the lease.
func (s *Store) endLingering(ctx context.Context, l lingering) error {
	ctx = urgent(ctx)
	key := s.keys.session(l.session)
	resp, err := s.get(ctx, key)
	if err != nil || len(resp.Kvs) == 0 {
		return err
	}
	v, rev, err := sessionOf(resp.Kvs[0])
	if err != nil {
		return err
	}
	lease := clientv3.LeaseID(resp.Kvs[0].Lease)
	if !v.Over {
		if rev != l.rev {
			return nil
		}
		v.Over = true
		marked, err := s.putSession(ctx, l.session, lease, v, l.rev)
		if err != nil {
			return fmt.Errorf("mark session %s: %w", l.session, err)
		}
		if !marked.Succeeded {
			return nil
		}
		s.log.Info("ending a session that its client has left", "session", l.session)
	}
	s.partings.begin(l.session, EndLingered)
	return s.revoke(ctx, lease)
}

// putSession puts a session's value if it was last put at a revision; otherwise it reads it.
func (s *Store) putSession(ctx context.Context, id string, lease clientv3.LeaseID, v sessionValue, rev int64) (*pb.TxnResponse, error) {
	key, value := s.keys.session(id), encode(v)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   []*pb.Compare{op.ModifiedAt(key, rev)},
		Then: []*pb.RequestOp{op.PutOn(lease, key, value)},
		Else: []*pb.RequestOp{op.Get(key)},
	})
	if err == nil && resp.Succeeded {
		s.mirror.own(change{key: key, rev: resp.Header.Revision, value: []byte(value)})
	}
	return resp, err
}

// attach attaches a session, by a heartbeat's number, to the link that the heartbeat came by; nil:
// to none. It returns the number that is recorded then, 0 if the session does not linger.
//
// A number that is not above the recorded one attaches nothing: the heartbeat is late, and its
// client has moved on. The number that is recorded is this very attachment's, which was put before,
// and whose answer may have been lost.
//
// Etcd may be too full for the put. Then it is too full to end the session as well, and the client
// repeats its heartbeat, as the number tells it to.
func (s *Store) attach(ctx context.Context, c session, number uint64, link *Link) (at uint64, err error) {
	v, rev, known := s.mirror.session(c.id)
	if known && v.Linger == 0 { // as most do
		return 0, nil
	}
	// The stream may be closed while etcd is asked, and then it must be known for which put.
	ctx = context.WithoutCancel(ctx)
	if !known {
		resp, err := s.get(ctx, s.keys.session(c.id))
		if err != nil {
			return 0, err
		}
		if len(resp.Kvs) == 0 {
			return 0, ErrSessionExpired
		}
		if v, rev, err = sessionOf(resp.Kvs[0]); err != nil {
			return 0, err
		}
	}
	for {
		switch {
		case v.Over:
			return 0, ErrSessionExpired
		case v.Linger == 0:
			return 0, nil
		case number < v.At || number == 0:
			return v.At, nil
		case number == v.At:
			link.attached(c.id, attachment{rev, v.linger()})
			return v.At, nil
		}
		next := v
		next.At = number
		resp, err := s.putSession(ctx, c.id, c.lease, next, rev)
		switch {
		case errors.Is(err, ErrNoSpace):
			return v.At, nil
		case err != nil:
			return 0, fmt.Errorf("attach session %s: %w", c.id, err)
		case resp.Succeeded:
			v, rev = next, resp.Header.Revision
			continue
		}
		kv := op.First(resp, 0)
		if kv == nil {
			return 0, ErrSessionExpired
		}
		if v, rev, err = sessionOf(kv); err != nil {
			return 0, err
		}
	}
}

// sessionOf returns what a session's key says, and since when.
func sessionOf(kv *mvccpb.KeyValue) (v sessionValue, rev int64, err error) {
	if v, err = decodeSession(kv.Value); err != nil {
		return sessionValue{}, 0, malformedKey(kv, err)
	}
	return v, kv.ModRevision, nil
}

// attached notes that a session is attached to the link, if there is one.
func (l *Link) attached(id string, a attachment) {
	if l != nil && l.store != nil {
		l.add(id, a)
	}
}
