package etcdstore

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Watch sends what happens to the locks whose names begin with prefix: first the state as it is,
// then every change in order. If something was missed, as when the watch of etcd was lost or there
// was more than could be kept, the state comes again: events that are Initial, in the place of
// those that are missed.
//
// send is called in the caller's goroutine, with the events of one or more whole revisions, or with
// a part of the state. Watch goes on until there is an error, which it returns:
//
//   - send's error, as it is.
//   - the cause of ctx's end.
//   - [ErrQuota]: send did not keep up.
//   - [ErrNoQuorum], [ErrClosed]: this store has no more to tell; another may.
//   - [ErrInvalidArgument]: no lock's name begins with prefix.
func (s *Store) Watch(ctx context.Context, prefix string, send func(*News) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	// What happens is kept from now on. So it goes on where the state, which is read later, ends.
	w := s.mirror.feed.join(prefix)
	defer s.mirror.feed.leave(prefix, w)
	for {
		rev, err := s.sendState(ctx, prefix, send)
		if errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		if err != nil {
			return err
		}
		if err := send(&News{Revision: rev}); err != nil {
			return err
		}
		if err := s.sendChanges(ctx, w, rev, send); err != nil {
			return err
		}
	}
}

// sendState sends the holders and waiters as they are at one revision, and returns that. It is no
// earlier than the call.
func (s *Store) sendState(ctx context.Context, prefix string, send func(*News) error) (rev int64, err error) {
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
				if e, ok := s.keys.eventOf(kv); ok && strings.HasPrefix(e.Lock, prefix) {
					e.Initial = true
					events = append(events, e)
				}
			}
			if len(events) > 0 {
				if err := send(&News{Events: events}); err != nil {
					return 0, err
				}
			}
		}
		rev = sc.rev
	}
	return rev, nil
}

// eventOf is the event that made a holder's or a waiter's key what it is.
func (k keys) eventOf(kv *mvccpb.KeyValue) (Event, bool) {
	if lock, ok := k.parseLock(string(kv.Key)); ok {
		h := holderOf(kv)
		return Event{Type: EventGranted, Lock: lock, Session: h.Session, Request: h.Request, Label: h.Label, Owner: h.Owner, Token: h.Token, Revision: kv.ModRevision}, true
	}
	w, ok := k.waiterOf(kv)
	if !ok {
		return Event{}, false
	}
	a, _ := k.parseWaiter(string(kv.Key))
	return Event{Type: EventWaiting, Lock: a.lock, Session: w.Session, Request: w.Request, Label: w.Label, Owner: w.Owner, Revision: kv.ModRevision}, true
}

// sendChanges sends what has happened after a revision. It returns nil if something was missed:
// then the state is due again.
func (s *Store) sendChanges(ctx context.Context, w *watcher, rev int64, send func(*News) error) error {
	for {
		if err := s.hear(ctx, w.ready); err != nil {
			return err
		}
		news, err := w.take()
		if err != nil {
			return err
		}
		for _, n := range news {
			if n == nil {
				return nil // what is behind it will be in the state
			}
			if n = n.after(rev); n != nil {
				if err := send(n); err != nil {
					return err
				}
			}
		}
	}
}

// hear waits for a signal of the feed. It returns an error if none can come any more: the cause of
// ctx's end, [ErrNoQuorum] or [ErrClosed].
func (s *Store) hear(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return ErrClosed
	case <-s.health.Down():
		return s.engine.Unserved()
	}
}
