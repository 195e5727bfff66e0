package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Acquire asks for a lock and waits for it, in FIFO order. A repeat finds its own place or grant again. If ctx ends
// the place is kept: only Cancel, a heartbeat that does not list the request, or the session's end gives it up.
func (s *Store) Acquire(ctx context.Context, args AcquireArgs) (Grant, error) {
	if err := errors.Join(checkAcquisition(args.Acquisition), checkWait(args.Wait), checkHold(args.Hold), checkText("label", args.Label, MaxLabel)); err != nil {
		return Grant{}, err
	}
	c, err := s.living(ctx, args.Credential)
	if err != nil {
		return Grant{}, err
	}
	if args.Label == "" {
		args.Label = c.label
	}
	a := acquisition{args.Lock, c.id, args.Request}
	if over, held := s.mirror.over(a); held {
		return Grant{}, fmt.Errorf("%w: request %s has had its section", ErrLockExpired, quoted(a.request))
	} else if over { // it has had its wait: a late duplicate must not queue it again
		if args.Wait == WaitForever {
			return Grant{Outcome: Cancelled}, nil
		}
		return s.busy(a, s.mirror.holder(a.lock).public()), nil
	}
	var deadline <-chan time.Time // the wait is counted from here, on this server's monotonic clock
	if args.Wait > 0 {
		timer := time.NewTimer(args.Wait)
		defer timer.Stop()
		deadline = timer.C
	}
	try, err := s.enter(ctx, c, a, args)
	switch {
	case err != nil:
		return Grant{}, err
	case try.token != 0:
		return Grant{Outcome: Granted, Token: try.token}, nil
	case !try.queued:
		return s.busy(a, try.holder), nil
	case args.Wait == 0: // in the queue by an earlier call of the same request that would wait
		return s.giveUp(ctx, a)
	}
	w := s.mirror.register(a, try.rev)
	defer s.mirror.unregister(w)
	for {
		switch state, token := s.mirror.look(w); state {
		case Holding:
			return Grant{Outcome: Granted, Token: token}, nil
		case None:
			return s.gone(ctx, args.Credential, a)
		case Waiting:
		}
		select {
		case <-w.wake:
		case <-deadline:
			return s.giveUp(ctx, a)
		case <-s.health.down():
			return Grant{}, s.unserved()
		case <-ctx.Done():
			return Grant{}, context.Cause(ctx)
		}
	}
}

// unserved is why the store cannot serve.
func (s *Store) unserved() error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return ErrNoQuorum
}

// attempt is what the acquire's transaction found.
type attempt struct {
	token  int64 // granted
	queued bool  // it stands in the queue
	rev    int64
	holder *Holder // nil: nobody
}

// enter runs the acquire's transaction: a free lock that nobody waits for is granted; otherwise the same grant is found
// again, or a place in the queue is taken once, or, without a wait, nothing is left behind.
func (s *Store) enter(ctx context.Context, c session, a acquisition, args AcquireArgs) (attempt, error) {
	if err := s.room(); err != nil {
		return s.found(ctx, a, err)
	}
	lock, place, sess := s.keys.lock(a.lock), s.keys.waiter(a), s.keys.session(a.session)
	now := millis(time.Now())
	hold := args.Hold.Milliseconds()
	grant := holderValue{session: a.session, request: a.request, Label: args.Label, Since: now, Hold: hold}.encode()
	waiter := encode(waiterValue{Label: args.Label, Since: now, Hold: hold})

	enqueue := txn{els: []*pb.RequestOp{getKey(place)}}
	if args.Wait != 0 {
		enqueue.ifs = []*pb.Compare{absent(place), present(sess)}
		enqueue.then = []*pb.RequestOp{putOn(c.lease, place, waiter)}
	} else {
		enqueue.ifs = []*pb.Compare{absent(sess)} // nothing then either way
	}
	again := txn{
		ifs: append(between(lock, a.owner(), a.owner()+"\x01"), heldOn(lock, c.lease)),
		els: []*pb.RequestOp{enqueue.op()},
	}
	t := txn{
		ifs: []*pb.Compare{
			absent(lock),
			empty(s.keys.queue(a.lock)),
			present(sess),
		},
		then: []*pb.RequestOp{putOn(c.lease, lock, grant)},
		els:  []*pb.RequestOp{again.op(), get(lock), getKey(sess)},
	}
	if args.Wait != 0 && s.mirror.holder(a.lock) != nil {
		// The lock looks held: only the queue is written, so that any number of waiters share a batch. If it is free by
		// now, promote hands it over.
		t.ifs, t.then, t.patient = []*pb.Compare{never(sess)}, nil, true
	}
	resp, err := s.commit(ctx, t)
	if errors.Is(err, ErrNoSpace) {
		return s.found(ctx, a, fmt.Errorf("acquire: %w", err))
	}
	if err != nil {
		return attempt{}, fmt.Errorf("acquire: %w", err)
	}
	rev := resp.Header.Revision
	if resp.Succeeded {
		s.mirror.own(change{key: lock, rev: rev, created: rev, value: []byte(grant)})
		return attempt{token: rev, rev: rev}, nil
	}
	if first(resp, 2) == nil {
		return attempt{}, ErrSessionExpired
	}
	// What is compared is from before the batch, what is read may be from the middle of it.
	holder := first(resp, 1)
	if holder != nil && holds(holder, a) {
		return attempt{token: holder.ModRevision, rev: rev}, nil
	}
	if nested(resp, 0).Succeeded {
		return attempt{}, fmt.Errorf("%w: request %s has just had its section", ErrLockExpired, quoted(a.request))
	}
	try := attempt{rev: rev, holder: holderOf(holder)}
	in := nested(nested(resp, 0), 0)
	if args.Wait != 0 {
		if in.Succeeded {
			s.mirror.own(change{key: place, rev: rev, created: rev, value: []byte(waiter)})
		}
		try.queued = true // or was, a moment ago: whoever waits will see
	} else {
		try.queued = first(in, 0) != nil
	}
	return try, nil
}

// found answers an acquire that may write nothing: what it has already stands.
func (s *Store) found(ctx context.Context, a acquisition, refusal error) (attempt, error) {
	states, rev, err := s.states(ctx, a.session, []Acquisition{{a.lock, a.request}})
	switch {
	case err != nil:
		return attempt{}, err
	case states[0].State == None:
		return attempt{}, refusal
	}
	return attempt{token: states[0].Token, queued: states[0].State == Waiting, rev: rev}, nil
}

func holderOf(kv *mvccpb.KeyValue) *Holder {
	if kv == nil {
		return nil
	}
	v, err := decodeHolder(kv.Value)
	if err != nil {
		return &Holder{Token: kv.ModRevision}
	}
	return v.public(kv.ModRevision)
}

// public is what anybody may know of a holder.
func (v holderValue) public(token int64) *Holder {
	return &Holder{Session: v.session, Request: v.request, Label: v.Label, Token: token, Since: fromMillis(v.Since)}
}

func (h *mirrorHolder) public() *Holder {
	if h == nil {
		return nil
	}
	return h.holderValue.public(h.token)
}

// holds tells whether a holder's key is this acquisition's.
func holds(kv *mvccpb.KeyValue, a acquisition) bool {
	v, err := decodeHolder(kv.Value)
	return err == nil && v.session == a.session && v.request == a.request
}

// busy describes the queue to one that is not in it.
func (s *Store) busy(a acquisition, holder *Holder) Grant {
	position, length := s.mirror.place(a)
	return Grant{Outcome: Busy, Holder: holder, Position: position, QueueLength: length}
}

// giveUp ends a wait that was long enough; a grant that came first stands.
func (s *Store) giveUp(ctx context.Context, a acquisition) (Grant, error) {
	position, length := s.mirror.place(a)
	token, err := s.leave(ctx, a)
	if err != nil {
		return Grant{}, err
	}
	if token != 0 {
		return Grant{Outcome: Granted, Token: token}, nil
	}
	return Grant{Outcome: Busy, Holder: s.mirror.holder(a.lock).public(), Position: position, QueueLength: max(length-1, 0)}, nil
}

// gone answers a wait whose acquisition neither holds nor waits any more.
func (s *Store) gone(ctx context.Context, credential string, a acquisition) (Grant, error) {
	if _, err := s.living(ctx, credential); err != nil {
		return Grant{}, err
	}
	if s.mirror.givenUp(a) {
		return Grant{Outcome: Cancelled}, nil
	}
	return Grant{}, fmt.Errorf("%w: it was granted, and lost, before this was known here", ErrLockExpired)
}

// Cancel gives up a wait. If the lock had been granted, its token is answered and the caller holds it. A repeat answers
// the same.
func (s *Store) Cancel(ctx context.Context, credential string, a Acquisition) (token int64, err error) {
	if err := checkAcquisition(a); err != nil {
		return 0, err
	}
	c, err := s.living(ctx, credential)
	if err != nil {
		return 0, err
	}
	return s.leave(ctx, acquisition{a.Lock, c.id, a.Request})
}

// leave takes an acquisition out of its queue; the token, if it holds the lock instead.
func (s *Store) leave(ctx context.Context, a acquisition) (token int64, err error) {
	place := s.keys.waiter(a)
	resp, err := s.commit(ctx, txn{
		ifs:  []*pb.Compare{present(place)},
		then: []*pb.RequestOp{del(place)},
		els:  []*pb.RequestOp{get(s.keys.lock(a.lock))},
	})
	if err != nil {
		return 0, fmt.Errorf("cancel: %w", err)
	}
	if resp.Succeeded {
		s.mirror.own(change{key: place, rev: resp.Header.Revision, deleted: true})
		return 0, nil
	}
	if kv := first(resp, 0); kv != nil && holds(kv, a) {
		return kv.ModRevision, nil
	}
	return 0, nil
}

// promote grants a free lock to its first waiter. It is done whenever the mirror shows a free lock with a queue: that
// happens when a session ends, and when an enqueue and a release cross.
func (s *Store) promote(ctx context.Context, lock string) error {
	skip := map[acquisition]bool{}
	for s.mirror.free(lock) {
		w := s.mirror.next(lock, skip)
		if w == nil {
			return nil // all of them are gone, the mirror will hear of it
		}
		p := s.passTo(w)
		resp, err := s.commit(ctx, txn{
			ifs:  append([]*pb.Compare{absent(s.keys.lock(lock))}, p.ifs...),
			then: p.then,
			els:  []*pb.RequestOp{getKey(s.keys.lock(lock))},
		})
		if err != nil {
			return fmt.Errorf("promote: %w", err)
		}
		if resp.Succeeded {
			s.mirror.own(p.changes(resp.Header.Revision)...)
			return nil
		}
		if first(resp, 0) != nil {
			return nil // another store did it
		}
		skip[w.acquisition] = true
	}
	return nil
}
