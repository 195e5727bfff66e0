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

// The path of one acquire, which is a goroutine nowhere: whoever has the next piece of news makes
// the next step. A lock that is free, in the plain case:
//
//	whoever calls (a stream's receiver)   the engine's goroutine          etcd
//
//	StartAcquire
//	  the mirror knows the session, and
//	  shows nobody as of revision 40
//	grant: Submit ──────────────────────▶ pending
//	returns, to receive the next call     take, fill: its turn
//	                                        Refuse: late? still free?
//	                                        joins a batch
//	                                      commit ───────────────────────▶ locks/l absent,
//	                                                                      waited/l not after 40:
//	                                                                      put locks/l, at 45
//	                                      tell ◀──────────────────────────
//	                                        mirror.own: it holds, at 45
//	                                        done(Granted, token 45)
//
// The engine's goroutine commits one batch at a time. If more is in a hurry meanwhile, tell has a
// goroutine of its own, and the next batch does not wait for it.
//
// A lock that is held, or is not free any more when Refuse is asked. An acquire that does not wait
// reads who holds it (look), and is done. Any other takes a place:
//
//	enqueue: SubmitLater ───────────────▶ pending, and in no hurry
//	                                      enter makes the transaction
//	                                      commit ───────────────────────▶ put queue/l//S.r
//	                                                                      and waited/l, at 46
//	                                      tell ◀──────────────────────────
//	                                        mirror.own: it waits, at 46
//	                                        await: registers with the mirror,
//	                                        with a timer if the wait is bounded
//	                                        returns: nothing of it runs now
//
// Some time later a release hands the lock to this place, on this session's lease. This store hears
// of it from the release's answer if it was asked for here, and else from its watch:
//
//	the release came through this store   it came through another one
//
//	tell: mirror.take                     inform, from the watch: mirror.observe
//	  settle, judge: this wait is over      settle, judge: this wait is over
//	  done(nil), of the release             tellAll
//	  tellAll                                 told, decided
//	    told, decided                           done(Granted, token)
//	      done(Granted, token)
//
// Wherever a step finds what it did not expect, the call is resolved (see plain.go), in a goroutine
// that ends with it: the session is unknown here, or the request seems late; a compare has failed;
// etcd is full; a wait was long enough, and gives up its place; a wait is over without a grant, and
// asks why. Resolving may lead back to a place, and await.

// acquiring is an acquire on its way.
type acquiring struct {
	acquisition
	s     *Store
	ctx   context.Context
	args  AcquireArgs
	told  func(Grant, error)
	c     session
	began time.Time // the wait is counted from here, on this server's monotonic clock

	granted, enqueued change // what the plain transaction puts
	repeatable        bool   // its place may be a repeat's: see enter
}

// StartAcquire is [Store.Acquire] without the wait for its end. done is called once, from whichever
// goroutine, and must not block: plain.go has its contract.
func (s *Store) StartAcquire(ctx context.Context, args AcquireArgs, done func(Grant, error)) {
	a := &acquiring{s: s, ctx: ctx, args: args, told: done, began: time.Now()}
	var known bool
	if a.c, known = s.known(ctx, args.Credential); !known || args.check() != nil || s.room() != nil {
		a.resolve()
		return
	}
	a.acquisition = acquisition{args.Lock, a.c.id, args.Request}
	if err := s.mirror.roomForAcquisition(a.acquisition, args.Wait != 0, s.limits); err != nil {
		a.done(Grant{}, err)
		return
	}
	since, vacant := s.mirror.vacant(a.lock)
	if over, _ := s.mirror.hasEnded(a.acquisition); over {
		a.resolve()
	} else if vacant {
		a.grant(since)
	} else {
		a.taken()
	}
}

// Acquire asks for a lock and waits for it, in FIFO order. Without an error it returns what came of
// it, by its Outcome:
//
//   - [Granted]: the session holds the lock, and its section has the token Token.
//   - [Busy]: it was not granted within Wait, and does not wait any more.
//   - [Cancelled]: [Store.Cancel] or a heartbeat gave up its place meanwhile.
//
// Otherwise the error is
//
//   - [ErrLockExpired]: this request is over, or is being ended. It cannot be used again.
//   - [ErrSessionExpired]: there is no such session (any more), or the credential is not its own.
//   - [ErrNoSpace]: etcd is (nearly) full, and nothing of this request stands. A repeat that has
//     its grant or place already is not refused.
//   - [ErrLimit]: the session has, or the lock's queue is, as much as it may. A repeat of what has
//     its grant or place already is not refused.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: indeterminate. It may hold the lock, or wait. A repeat finds out.
//
// A repeat under the same request, through any store, finds its own grant or place again; the place
// keeps its order. If ctx ends, the place is kept, even past Wait, for a repeat to find. It is
// given up by [Store.Cancel], by a [Store.Heartbeat] that does not list the request, by a repeat
// that has waited long enough, or with the session.
func (s *Store) Acquire(ctx context.Context, args AcquireArgs) (Grant, error) {
	return finish(ctx, func(done func(Grant, error)) { s.StartAcquire(ctx, args, done) })
}

// done ends the call.
func (a *acquiring) done(g Grant, err error) {
	a.s.observer.Acquired(a.args.Lock, g.Outcome, time.Since(a.began))
	a.told(g, err)
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

// grant takes a lock that looked free, and not waited for as of a revision. Its turn may come many
// batches later. So it looks again then, and spares etcd what would fail.
func (a *acquiring) grant(since int64) {
	e := a.s.entry(a.c, a.args)
	var t commit.Txn
	t, a.granted = e.grant(e.free(since))
	t.Caller = callerOf(a.ctx)
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
			a.done(Grant{Outcome: Granted, Token: resp.Header.Revision, HoldLeft: a.granted.holder.hold()}, nil)
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

// look only reads who holds the lock, for an acquire that does not wait and would find it held. It
// writes nothing, so that any number of them share a batch.
func (a *acquiring) look() {
	s := a.s
	read := commit.Txn{
		Then:   []*pb.RequestOp{op.Get(s.keys.lock(a.lock)), op.GetKey(s.keys.session(a.session)), op.GetKey(s.keys.waiter(a.acquisition))},
		Caller: callerOf(a.ctx),
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

// enqueue takes a place in the queue, and waits there. The transaction is made when its turn has
// come (SubmitLater): thousands may be pending for one lock, and what is pending is then small.
func (a *acquiring) enqueue() {
	a.s.engine.SubmitLater(callerOf(a.ctx), a.writes, a.enter, func(resp *pb.TxnResponse, err error) {
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
			a.await(rev)
		case plainFailed:
			a.done(Grant{}, fmt.Errorf("acquire: %w", err))
		case plainUnclear:
			a.resolve()
		}
	})
}

// await waits in the queue, where the acquire has had a place as of a revision.
func (a *acquiring) await(rev int64) {
	if o := followerOf(a.ctx); o != nil {
		o.Queued(a.s.mirror.place(a.acquisition))
	}
	a.s.await(a.ctx, a.args.Credential, a.acquisition, rev, a.args.remaining(a.began), a.done)
}

// writes is what enter's transaction will write, for fill to know before it is made.
func (a *acquiring) writes() commit.Footprint {
	return commit.Footprint{Keys: []string{a.s.keys.waiter(a.acquisition)}, Touch: a.s.keys.waited(a.lock), Bytes: len(a.args.Label)}
}

// enter makes the transaction that takes the place. If this session holds the lock, it may do so by
// this very request, of which this call is then a repeat, and must take no place: that is a branch
// of its own (repeatable). All others go without, so that they pack, and are resolved if they turn
// out to be a repeat after all.
func (a *acquiring) enter() (t commit.Txn) {
	e, h := a.s.entry(a.c, a.args), a.s.mirror.holder(a.lock)
	if a.repeatable = h != nil && h.session == a.session; a.repeatable {
		t, a.enqueued = e.enqueue()
	} else {
		t, a.enqueued = e.enqueueFirst()
	}
	return t
}

// resolve makes the acquire anew, as a repeat, with transactions that deal with whatever they find.
func (a *acquiring) resolve() {
	resolve(a.ctx, a.s, a.resolved, func(try attempt, err error) {
		switch {
		case err != nil:
			a.done(Grant{}, err)
		case try.queued:
			a.await(try.rev)
		case try.token != 0:
			a.done(a.s.granted(a.lock, try.token), nil)
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
		try.token, try.refusal, err = a.s.giveUp(ctx, a.args.Credential, a.acquisition)
	}
	return try, err
}

// endPace is how often an acquire looks whether its own end has been answered: about as often as
// etcd commits.
const endPace = 2 * time.Millisecond

// awaitEnd waits while the end of the acquisition is on its way: until then nobody can say whether
// it is over.
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

// attempt is what the acquire's transaction did, or found.
type attempt struct {
	token  int64   // granted, now or before; 0: not
	queued bool    // it has a place in the queue
	rev    int64   // as of which
	holder *Holder // nil: nobody

	refusal Grant // the result, if it is neither granted nor queued
}

// enter takes a free lock that nobody waits for. Otherwise it finds the same grant again, or takes
// a place in the queue once, or, without a wait, leaves nothing behind. For want of room it writes
// nothing, and only finds.
func (s *Store) enter(ctx context.Context, c session, a acquisition, args AcquireArgs) (try attempt, err error) {
	if err := s.room(); err != nil {
		return s.found(ctx, a, err)
	}
	e := s.entry(c, args)
	if since, vacant := s.mirror.vacant(a.lock); args.Wait == 0 {
		try, err = s.seize(ctx, e, e.unclaimed())
		if err == nil && try == (attempt{rev: try.rev}) && vacant { // what is in the queue is no place
			try, err = s.seize(ctx, e, e.free(since))
		}
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

// seize takes the lock if the compares hold. Otherwise it reads why not.
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

// isHeld reports whether an acquisition holds the lock, by two witnesses that may differ: what was
// compared is as it was before the batch, and what was read may be from the middle of it. A repeat
// of acquire 4 shares a batch with the release of its section, and the release runs first:
//
//	before the batch  4 holds l, so the compare of the repeat holds, and it takes no place
//	release           hands l to 5
//	repeat            reads l: 5 holds it
//
// There is no grant for the repeat to return, and it has left no place behind: its section is over.
// What is read to be its own is its own, whatever was compared.
func isHeld(holder *mvccpb.KeyValue, compared bool, a acquisition) (bool, error) {
	if holder != nil && holds(holder, a) {
		return true, nil
	}
	if compared {
		return false, fmt.Errorf("%w: request %s has just had its section", ErrLockExpired, quoted(a.request))
	}
	return false, nil
}

// found is what an acquire comes to that may write nothing: what it has already stands, and is
// found by a read. If that is nothing, the refusal is returned.
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

// busy is the result for one that is not in the queue, with the queue as the mirror shows it.
func (s *Store) busy(a acquisition, holder *Holder) Grant {
	position, length := s.mirror.place(a)
	return Grant{Outcome: Busy, Holder: holder, Position: position, QueueLength: length}
}
