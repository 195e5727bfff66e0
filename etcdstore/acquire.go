package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Acquire asks for a lock and waits for it, in FIFO order. A repeat finds its own place or grant again. If ctx ends
// the place is kept: only Cancel, a heartbeat that does not list the request, or the session's end gives it up.
func (s *Store) Acquire(ctx context.Context, args AcquireArgs) (Grant, error) {
	if err := args.check(); err != nil {
		return Grant{}, err
	}
	c, err := s.living(ctx, args.Credential)
	if err != nil {
		return Grant{}, err
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
	began := time.Now() // the wait is counted from here, on this server's monotonic clock
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
	type outcome struct {
		grant Grant
		err   error
	}
	over := make(chan outcome, 1)
	s.await(ctx, args.Credential, a, try.rev, args.left(began), func(g Grant, err error) { over <- outcome{g, err} })
	o := <-over
	return o.grant, o.err
}

func (args AcquireArgs) check() error {
	return errors.Join(checkAcquisition(args.Acquisition), checkWait(args.Wait), checkHold(args.Hold), checkText("label", args.Label, MaxLabel))
}

// left is how much of the wait is left.
func (args AcquireArgs) left(began time.Time) time.Duration {
	if args.Wait == WaitForever {
		return WaitForever
	}
	return max(0, args.Wait-time.Since(began))
}

// unserved is why the store cannot serve.
func (s *Store) unserved() error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return ErrNoQuorum
}

// entry is an acquisition on its way in: the parts of its transaction.
type entry struct {
	acquisition
	keys      keys
	lease     clientv3.LeaseID
	label     string
	now, hold int64 // ms
	refuse    func() error
}

func (s *Store) entry(c session, args AcquireArgs) entry {
	e := entry{
		acquisition: acquisition{args.Lock, c.id, args.Request}, keys: s.keys, lease: c.lease, label: args.Label,
		now: millis(time.Now()), hold: args.Hold.Milliseconds(),
	}
	e.refuse = s.unlessStale(e.acquisition)
	if e.label == "" {
		e.label = c.label
	}
	return e
}

// unlessStale refuses a late duplicate. A repeat may have waited for its turn while what it repeats was granted, and ended.
func (s *Store) unlessStale(a acquisition) func() error {
	return func() error {
		if s.mirror.stale(a) {
			return fmt.Errorf("%w: request %s is over", ErrLockExpired, quoted(a.request))
		}
		return nil
	}
}

// free holds while nobody holds the lock, and nobody has taken a place in its queue since a revision at which it was empty.
func (e entry) free(since int64) []*pb.Compare {
	return []*pb.Compare{absent(e.keys.lock(e.lock)), modifiedBy(e.keys.waited(e.lock), since)}
}

// unclaimed holds while nobody holds the lock, and nobody waits for it. It needs no mirror, and costs more.
func (e entry) unclaimed() []*pb.Compare {
	return []*pb.Compare{absent(e.keys.lock(e.lock)), empty(e.keys.queue(e.lock))}
}

// again holds while the acquisition holds the lock.
func (e entry) again() []*pb.Compare {
	lock := e.keys.lock(e.lock)
	return append(between(lock, e.owner(), e.owner()+"\x01"), heldOn(lock, e.lease))
}

// grant gives it the lock, if the compares hold. It does not share a batch with a repeat that finds the lock held, and
// enqueues.
func (e entry) grant(ifs []*pb.Compare) (txn, change) {
	v := holderValue{session: e.session, request: e.request, Label: e.label, Since: e.now, Hold: e.hold}
	lock := e.keys.lock(e.lock)
	return txn{
		ifs: ifs, then: []*pb.RequestOp{putOn(e.lease, lock, v.encode())}, alive: e.keys.session(e.session),
		besides: e.keys.waiter(e.acquisition), refuse: e.refuse,
	}, change{key: lock, holder: &v}
}

// enqueue gives it a place in the queue, once, unless it holds the lock, which is then read. Nothing of the lock but the queue
// is written, so that any number of waiters share a batch. If the lock is free by now, promote hands it over.
func (e entry) enqueue() (txn, change) {
	t, c := e.place()
	enter := txn{ifs: []*pb.Compare{absent(c.key)}, then: t.then, alive: t.alive}
	t.ifs, t.then, t.els, t.alive = e.again(), []*pb.RequestOp{get(e.keys.lock(e.lock))}, []*pb.RequestOp{enter.withAlive().op()}, ""
	return t, c
}

// enqueueFirst is enqueue for what is no repeat, and whose session does not hold the lock by another request. It fails for what
// is or does.
func (e entry) enqueueFirst() (txn, change) {
	t, c := e.place()
	t.ifs = []*pb.Compare{notHeldOn(e.keys.lock(e.lock), e.lease), absent(c.key)}
	return t, c
}

// place puts its key in the queue.
func (e entry) place() (txn, change) {
	v := waiterValue{Label: e.label, Since: e.now, Hold: e.hold}
	place := e.keys.waiter(e.acquisition)
	return txn{
		then: []*pb.RequestOp{putOn(e.lease, place, encode(v))}, alive: e.keys.session(e.session),
		touch: e.keys.waited(e.lock), patient: true, refuse: e.refuse,
	}, change{key: place, waiter: &v}
}

// attempt is what the acquire's transaction found.
type attempt struct {
	token  int64 // granted
	queued bool  // it stands in the queue
	rev    int64
	holder *Holder // nil: nobody
}

// enter takes a free lock that nobody waits for. Otherwise it finds the same grant again, or takes a place in the queue
// once, or, without a wait, leaves nothing behind.
func (s *Store) enter(ctx context.Context, c session, a acquisition, args AcquireArgs) (try attempt, err error) {
	if err := s.room(); err != nil {
		return s.found(ctx, a, err)
	}
	e := s.entry(c, args)
	if since, vacant := s.mirror.vacant(a.lock); args.Wait == 0 {
		try, err = s.seize(ctx, e, e.unclaimed())
	} else if vacant {
		try, err = s.seize(ctx, e, e.free(since))
	}
	if err == nil && args.Wait != 0 && try.token == 0 && !try.queued {
		try, err = s.join(ctx, e)
	}
	if errors.Is(err, ErrNoSpace) {
		return s.found(ctx, a, err)
	}
	return try, err
}

// seize takes the lock if the compares hold, and looks what stands otherwise.
func (s *Store) seize(ctx context.Context, e entry, ifs []*pb.Compare) (attempt, error) {
	t, granted := e.grant(ifs)
	t = t.withAlive()
	again := txn{ifs: e.again()}
	t.els = []*pb.RequestOp{again.op(), get(s.keys.lock(e.lock)), getKey(s.keys.session(e.session)), getKey(s.keys.waiter(e.acquisition))}
	resp, err := s.commit(ctx, t)
	if err != nil {
		return attempt{}, fmt.Errorf("acquire: %w", err)
	}
	rev := resp.Header.Revision
	if resp.Succeeded {
		s.mirror.own(granted.at(rev))
		return attempt{token: rev, rev: rev}, nil
	}
	holder := first(resp, 1)
	switch held, err := held(holder, nested(resp, 0).Succeeded, e.acquisition); {
	case err != nil:
		return attempt{}, err
	case held:
		return attempt{token: holder.ModRevision, rev: rev}, nil
	case first(resp, 2) == nil:
		return attempt{}, ErrSessionExpired
	}
	return attempt{queued: first(resp, 3) != nil, rev: rev, holder: holderOf(holder)}, nil
}

// join takes a place in the queue.
func (s *Store) join(ctx context.Context, e entry) (attempt, error) {
	t, enqueued := e.enqueue()
	t.els = append(t.els, getKey(s.keys.session(e.session)))
	resp, err := s.commit(ctx, t)
	if err != nil {
		return attempt{}, fmt.Errorf("acquire: %w", err)
	}
	rev := resp.Header.Revision
	if resp.Succeeded {
		holder := first(resp, 0)
		if _, err := held(holder, true, e.acquisition); err != nil {
			return attempt{}, err
		}
		return attempt{token: holder.ModRevision, rev: rev}, nil
	}
	if first(resp, 1) == nil {
		return attempt{}, ErrSessionExpired
	}
	if nested(resp, 0).Succeeded {
		s.mirror.own(enqueued.at(rev))
	}
	return attempt{queued: true, rev: rev}, nil // or it was, a moment ago: whoever waits will see
}

// held tells whether an acquisition holds the lock. What is compared is from before the batch, what is read may be from the
// middle of it.
func held(holder *mvccpb.KeyValue, compared bool, a acquisition) (bool, error) {
	if holder != nil && holds(holder, a) {
		return true, nil
	}
	if compared {
		return false, fmt.Errorf("%w: request %s has just had its section", ErrLockExpired, quoted(a.request))
	}
	return false, nil
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
	s.mirror.leaving(a, true)
	resp, err := s.commit(ctx, txn{
		ifs:  []*pb.Compare{present(place)},
		then: []*pb.RequestOp{del(place)},
		els:  []*pb.RequestOp{get(s.keys.lock(a.lock))},
	})
	defer s.mirror.leaving(a, false)
	if err != nil {
		return 0, fmt.Errorf("cancel: %w", err)
	}
	if resp.Succeeded {
		s.mirror.own(change{key: place, rev: resp.Header.Revision, deleted: true})
	} else if kv := first(resp, 0); kv != nil && holds(kv, a) {
		return kv.ModRevision, nil
	}
	s.mirror.left(a)
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
		p := s.passTo(w, lock)
		resp, err := s.commit(ctx, txn{
			ifs:   append([]*pb.Compare{absent(s.keys.lock(lock))}, p.ifs...),
			then:  p.then,
			els:   []*pb.RequestOp{getKey(s.keys.lock(lock))},
			alive: p.alive,
		}.withAlive())
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
