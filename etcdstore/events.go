package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// watchRoom is how many runs of events a watcher may be behind. etcd's client would keep any
// number.
const watchRoom = 1024

// Watch sends what happens to the locks whose names begin with prefix: first the state as it is,
// then every change in order. If the watch of etcd is lost, or its history does not reach back far
// enough, the state comes again: events that are Initial, in the place of those that are missed.
//
// send is called in the caller's goroutine, with the events of one or more whole revisions, or with
// a part of the state. Watch goes on until there is an error, which it returns:
//
//   - send's error, as it is.
//   - the cause of ctx's end.
//   - [ErrQuota]: send did not keep up.
//   - [ErrNoQuorum], [ErrClosed]: this store has no more to tell; another may.
//   - [ErrInvalidArgument]: no lock's name begins with prefix.
func (s *Store) Watch(ctx context.Context, prefix string, send func([]Event) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	queue, end := make(chan []Event, watchRoom), make(chan error, 1)
	go func() {
		end <- s.queueEvents(ctx, prefix, queue)
		close(queue)
	}()
	var err error
	for events := range queue {
		if err == nil {
			if err = send(events); err != nil {
				cancel() // and go on until the other side has noticed
			}
		}
	}
	cancel()
	return cmp.Or(err, <-end)
}

// queueEvents finds what Watch sends. The state may be as large as it likes and waits for send; a
// change does not, since what etcd sends would pile up behind it.
func (s *Store) queueEvents(ctx context.Context, prefix string, queue chan<- []Event) error {
	for {
		rev, err := s.sendState(ctx, prefix, func(events []Event) error {
			select {
			case queue <- events:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.sendChanges(ctx, prefix, rev+1, func(events []Event) error {
			select {
			case queue <- events:
				return nil
			default:
				return fmt.Errorf("%w: the watcher is %d runs of events behind", ErrQuota, watchRoom)
			}
		}); err != nil {
			return err
		}
	}
}

// sendState sends the holders and waiters as they are at one revision, and returns that.
func (s *Store) sendState(ctx context.Context, prefix string, send func([]Event) error) (rev int64, err error) {
	for _, under := range []string{s.keys.allLocks(), s.keys.allQueues()} {
		sc := scanOf(under+prefix, listPage)
		sc.pinned, sc.rev = true, rev
		for resp, err := range s.pages(ctx, sc) {
			if err != nil {
				return 0, err
			}
			var events []Event
			for _, kv := range resp.Kvs {
				// A prefix that ends with a slash is also that of the outer lock's queue.
				if e, ok := s.eventOf(kv); ok && strings.HasPrefix(e.Lock, prefix) {
					e.Initial = true
					events = append(events, e)
				}
			}
			if len(events) > 0 {
				if err := send(events); err != nil {
					return 0, err
				}
			}
		}
		rev = sc.rev
	}
	return rev, nil
}

// eventOf is the event that made a holder's or a waiter's key what it is.
func (s *Store) eventOf(kv *mvccpb.KeyValue) (Event, bool) {
	if lock, ok := s.keys.parseLock(string(kv.Key)); ok {
		h := holderOf(kv)
		return Event{Type: EventGranted, Lock: lock, Session: h.Session, Request: h.Request, Label: h.Label, Token: h.Token, Revision: kv.ModRevision}, true
	}
	w, ok := s.waiterOf(kv)
	if !ok {
		return Event{}, false
	}
	a, _ := s.keys.parseWaiter(string(kv.Key))
	return Event{Type: EventWaiting, Lock: a.lock, Session: w.Session, Request: w.Request, Label: w.Label, Revision: kv.ModRevision}, true
}

// sendChanges sends changes from a revision on. It returns nil if they are compacted, or the watch
// broke: then the state is due again.
func (s *Store) sendChanges(ctx context.Context, prefix string, rev int64, send func([]Event) error) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	from, end := s.keys.mirrored()
	watch := s.etcd().Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev), clientv3.WithPrevKV())
	for {
		select {
		case resp, open := <-watch:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !open || resp.Err() != nil || slices.ContainsFunc(resp.Events, withoutPast) {
				return nil
			}
			events, err := s.explain(ctx, prefix, resp.Events)
			if err != nil {
				return err
			}
			if len(events) > 0 {
				if err := send(events); err != nil {
					return err
				}
			}
		case <-s.health.Down():
			return s.engine.Unserved()
		}
	}
}

// withoutPast reports whether what a key was before an event was compacted away before etcd sent
// the event: then nobody knows who left.
func withoutPast(e *clientv3.Event) bool { return !e.IsCreate() && e.PrevKv == nil }

// explain turns changed keys into what happened. One thing that happens may change several keys, at
// one revision, and some changes mean something only beside the others:
//
//	put locks/l for w, delete w's place      w was granted l, and has not left
//	delete locks/l, delete the session       the holder's session ended
//	put locks/l with prev=7, where 7 held    the holder committed
//	put or delete locks/l otherwise          released, discarded or evicted: the note says which
func (s *Store) explain(ctx context.Context, prefix string, changes []*clientv3.Event) (events []Event, err error) {
	type at[T any] struct {
		rev int64
		who T
	}
	granted := map[at[acquisition]]bool{} // a waiter that leaves the queue at the revision of its grant has not left
	ended := map[at[string]]bool{}        // a session takes all it holds with it, at one revision
	for _, c := range changes {
		if lock, ok := s.keys.parseLock(string(c.Kv.Key)); ok && c.Type == clientv3.EventTypePut {
			if v, err := decodeHolder(c.Kv.Value); err == nil {
				granted[at[acquisition]{c.Kv.ModRevision, acquisition{lock, v.session, v.request}}] = true
			}
		} else if id, ok := s.keys.parseSession(string(c.Kv.Key)); ok && c.Type == clientv3.EventTypeDelete {
			ended[at[string]{c.Kv.ModRevision, id}] = true
		}
	}
	for _, c := range changes {
		rev := c.Kv.ModRevision
		if lock, ok := s.keys.parseLock(string(c.Kv.Key)); ok {
			if !strings.HasPrefix(lock, prefix) {
				continue
			}
			if c.PrevKv != nil {
				left, _ := s.eventOf(c.PrevKv) // who held it before, under that token
				if ended[at[string]{rev, left.Session}] {
					left.Type, left.Revision, left.Reason = EventLost, rev, sessionEnded
				} else if left, err = s.howItEnded(ctx, left, c); err != nil {
					return nil, err
				}
				events = append(events, left)
			}
		} else if a, ok := s.keys.parseWaiter(string(c.Kv.Key)); ok {
			if !strings.HasPrefix(a.lock, prefix) || c.Type == clientv3.EventTypeDelete && (c.PrevKv == nil || granted[at[acquisition]{rev, a}]) {
				continue
			}
			if c.Type == clientv3.EventTypeDelete {
				if e, ok := s.eventOf(c.PrevKv); ok {
					e.Type, e.Revision = EventLeft, rev
					if ended[at[string]{rev, a.session}] {
						e.Reason = sessionEnded
					}
					events = append(events, e)
				}
				continue
			}
		}
		if c.Type == clientv3.EventTypePut {
			if e, ok := s.eventOf(c.Kv); ok {
				events = append(events, e)
			}
		}
	}
	return events, nil
}

// howItEnded is how a holder whose session lives came not to hold any more under its token. It
// reads the note from etcd as it is now, as a note is put with the end and kept for a day.
func (s *Store) howItEnded(ctx context.Context, e Event, c *clientv3.Event) (Event, error) {
	token := e.Token
	e.Type, e.Revision = EventReleased, c.Kv.ModRevision
	if c.Type == clientv3.EventTypePut {
		if v, err := decodeHolder(c.Kv.Value); err == nil && v.Prev == token {
			e.Type = EventCommitted
			return e, nil
		}
	}
	resp, err := s.get(ctx, s.keys.note(e.Lock, token))
	if err != nil {
		return Event{}, fmt.Errorf("explain: %w", err)
	}
	var v noteValue
	if len(resp.Kvs) > 0 && decode(resp.Kvs[0].Value, &v) == nil {
		e.Reason = v.String()
		if v.Why != discarded {
			e.Type = EventLost
		}
	}
	return e, nil
}
