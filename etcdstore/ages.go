package etcdstore

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How old a session's last heartbeat is, the server knows that heard it. Of the sessions that call
// elsewhere etcd's leader knows how long their leases live on, and so when they were renewed. It is
// asked for few at a time, and for a listing only beside it: what is not known is not waited for.
// After an election, leases live on as if they had been renewed just then.

const (
	unknownAge = time.Duration(-1)

	keepAge    = 2 * time.Second // that an answer counts
	maxAges    = 4096            // answers that are kept
	maxAgeAsks = 256             // questions that wait
	ageAskers  = 4               // questions at once
	askAgeSoon = 500 * time.Millisecond
)

// ages is what the leader has answered.
type ages struct {
	asked *backlog[string] // sessions

	mu      sync.Mutex
	known   map[string]leaseAge
	waiting map[string]struct{} // in asked
}

// leaseAge is how a lease was at a time.
type leaseAge struct {
	at        time.Time
	left, age time.Duration
	there     bool // it was there
}

func newAges() *ages {
	return &ages{asked: newBacklog[string](), known: map[string]leaseAge{}, waiting: map[string]struct{}{}}
}

// of is what the leader has answered lately of a session's lease.
func (g *ages) of(session string) (a leaseAge, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, ok = g.known[session]
	return a, ok && time.Since(a.at) < keepAge
}

// want has the leader asked, unless too many wait for that.
func (g *ages) want(session string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.waiting[session]; !ok && len(g.waiting) < maxAgeAsks {
		g.waiting[session] = struct{}{}
		g.asked.add(session)
	}
}

// learned takes in an answer; the zero leaseAge: there was none.
func (g *ages) learned(session string, a leaseAge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, session)
	if a.at.IsZero() {
		return
	}
	if len(g.known) >= maxAges {
		clear(g.known)
	}
	g.known[session] = a
}

// tellAges says of holders' sessions what is known.
func (s *Store) tellAges(locks []LockInfo) {
	for i := range locks {
		if h := locks[i].Holder; h != nil && !s.tellAge(h) && h.Session != "" {
			s.ages.want(h.Session)
		}
	}
}

// tellAge says of a holder's session what is known, and reports whether it is. A client that goes
// on calls at least once in the half of its TTL: of whoever does not, another server may know more.
func (s *Store) tellAge(h *Holder) (known bool) {
	if heard, ttl, ok := s.silences.last(h.Session); ok {
		if age := time.Since(heard); age <= ttl/2 {
			h.HeartbeatAge, h.LeaseLeft = age, ttl-age
			return true
		}
	}
	a, ok := s.ages.of(h.Session)
	if ok && a.there {
		since := time.Since(a.at)
		h.HeartbeatAge, h.LeaseLeft = a.age+since, max(0, a.left-since)
	}
	return ok
}

// askAge is tellAge, for one lock that somebody looks at: the leader is asked if need be.
func (s *Store) askAge(ctx context.Context, h *Holder) {
	if h == nil || h.Session == "" || s.tellAge(h) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askAgeSoon)
	defer cancel()
	_ = s.learnAge(ctx, h.Session) // otherwise it stays unknown
	s.tellAge(h)
}

// learnAge asks the leader about a session's lease.
func (s *Store) learnAge(ctx context.Context, session string) error {
	var a leaseAge
	defer func() { s.ages.learned(session, a) }()
	lease, ok := parseSessionID(session)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askAgeSoon)
	defer cancel()
	var resp *clientv3.LeaseTimeToLiveResponse
	err := s.engine.Call(ctx, func(ctx context.Context) (err error) {
		resp, err = s.etcd().TimeToLive(ctx, lease)
		return err
	})
	if err != nil {
		return nil // whoever looks again asks again
	}
	left, ttl := time.Duration(max(0, resp.TTL))*time.Second, time.Duration(resp.GrantedTTL)*time.Second
	a = leaseAge{at: time.Now(), left: left, age: max(0, ttl-left), there: resp.TTL >= 0 && ttl > 0}
	return nil
}
