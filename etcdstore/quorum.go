package etcdstore

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/members"
)

// serve sets whether the store can commit. When it no longer can, all waits end, so that their
// callers look elsewhere: their places are kept in etcd, and a repeat through another store finds
// them.
func (s *Store) serve(up bool) {
	up = up && s.seen.Err() == nil
	s.health.Set(up)
	if !up {
		why := s.engine.Unserved()
		s.mirror.endWaits(why)
		s.bundles.endWaits(why, false)
	}
}

const (
	probeEvery   = 500 * time.Millisecond
	probeTimeout = 2 * time.Second // longer than an election, shorter than a client's patience
	maxSlow      = 2               // how many slow answers in a row are put up with
)

// probe is the watchdog. A watch on an etcd that lost its quorum says nothing, so somebody has to
// ask: a linearizable read, twice a second, which only a quorum can answer. Its revisions also date
// the history to be compacted. Of a new leader the member in this process tells: what its
// predecessor still owed is then not waited for until the next question, see Health.Led.
//
// It ends for good when the store must serve nothing any more: see wentback.go. That does not end
// by itself, however high the revision gets.
func (s *Store) probe() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	past := newHistory(s.history)
	slow := 0 // questions in a row that a member with a leader did not answer in time
	for {
		elected := s.leaderChanged()
		rev, err := s.ask()
		if s.ctx.Err() != nil {
			return
		}
		if why := s.seen.Err(); why != nil {
			s.serve(false)
			s.log.Error("nothing is served any more, until this server is started again", "err", why)
			return
		}
		if err != nil {
			past.pause()
		}
		if err == nil {
			slow = 0
		} else if slow < maxSlow && errors.Is(err, context.DeadlineExceeded) && s.hasLeader() {
			slow++ // loaded, not cut off: to send every waiter elsewhere would only add to it
			continue
		}
		if err != nil && s.health.Up() {
			s.log.Warn("no quorum", "err", s.why(err))
		} else if err == nil && !s.health.Up() {
			s.log.Info("quorum is back")
		}
		s.serve(err == nil)
		if err == nil {
			s.compact(past.look(rev, time.Now(), s.space.scarce()))
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.seen.Noticed():
		case <-elected:
		case <-tick.C:
		}
	}
}

// leaderChanged is closed when there is a new leader; nil: nobody tells of that.
func (s *Store) leaderChanged() <-chan struct{} {
	if s.local == nil {
		return nil
	}
	return s.local.LeaderChanged()
}

// why is what is the matter with etcd, in words if there are any, when a read of it has failed.
func (s *Store) why(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		ctx, cancel := context.WithTimeout(s.ctx, probeEvery)
		defer cancel()
		if why := s.members.Why(ctx); why != nil && !errors.Is(why, context.DeadlineExceeded) {
			return why
		}
	}
	return members.Explain(err)
}

// hasLeader reports whether a member knows a leader. One that is cut off knows none after an
// election timeout.
func (s *Store) hasLeader() bool {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	for _, st := range s.statuses(ctx) {
		if st.Leader != 0 {
			return true
		}
	}
	return false
}

// ask reads linearizably, past the refusal of calls while the store is down: whose etcd this is,
// and what is switched on.
func (s *Store) ask() (rev int64, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	resp, err := s.read(ctx, s.keys.features(), clientv3.WithRange(s.keys.meta()+"\x00"))
	if err == nil {
		err = s.recognize(resp)
	}
	if err != nil {
		return 0, err
	}
	s.health.Led(resp.Header.RaftTerm)
	return resp.Header.Revision, nil
}
