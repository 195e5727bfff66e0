package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// What happened after a revision that is not remembered, etcd tells once more: a watch from there
// has every change that is not compacted away, with what each key was before. That is all that the
// feed explains events by, so that they come out as they came then. Such a watch makes etcd read
// what it has long written, so a store has one at a time, for a round of events, and those who want
// one take turns. Nobody reads slowly in a turn: it is over before its events are sent.
//
//	since                     R                     the feed, joined before R was read
//	  └─ round ─ round ─ … ───┘── what is after R ── …

const (
	catchUpRound = 1 << 13         // events of etcd of one turn; the revision that it ends with is told whole
	catchUpTime  = 5 * time.Second // for one turn
	maxCatchUps  = 64              // who wait for one
	limitCatchUp = "catch-ups"
)

// WatchSince sends what has happened after a revision to the locks whose names begin with prefix,
// and goes on with what happens, like [Store.Watch]: every event once and in order, none of them
// Initial. The first News that come once all is told that had happened when it was called have no
// events. If something was missed on the way, it is made good from the last revision that was sent.
//
//   - those of [Store.Watch].
//   - [ErrCompacted]: it is not known any more what happened after that. It says which revision is
//     the oldest that can be given.
//   - [ErrInvalidArgument]: also, that the revision is none, or has not been yet.
//   - [ErrLimit]: too many others wait to be told of the past.
func (s *Store) WatchSince(ctx context.Context, prefix string, since int64, send func(*News) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	if since <= 0 {
		return fmt.Errorf("%w: revision %d: want one that was told", ErrInvalidArgument, since)
	}
	told := func(n *News) error {
		if err := send(n); err != nil {
			return err
		}
		since = max(since, n.Revision)
		return nil
	}
	now, err := s.revision(ctx)
	if err == nil && since > now {
		err = fmt.Errorf("%w: revision %d has not been yet: etcd is at %d", ErrInvalidArgument, since, now)
	}
	if err != nil {
		return err
	}
	for {
		if err := s.watchOn(ctx, prefix, &since, told); err != nil {
			return err
		}
	}
}

// watchOn sends what has happened after since, which told moves on, and then what happens, until
// something was missed.
func (s *Store) watchOn(ctx context.Context, prefix string, since *int64, told func(*News) error) error {
	// Most of the past is told before anything new is kept, since that may take long.
	now, err := s.revision(ctx)
	if err != nil {
		return err
	}
	if err := s.tellPast(ctx, prefix, since, now, told); err != nil {
		return err
	}
	w := s.mirror.feed.join(prefix)
	defer s.mirror.feed.leave(prefix, w)
	if now, err = s.revision(ctx); err != nil {
		return err
	}
	if err := s.tellPast(ctx, prefix, since, now, told); err != nil {
		return err
	}
	if err := told(&News{Revision: now}); err != nil {
		return err
	}
	return s.sendChanges(ctx, w, now, told)
}

// revision is etcd's, no earlier than the call.
func (s *Store) revision(ctx context.Context) (int64, error) {
	resp, err := s.get(ctx, s.keys.meta(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// tellPast sends what has happened after since and up to a revision, round by round.
func (s *Store) tellPast(ctx context.Context, prefix string, since *int64, upTo int64, told func(*News) error) error {
	for *since < upTo {
		events, rev, err := s.round(ctx, prefix, *since, upTo)
		if err != nil {
			return err
		}
		if err := told(&News{Events: events, Revision: rev}); err != nil {
			return err
		}
	}
	return nil
}

// round reads what has happened after a revision: up to another one, or a part of it. It returns
// up to which.
func (s *Store) round(ctx context.Context, prefix string, since, upTo int64) (events []Event, rev int64, err error) {
	if s.pastAsked.Add(1) > maxCatchUps {
		s.pastAsked.Add(-1)
		return nil, 0, Exceeded(limitCatchUp, maxCatchUps, "who are to be told of the past", limitRetry)
	}
	defer s.pastAsked.Add(-1)
	select {
	case s.pastTurn <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	case <-s.ctx.Done():
		return nil, 0, ErrClosed
	}
	defer func() { <-s.pastTurn }()
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	if err = s.kept(ctx, since); err != nil {
		return nil, 0, err
	}
	facts, rev, ok := s.remembered(ctx, since, upTo)
	if !ok {
		facts, rev, err = s.facts(ctx, since, upTo)
	}
	if err == nil {
		var open []int
		events, open = s.keys.explain(facts, func(lock string) bool { return strings.HasPrefix(lock, prefix) }, nil)
		err = s.mirror.feed.readNotes(ctx, events, open)
	}
	// What a key was before is not read any more where history ends: so it must not have ended
	// within the round.
	if err == nil || errors.Is(err, rpctypes.ErrCompacted) {
		if gone := s.kept(ctx, since); gone != nil {
			err = gone
		}
	}
	if err != nil {
		return nil, 0, err
	}
	return events, rev, nil
}

// kept is an [ErrCompacted] if the state as of a revision is not kept any more, and so what has
// happened after it is not known.
func (s *Store) kept(ctx context.Context, since int64) error {
	if err := s.readable(ctx, since); !errors.Is(err, rpctypes.ErrCompacted) {
		return err
	}
	oldest, err := s.oldestKept(ctx, since)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: what happened after revision %d is not kept any more: %d is the oldest that can be given", ErrCompacted, since, oldest)
}

// readable asks etcd for the state as of a revision: a state that is not kept is ErrCompacted.
func (s *Store) readable(ctx context.Context, rev int64) error {
	_, err := s.get(ctx, s.keys.meta(), clientv3.WithCountOnly(), clientv3.WithRev(rev))
	return err
}

// oldestKept is the first revision whose state is kept, after one whose is not. Etcd says it only
// by what it refuses.
func (s *Store) oldestKept(ctx context.Context, gone int64) (int64, error) {
	oldest, err := s.revision(ctx)
	for err == nil && gone+1 < oldest {
		middle := gone + (oldest-gone)/2
		if err = s.readable(ctx, middle); err == nil {
			oldest = middle
		} else if errors.Is(err, rpctypes.ErrCompacted) {
			gone, err = middle, nil
		}
	}
	return oldest, err
}

// remembered is facts by what this store remembers; false: it does not remember that much.
func (s *Store) remembered(ctx context.Context, since, upTo int64) (facts []fact, rev int64, ok bool) {
	if !s.mirror.feed.recent.has(since) || s.comeUp(ctx) != nil {
		return nil, 0, false
	}
	return s.mirror.feed.recent.between(since, upTo)
}

// facts reads what has changed after a revision: up to another one, or the first of it, whole
// revisions. It returns up to which.
func (s *Store) facts(ctx context.Context, since, upTo int64) (facts []fact, rev int64, err error) {
	for {
		facts, rev, err = s.factsOnce(ctx, since, upTo)
		if err == nil || !errors.Is(err, errWatchEnded) {
			return facts, rev, err
		}
		if rev > since { // the rest is another round's
			return facts, rev, nil
		}
		select {
		case <-time.After(relistWait):
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("%w: %w", ErrNoQuorum, err)
		}
	}
}

var errWatchEnded = errors.New("the watch of the past has ended")

// factsOnce is facts by one watch. With errWatchEnded it returns what that has told.
func (s *Store) factsOnce(ctx context.Context, since, upTo int64) (facts []fact, rev int64, err error) {
	// Etcd answers how far a stream has come once all its watches are up to date, and begin no
	// later than it is: so this one has a stream of its own.
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), "dlm-stream", "past"))
	defer cancel()
	from, end := s.keys.mirrored()
	etcd := s.etcd()
	watch := etcd.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(since+1), clientv3.WithPrevKV())
	again := time.NewTicker(askAgain)
	defer again.Stop()
	rev = since
	for {
		select {
		case resp, ok := <-watch:
			switch {
			case resp.CompactRevision > 0:
				return nil, 0, rpctypes.ErrCompacted
			case !ok:
				return facts, rev, errWatchEnded
			case resp.Err() != nil:
				return facts, rev, fmt.Errorf("%w: %w", errWatchEnded, resp.Err())
			}
			for _, e := range resp.Events {
				switch {
				case e.Kv.ModRevision > upTo:
					return facts, upTo, nil
				case e.Kv.ModRevision > rev && len(facts) >= catchUpRound:
					return facts, rev, nil
				}
				f := fact{Event: e}
				if e.PrevKv != nil {
					f.before = e.PrevKv
				}
				facts, rev = append(facts, f), e.Kv.ModRevision
			}
			if rev == upTo || resp.IsProgressNotify() && resp.Header.Revision >= upTo {
				return facts, upTo, nil
			}
		case <-again.C:
			if err := etcd.RequestProgress(ctx); err != nil {
				return facts, rev, fmt.Errorf("%w: %w", errWatchEnded, err)
			}
		case <-s.ctx.Done():
			return nil, 0, ErrClosed
		}
	}
}
