package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Etcd's file does not shrink when what is in it is compacted away. One that has become large and
// loose is rewritten by its own server, so that it does not stand in the way of new data for ever.
// Meanwhile that member answers nothing, though it goes on acknowledging what the leader sends. So
// members take turns, by a key in etcd; and a leader hands its office over before.
const (
	looseFrom = 60 // percent of the quota from which on a file is loose if less than half of it is in use
	looseFull = 8  // and free pages of one part in that many of the quota, if something was refused for space

	// How long a member that dies meanwhile holds up the others. To rewrite 16 GiB takes less.
	turnTTL = 10 * time.Minute
	// How long after an attempt that came to nothing there is another one, after etcd did not say
	// whose turn it is, as while there is no leader, and after it was another member's turn.
	turnAgain = time.Minute
	// How long after a file was rewritten it may be again: that many times as long as that took,
	// and this long at least.
	rewriteParts = 20
	rewriteAgain = 10 * time.Second
	turnAsk      = 5 * time.Second
	turnNext     = time.Second
)

// loose reports whether a file is to be rewritten. refused: somebody was refused for space.
func loose(st *clientv3.StatusResponse, refused bool) bool {
	return st.DbSize > st.DbSizeQuota*looseFrom/100 && st.DbSizeInUse < st.DbSize/2 ||
		refused && st.DbSize-st.DbSizeInUse > st.DbSizeQuota/looseFull
}

// stillness is a time in which nothing was written after all history had been dropped. Etcd counts
// the pages that were freed by its last write when it writes the next time, and to drop history it
// writes every page again in which there was some: its file may be beyond its quota then, all of it
// in use as far as it says, and so nothing is ever written that would make it count. Such a file is
// rewritten, once.
//
//	12.9 of 16 MiB, half of it history    records are refused
//	17.6 MiB, once that is dropped        all is refused: 9.4 MiB of it are free, and not counted
type stillness struct {
	dropped int64 // up to this revision, which is etcd's, history is dropped; 0: it is not, or is written to
	since   time.Time
	done    bool // the file is rewritten
}

// stillFor is for how long nothing must have been written: etcd drops history in the background.
const stillFor = 10 * time.Second

// look takes in etcd's revision, and up to which history is dropped.
func (s *stillness) look(rev, dropped int64, now time.Time) {
	switch {
	case rev > dropped:
		*s = stillness{}
	case s.dropped != dropped:
		*s = stillness{dropped: dropped, since: now}
	}
}

// uncounted reports whether more of a file may be free than etcd says.
func (s *stillness) uncounted(st *clientv3.StatusResponse) bool {
	return s.dropped > 0 && s.dropped == st.Header.GetRevision() && !s.done && time.Since(s.since) >= stillFor &&
		st.DbSize > st.DbSizeQuota*looseFrom/100
}

// droppedUpTo notes that history is dropped up to a revision.
func (p *space) droppedUpTo(rev int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = max(p.dropped, rev)
}

// tighten has the loose files of this look rewritten: the own member's, or by somebody else, if
// etcd is not this server's.
func (s *Store) tighten(endpoints []string) {
	p := s.space
	switch {
	case s.local == nil:
		if told := strings.Join(endpoints, ","); told != p.told {
			p.told = told
			if told != "" {
				s.log.Warn("etcd's file is large, and less than half of it is in use: have it rewritten, or new data will be refused",
					"command", "etcdctl defrag --endpoints "+told)
			}
		}
	case len(endpoints) > 0 && time.Now().After(p.again):
		p.again = time.Now().Add(turnAgain)
		if err := s.defragment(); err != nil && s.ctx.Err() == nil {
			s.log.Warn("etcd's file was not defragmented", "err", err)
		}
	}
}

// defragment rewrites the own member's file, if it is its turn.
func (s *Store) defragment() error {
	if !s.copying.TryLock() { // it would wait for the snapshot's end, and everybody for it
		s.space.askAgain(turnAsk)
		return nil
	}
	defer s.copying.Unlock()
	done, err := s.takeTurn()
	if err != nil {
		s.space.askAgain(turnAsk)
		return err
	}
	if done == nil {
		s.space.askAgain(turnNext)
		return nil
	}
	defer done()
	before, began := s.fileSize(), time.Now()
	s.log.Info("etcd's file is being defragmented: this server answers nothing until that is done", "file", before)
	// It cannot be broken off, only its beginning.
	if err := s.local.Defragment(s.ctx); err != nil {
		return err
	}
	s.space.still.done = true
	took := time.Since(began)
	s.space.again = time.Now().Add(max(rewriteAgain, rewriteParts*took))
	s.log.Info("etcd's file is defragmented", "took", took, "before", before, "file", s.fileSize())
	s.space.soon()
	return nil
}

// fileSize is the size of the own member's file; 0: not known.
func (s *Store) fileSize() (bytes int64) {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	for _, st := range s.statuses(ctx) {
		bytes = st.DbSize
	}
	return bytes
}

// takeTurn returns how to say that the turn is over; nil: it is another member's. A member that is
// alone needs none, and could not have one under etcd's alarm.
func (s *Store) takeTurn() (done func(), err error) {
	ctx, cancel := context.WithTimeout(s.ctx, commit.Timeout)
	defer cancel()
	if turn := s.space.turn; turn != 0 {
		if _, err := s.etcd().Revoke(ctx, turn); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil, fmt.Errorf("give back an earlier turn: %w", err)
		}
		s.space.turn = 0
	}
	members, err := s.etcd().MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the members: %w", err)
	}
	if len(members.Members) == 1 {
		return func() {}, nil
	}
	if taken, err := s.etcd().Get(ctx, s.keys.turn(), clientv3.WithCountOnly()); err != nil {
		return nil, fmt.Errorf("ask for a turn: %w", err)
	} else if taken.Count > 0 {
		return nil, nil
	}
	lease, err := s.etcd().Grant(ctx, int64(turnTTL/time.Second))
	if err != nil {
		return nil, fmt.Errorf("ask for a turn: %w", err)
	}
	done = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), probeTimeout)
		defer cancel()
		if _, err := s.etcd().Revoke(ctx, lease.ID); err != nil {
			s.space.turn = lease.ID // it would hold up the others until it ends by itself
		}
	}
	put := op.PutOn(lease.ID, s.keys.turn(), encode(s.info))
	resp, err := s.apply(ctx, &pb.TxnRequest{Compare: []*pb.Compare{op.Absent(s.keys.turn())}, Success: []*pb.RequestOp{put}})
	if err != nil {
		done()
		return nil, fmt.Errorf("ask for a turn: %w", err)
	}
	if !resp.Succeeded {
		done()
		return nil, nil
	}
	return done, nil
}

// askAgain has another look taken later, and the turn asked for again.
func (p *space) askAgain(later time.Duration) {
	p.again = time.Now()
	time.AfterFunc(later, p.soon)
}
