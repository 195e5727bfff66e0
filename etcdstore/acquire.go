package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// acquiring is an acquire on its way.
type acquiring struct {
	acquisition
	s     *Store
	ctx   context.Context
	args  AcquireArgs
	done  func(Grant, error)
	c     session
	began time.Time // the wait is counted from here, on this server's monotonic clock

	granted, enqueued change // what the plain transaction puts
	repeatable        bool   // the plain enqueue has another branch, for a session that holds the lock already
}

// StartAcquire is [Store.Acquire] without the wait for its end: see plain.go for what done may do.
func (s *Store) StartAcquire(ctx context.Context, args AcquireArgs, done func(Grant, error)) {
	a := &acquiring{s: s, ctx: ctx, args: args, done: done, began: time.Now()}
	var known bool
	if a.c, known = s.known(args.Credential); !known || args.check() != nil || s.room() != nil {
		a.resolve()
		return
	}
	a.acquisition = acquisition{args.Lock, a.c.id, args.Request}
	since, vacant := s.mirror.vacant(a.lock)
	if over, _ := s.mirror.hasEnded(a.acquisition); over {
		a.resolve()
	} else if vacant {
		a.grant(since)
	} else {
		a.taken()
	}
}

// Acquire asks for a lock and waits for it, in FIFO order. A repeat finds its own place or grant again. If ctx ends
// the place is kept: only Cancel, a heartbeat that does not list the request, or the session's end gives it up.
func (s *Store) Acquire(ctx context.Context, args AcquireArgs) (Grant, error) {
	return finish(ctx, func(done func(Grant, error)) { s.StartAcquire(ctx, args, done) })
}

func (args AcquireArgs) check() error {
	return errors.Join(checkAcquisition(args.Acquisition), checkWait(args.Wait), checkHold(args.Hold), checkText("label", args.Label, MaxLabel))
}

// remaining is how much of the wait is left.
func (args AcquireArgs) remaining(began time.Time) time.Duration {
	if args.Wait == WaitForever {
		return WaitForever
	}
	return max(0, args.Wait-time.Since(began))
}

// grant takes a lock that looks free, and not waited for since a revision.
func (a *acquiring) grant(since int64) {
	e := a.s.entry(a.c, a.args)
	var t commit.Txn
	t, a.granted = e.grant(e.free(since))
	t.Refuse = func() error {
		if err := e.refuse(); err != nil {
			return err
		}
		if _, vacant := a.s.mirror.vacant(a.lock); !vacant {
			return errTaken
		}
		return nil
	}
	a.s.engine.Submit(t, func(resp *pb.TxnResponse, err error) {
		if errors.Is(err, errTaken) {
			a.taken()
			return
		}
		switch outcomeOf(resp, err) {
		case plainDone:
			a.s.mirror.own(a.granted.at(resp.Header.Revision))
			a.done(Grant{Outcome: Granted, Token: resp.Header.Revision}, nil)
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
		case plainUnclear:
			a.resolve()
		}
	})
}

// errTaken: when the turn of a grant had come, the lock no longer looked free.
var errTaken = errors.New("taken meanwhile")

// taken goes on with a lock that looks held, or waited for.
func (a *acquiring) taken() {
	if a.args.Wait == 0 {
		a.look()
	} else {
		a.enqueue()
	}
}

// look only reads who holds the lock, for an acquire that does not wait. It writes nothing, so that any number of them share a
// batch.
func (a *acquiring) look() {
	s := a.s
	read := commit.Txn{
		Then:   []*pb.RequestOp{op.Get(s.keys.lock(a.lock)), op.GetKey(s.keys.session(a.session)), op.GetKey(s.keys.waiter(a.acquisition))},
		Refuse: s.unlessStale(a.acquisition),
	}
	s.engine.Submit(read, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
			return
		case plainUnclear:
			a.resolve()
			return
		case plainDone:
		}
		switch holder := op.First(resp, 0); {
		case op.First(resp, 1) == nil:
			a.done(Grant{}, fmt.Errorf("acquire: %w", ErrSessionExpired))
		case holder == nil, holds(holder, a.acquisition), op.First(resp, 2) != nil: // free after all, or a repeat
			a.resolve()
		default:
			a.done(s.busy(a.acquisition, holderOf(holder)), nil)
		}
	})
}

// enqueue takes a place in the queue, and waits there.
func (a *acquiring) enqueue() {
	a.s.engine.SubmitLater(a.writes, a.enter, func(resp *pb.TxnResponse, err error) {
		outcome := outcomeOf(resp, err)
		if err == nil && a.repeatable { // its other branch is the plain case
			outcome = plainUnclear
			if !resp.Succeeded && op.Nested(resp, 0).Succeeded {
				outcome = plainDone
			}
		}
		switch outcome {
		case plainDone:
			rev := resp.Header.Revision
			a.s.mirror.own(a.enqueued.at(rev))
			a.s.await(a.ctx, a.args.Credential, a.acquisition, rev, a.args.remaining(a.began), a.done)
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
		case plainUnclear:
			a.resolve()
		}
	})
}

// writes is what enter's transaction will write.
func (a *acquiring) writes() commit.Footprint {
	return commit.Footprint{Keys: []string{a.s.keys.waiter(a.acquisition)}, Touch: a.s.keys.waited(a.lock), Bytes: len(a.args.Label)}
}

// enter makes the transaction that takes the place.
func (a *acquiring) enter() (t commit.Txn) {
	e, h := a.s.entry(a.c, a.args), a.s.mirror.holder(a.lock)
	if a.repeatable = h != nil && h.session == a.session; a.repeatable {
		t, a.enqueued = e.enqueue()
	} else {
		t, a.enqueued = e.enqueueFirst()
	}
	return t
}

// resolve makes the acquire with transactions for whatever may stand.
func (a *acquiring) resolve() {
	resolve(a.ctx, a.s, a.resolved, func(try attempt, err error) {
		switch {
		case err != nil:
			a.done(Grant{}, err)
		case try.queued:
			a.s.await(a.ctx, a.args.Credential, a.acquisition, try.rev, a.args.remaining(a.began), a.done)
		case try.token != 0:
			a.done(Grant{Outcome: Granted, Token: try.token}, nil)
		default:
			a.done(try.refusal, nil)
		}
	})
}

func (a *acquiring) resolved(ctx context.Context) (try attempt, err error) {
	if err := a.args.check(); err != nil {
		return attempt{}, err
	}
	if a.c, err = a.s.living(ctx, a.args.Credential); err != nil {
		return attempt{}, err
	}
	a.acquisition = acquisition{a.args.Lock, a.c.id, a.args.Request}
	for {
		if err := a.awaitEnd(ctx); err != nil {
			return attempt{}, err
		}
		if over, held := a.s.mirror.hasEnded(a.acquisition); held {
			return attempt{}, fmt.Errorf("%w: request %s has had its section", ErrLockExpired, quoted(a.request))
		} else if over { // it has had its wait: a late duplicate must not queue it again
			if a.args.Wait == WaitForever {
				return attempt{refusal: Grant{Outcome: Cancelled}}, nil
			}
			return attempt{refusal: a.s.busy(a.acquisition, a.s.mirror.holder(a.lock).public())}, nil
		}
		if try, err = a.s.enter(ctx, a.c, a.acquisition, a.args); !errors.Is(err, errStale) {
			break
		}
	}
	switch {
	case err != nil || try.token != 0:
	case !try.queued:
		try.refusal = a.s.busy(a.acquisition, try.holder)
	case a.args.Wait == 0: // in the queue by an earlier call of the same request that would wait
		try.queued = false
		try.token, try.refusal, err = a.s.giveUp(ctx, a.acquisition)
	}
	return try, err
}

// endPace is how often an acquire looks whether its own end has been answered: about as often as etcd commits.
const endPace = 2 * time.Millisecond

// awaitEnd waits while the end of the acquisition is on its way: until then nobody can say whether it is over.
func (a *acquiring) awaitEnd(ctx context.Context) error {
	if !a.s.mirror.endsSoon(a.acquisition) {
		return nil
	}
	tick := time.NewTicker(endPace)
	defer tick.Stop()
	for a.s.mirror.endsSoon(a.acquisition) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// attempt is what the acquire's transaction found.
type attempt struct {
	token  int64 // granted
	queued bool  // it stands in the queue
	rev    int64
	holder *Holder // nil: nobody

	refusal Grant // the answer, if it is neither granted nor queued
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
	t = t.WithAlive()
	again := commit.Txn{If: e.again()}
	t.Else = []*pb.RequestOp{again.Op(), op.Get(s.keys.lock(e.lock)), op.GetKey(s.keys.session(e.session)), op.GetKey(s.keys.waiter(e.acquisition))}
	resp, err := s.engine.Commit(ctx, t)
	if err != nil {
		return attempt{}, fmt.Errorf("acquire: %w", err)
	}
	rev := resp.Header.Revision
	if resp.Succeeded {
		s.mirror.own(granted.at(rev))
		return attempt{token: rev, rev: rev}, nil
	}
	holder := op.First(resp, 1)
	switch held, err := isHeld(holder, op.Nested(resp, 0).Succeeded, e.acquisition); {
	case err != nil:
		return attempt{}, err
	case held:
		return attempt{token: holder.ModRevision, rev: rev}, nil
	case op.First(resp, 2) == nil:
		return attempt{}, ErrSessionExpired
	}
	return attempt{queued: op.First(resp, 3) != nil, rev: rev, holder: holderOf(holder)}, nil
}

// join takes a place in the queue.
func (s *Store) join(ctx context.Context, e entry) (attempt, error) {
	t, enqueued := e.enqueue()
	t.Else = append(t.Else, op.GetKey(s.keys.session(e.session)))
	resp, err := s.engine.Commit(ctx, t)
	if err != nil {
		return attempt{}, fmt.Errorf("acquire: %w", err)
	}
	rev := resp.Header.Revision
	if resp.Succeeded {
		holder := op.First(resp, 0)
		if _, err := isHeld(holder, true, e.acquisition); err != nil {
			return attempt{}, err
		}
		return attempt{token: holder.ModRevision, rev: rev}, nil
	}
	if op.First(resp, 1) == nil {
		return attempt{}, ErrSessionExpired
	}
	if op.Nested(resp, 0).Succeeded {
		s.mirror.own(enqueued.at(rev))
	}
	return attempt{queued: true, rev: rev}, nil // or it was, a moment ago: whoever waits will see
}

// isHeld reports whether an acquisition holds the lock. What is compared is from before the batch, what is read may be from the
// middle of it.
func isHeld(holder *mvccpb.KeyValue, compared bool, a acquisition) (bool, error) {
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

// busy describes the queue to one that is not in it.
func (s *Store) busy(a acquisition, holder *Holder) Grant {
	position, length := s.mirror.place(a)
	return Grant{Outcome: Busy, Holder: holder, Position: position, QueueLength: length}
}
