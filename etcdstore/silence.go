package etcdstore

import (
	"container/heap"
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/internal/turns"
)

// A session whose client is silent ends with its lease. Etcd ends a thousand of these in a second
// at the most, in the order in which they were due: whoever abandons twenty thousand sessions has
// every other client wait twenty seconds for a lock whose holder has died. So a store ends those
// that it has heard of last itself, holders first and client by client.
//
// It must not end a session whose renewal somebody was told of, and a renewal is no transaction: it
// is the word of etcd's leader, who alone counts the time of leases, and may have given it to
// another server. So the leader is asked. A lease that has expired by its clock is not renewed any
// more, as long as it leads: it has whoever wants to renew it wait for the end. So this is exact:
//
//	read     linearizable, in term T
//	ask      the leader about each lease: it has expired, a second ago or more
//	read     linearizable, still in term T: who was asked was the leader then, and no other was
//	revoke   at once
//
// The first read rules out that somebody else's word was heard as the leader's. The second one is
// what etcd itself does before it revokes what has expired. In between, the revocation may meet
// another leader, who counts anew from its election: then a lease may end that was renewed a moment
// ago, by a client that was silent for its TTL and a second more. Etcd's own revocations can do
// that too, and a client has counted such a session as lost long before. revokeWithin keeps it to
// less than an election takes.
//
// The second's grace is etcd's rounding: it says 0 from a second before the end to a second after.
//
// Nothing relies on this: what it leaves, etcd ends.

const (
	silenceGrace = time.Second            // between a lease's end and the question whether it has ended
	silencePace  = 250 * time.Millisecond // between two looks for what is due
	silenceRound = 256                    // sessions that share the two reads
	silenceCalls = 16                     // at once

	revokeWithin = 500 * time.Millisecond // shorter than an election
)

// claim is what waits for the end of a session: it is the order in which silent ones are ended.
type claim int

const (
	holdsSomething claim = iota // others may wait for that
	waitsOnly                   // it is in others' way
	idles
	claims
)

// silences are the sessions that this store has heard of, by when they are due to be asked after.
type silences struct {
	mu    sync.Mutex
	known map[string]*hearing // by session
	byDue dues
}

// hearing is when a session was heard of last.
type hearing struct {
	session, client string
	heard           time.Time // when it was heard of
	ttl             time.Duration
	due             time.Time // when it is silent for too long
	at              time.Time // when it is looked at, no later than due
	index           int       // in byDue
}

func (h *hearing) lease() clientv3.LeaseID {
	lease, _ := parseSessionID(h.session)
	return lease
}

func newSilences() *silences { return &silences{known: map[string]*hearing{}} }

// heard notes that a session was begun, or renewed, a moment ago at the latest.
func (ss *silences) heard(session, client string, ttl time.Duration) {
	now := time.Now()
	due := now.Add(ttl + silenceGrace)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if h := ss.known[session]; h != nil {
		h.client, h.due, h.heard, h.ttl = client, due, now, ttl
		if due.Before(h.at) {
			h.at = due
			heap.Fix(&ss.byDue, h.index)
		}
		return
	}
	h := &hearing{session: session, client: client, heard: now, ttl: ttl, due: due, at: due}
	ss.known[session] = h
	heap.Push(&ss.byDue, h)
}

// last is when a session was heard of last, and its TTL.
func (ss *silences) last(session string) (heard time.Time, ttl time.Duration, ok bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if h := ss.known[session]; h != nil {
		return h.heard, h.ttl, true
	}
	return time.Time{}, 0, false
}

// quiet are the sessions that have been silent for half of their TTL.
func (ss *silences) quiet(now time.Time) (sessions []string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, h := range ss.byDue {
		if now.Sub(h.heard) > h.ttl/2 {
			sessions = append(sessions, h.session)
		}
	}
	return sessions
}

// forget notes that a session has ended. It reports whether that may be because it was silent: if
// this store had heard of it a moment ago, somebody else has ended it.
func (ss *silences) forget(session string) (silent bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	h := ss.known[session]
	if h == nil {
		return false
	}
	ss.remove(h)
	return time.Since(h.heard) >= h.ttl-silenceGrace
}

func (ss *silences) remove(h *hearing) {
	heap.Remove(&ss.byDue, h.index)
	delete(ss.known, h.session)
}

// again has sessions that were taken out asked after once more, in a while, unless they were heard
// of since.
func (ss *silences) again(hs []*hearing) {
	due := time.Now().Add(silenceGrace)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, h := range hs {
		if ss.known[h.session] == nil {
			h.due, h.at = due, due
			ss.known[h.session] = h
			heap.Push(&ss.byDue, h)
		}
	}
}

// take takes out those that have been silent for too long.
func (ss *silences) take() (due []*hearing) {
	now := time.Now()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for len(ss.byDue) > 0 && !ss.byDue[0].at.After(now) {
		h := ss.byDue[0]
		if h.due.After(now) { // heard of meanwhile
			h.at = h.due
			heap.Fix(&ss.byDue, h.index)
			continue
		}
		ss.remove(h)
		due = append(due, h)
	}
	return due
}

// silent is what is to be ended, in the order in which it is.
type silent [claims]turns.Queue[*hearing]

// endSilent ends sessions that have been silent for too long, until the store closes.
func (s *Store) endSilent() {
	tick := time.NewTicker(silencePace)
	defer tick.Stop()
	var todo silent
	for {
		for _, h := range s.silences.take() {
			if c, there := s.mirror.claim(h.session); there {
				s.partings.begin(h.session, EndExpired) // it is not known to the others any more
				todo[c].Push(h.client, h)
			}
		}
		if round := todo.next(); len(round) > 0 {
			s.endExpired(round)
			continue
		}
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// next takes out the first ones.
func (todo *silent) next() (round []*hearing) {
	for c := range todo {
		for len(round) < silenceRound {
			h, ok := todo[c].Pop()
			if !ok {
				break
			}
			round = append(round, h)
		}
	}
	return round
}

// endExpired ends those sessions whose leases have expired. Those that live are other stores' now.
// Those of which it does not come to know are asked after once more.
func (s *Store) endExpired(round []*hearing) {
	ctx, cancel := context.WithTimeout(urgent(s.ctx), commit.Timeout)
	defer cancel()
	etcd := s.etcd()
	term, err := s.leads(ctx, etcd)
	if err != nil {
		s.askAgain(round)
		return
	}
	var mu sync.Mutex
	var ended, unknown []*hearing
	each(round, silenceCalls, func(h *hearing) {
		over, err := s.hasExpired(ctx, etcd, h.lease(), term)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			unknown = append(unknown, h)
		} else if over {
			ended = append(ended, h)
		} else {
			s.partings.off(h.session)
		}
	})
	s.askAgain(unknown)
	if len(ended) == 0 {
		return
	}
	if now, err := s.leads(ctx, etcd); err != nil || now != term {
		s.askAgain(ended)
		return
	}
	ctx, cancelRevokes := context.WithTimeout(ctx, revokeWithin)
	defer cancelRevokes()
	each(ended, silenceCalls, func(h *hearing) {
		if err := s.revoke(ctx, h.lease()); err != nil {
			s.askAgain([]*hearing{h})
		}
	})
}

// askAgain has sessions asked after once more.
func (s *Store) askAgain(hs []*hearing) {
	s.silences.again(hs)
	for _, h := range hs {
		s.partings.off(h.session)
	}
}

// each calls f for all, some of them at once, and returns when all have returned.
func each[T any](all []T, atOnce int, f func(T)) {
	todo := make(chan T, len(all))
	for _, v := range all {
		todo <- v
	}
	close(todo)
	var running sync.WaitGroup
	for range min(atOnce, len(all)) {
		running.Go(func() {
			for v := range todo {
				f(v)
			}
		})
	}
	running.Wait()
}

// leads is the term in which etcd answers a linearizable read.
func (s *Store) leads(ctx context.Context, etcd *clientv3.Client) (term uint64, err error) {
	err = s.engine.CallNow(ctx, func(ctx context.Context) error {
		resp, err := etcd.Get(ctx, s.keys.meta(), clientv3.WithCountOnly())
		if err == nil {
			term = resp.Header.RaftTerm
		}
		return err
	})
	return term, err
}

// hasExpired reports whether a lease is there and has expired, as the leader of a term says.
func (s *Store) hasExpired(ctx context.Context, etcd *clientv3.Client, lease clientv3.LeaseID, term uint64) (over bool, err error) {
	err = s.engine.CallNow(ctx, func(ctx context.Context) error {
		resp, err := etcd.TimeToLive(ctx, lease)
		if err == nil {
			over = resp.TTL < 0 && resp.GrantedTTL > 0 && resp.RaftTerm == term
		}
		return err
	})
	return over, err
}

// dues is a heap of sessions, the first to be looked at on top.
type dues []*hearing

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at.Before(d[j].at) }

func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *dues) Push(x any) {
	h, _ := x.(*hearing)
	h.index = len(*d)
	*d = append(*d, h)
}

func (d *dues) Pop() any {
	last := len(*d) - 1
	h := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return h
}
