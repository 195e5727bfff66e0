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

// A section whose content is known in advance needs no holder: it is published in one transaction,
// as if its lock had been acquired, appended under, and released. It does not write the lock's key,
// it only compares that nobody holds the lock and nobody waits for it. So any number of stores
// publish to one lock without meeting, and what one store is asked together is one commit, whose
// revision is the token of them all:
//
//	publish   nobody holds l,           put bundles/l//<server>.0    token 45, N 1
//	          nobody waits for it,      put applied/l//<lane>
//	          it is fresh               put latest/l, once
//	publish   the same                  put bundles/l//<server>.1    token 45, N 2
//
// Never does a grant share a revision with a publish of the same lock, for then two sections would
// have one token: see [commit.Txn].Shares.
//
// Tokens say the order of publication still. A publish at 45 needs the lock free, so that no held
// section has its token below 45 and its marker above.

// PublishArgs are the arguments of [Store.Publish].
type PublishArgs struct {
	PublishID
	Lock       string
	Operations []Operation // in this order; none: the section publishes nothing, and has a version
	If         Condition   // holds when it is published

	// Credential is that of the session whose end rules the publish out; empty: it has none, and
	// cannot wait.
	Credential string
	Request    string        // names its place in the queue, as an acquire's; with a Credential
	Wait       time.Duration // for its turn, at most; WaitForever
}

// PublishOutcome is what became of a publish.
type PublishOutcome int

// The outcomes of [Store.Publish] and [Store.Withdraw].
const (
	Published PublishOutcome = iota + 1
	Occupied                 // so far it is not, for the lock is held or waited for
	Withdrawn                // it is not, and never will be
	Conflict                 // so far it is not, for its condition does not hold
)

// Publication is what came of a publish that did not fail.
type Publication struct {
	Outcome PublishOutcome
	Version Version // of the section, if it is published; Conflict: of the lock, if the condition asks for it
	Holder  *Holder // Occupied: who held the lock; nil: nobody just then
	Files   []File  // Conflict: those of the condition that are there
}

// publishing is a publish on its way.
type publishing struct {
	s    *Store
	ctx  context.Context
	args PublishArgs
	told func(Publication, error)

	bytes int64      // of data
	state *lockState // by which its condition holds; nil: it has none, or nobody has looked
	looks int        // how often something else was published since the condition was evaluated
	slot  int        // for its bundle; below 0: none
	key   string     // of the bundle
	turn  *turn      // nil: it has no session
	kept  bool       // it is counted as waiting
}

// StartPublish is [Store.Publish] without the wait for its end. done is called once, from whichever
// goroutine, and must not block: plain.go has its contract.
func (s *Store) StartPublish(ctx context.Context, args PublishArgs, done func(Publication, error)) {
	p := &publishing{s: s, ctx: ctx, args: args, told: func(is Publication, err error) {
		s.observer.PublishEnded(args.Lock, is.Outcome)
		done(is, err)
	}}
	for _, o := range args.Operations {
		p.bytes += int64(len(o.Data))
	}
	if err := p.check(); err != nil {
		p.told(Publication{}, err)
		return
	}
	if !s.Serving() {
		p.told(Publication{}, changedNothing{s.engine.Unserved()})
		return
	}
	if args.Born == 0 { // it is of now
		p.args.Born = s.seen.Highest()
	}
	if args.Credential == "" {
		p.enter()
		return
	}
	p.turn = &turn{began: time.Now(), noted: args.Number > 1}
	if c, known := s.known(ctx, args.Credential); known {
		p.by(c)
		return
	}
	resolve(ctx, s, func(ctx context.Context) (session, error) { return s.living(ctx, args.Credential) }, func(c session, err error) {
		switch {
		case errors.Is(err, ErrSessionExpired): // but it may have been published before
			resolve(ctx, s, func(ctx context.Context) (Publication, error) {
				return s.publishedBefore(ctx, args.Lock, p.args.PublishID, err)
			}, p.told)
		case err != nil:
			p.told(Publication{}, changedNothing{err})
		default:
			p.by(c)
		}
	})
}

// by begins a publish of a session.
func (p *publishing) by(c session) {
	p.turn.session, p.turn.acquisition = c, acquisition{p.args.Lock, c.id, p.args.Request}
	p.enter()
}

// enter begins the publish when there is room for it.
func (p *publishing) enter() {
	p.s.bundles.enter(p.ctx, p.args.Lock, func(slot int, err error) {
		if err != nil { // nothing was asked of etcd
			p.told(Publication{}, changedNothing{err})
			return
		}
		p.slot = slot
		p.begin()
	})
}

// lookAtSession reads whether the publish's session lives, if it has one.
func (p *publishing) lookAtSession() []*pb.RequestOp {
	if p.turn == nil {
		return nil
	}
	return []*pb.RequestOp{op.GetKey(p.s.keys.session(p.turn.session.id))}
}

// lives holds while the publish's session lives, if it has one.
func (p *publishing) lives() []*pb.Compare {
	if p.turn == nil {
		return nil
	}
	return []*pb.Compare{op.Present(p.s.keys.session(p.turn.session.id))}
}

// Publish publishes a section in one call, if nobody holds its lock and nobody waits for it.
// Without an error it returns what came of it, by its Outcome:
//
//   - [Published]: all of it can be read, whole, once, by this call or an earlier one of the same
//     id, under that version.
//   - [Occupied]: not so far, within its wait. An earlier delivery of the same id may still come;
//     the next publish of the lane rules that out, and so does [Store.Withdraw].
//   - [Withdrawn]: it is not, and never will be.
//   - [Conflict]: its condition did not hold when this call was made, and nothing was published by
//     this call or an earlier one. If it asks for versions only, none of them ever comes back, so
//     that the publish never will be made. Otherwise as after Occupied.
//
// While others publish to the lock all the time, a publish with a condition may find no moment at
// which that is known to hold, and is Occupied.
//
// Otherwise the error is
//
//   - [ErrOutcomeUnknown]: a later publish of the lane has come first, or it was first sent so long
//     ago that what became of it is forgotten. It will not be published from now on.
//   - [ErrFeatureOff]: the cluster does not publish in one call yet, or does not replace, remove or
//     cut files.
//   - [ErrTooLarge], [ErrQuota]: it has more than [MaxPublish] bytes, or more than [MaxOperations]
//     operations or [MaxPublishFiles] files. Nothing was asked of etcd.
//   - [ErrSessionExpired]: there is no such session (any more). The publish is not made, and no
//     other delivery of it under this session will be.
//   - [ErrLimit]: the session, the lock's queue, or what waits here is as much as it may be.
//   - [ErrNoSpace]: etcd is (nearly) full. A repeat of what is published is not refused.
//   - [ErrWentBack]: etcd has not come to the revision yet at which it was born.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: indeterminate. A repeat finds out.
//
// A repeat has the same id and the same operations, and may be made through any store. If so much
// of the lock is published that it waits to be folded, it waits for that.
func (s *Store) Publish(ctx context.Context, args PublishArgs) (Publication, error) {
	return finish(ctx, func(done func(Publication, error)) { s.StartPublish(ctx, args, done) })
}

func (p *publishing) check() error {
	args := p.args
	if err := errors.Join(CheckLock(args.Lock), args.PublishID.check()); err != nil {
		return err
	}
	if p.bytes > MaxPublish {
		return fmt.Errorf("%w: a publish of %d bytes: want at most %d", ErrTooLarge, p.bytes, MaxPublish)
	}
	if n := len(args.Operations); n > MaxOperations {
		return fmt.Errorf("%w: a publish of %d operations: want at most %d", ErrQuota, n, MaxOperations)
	}
	files := map[string]struct{}{}
	for _, o := range args.Operations {
		if err := errors.Join(o.check(), p.s.mayOperate(o)); err != nil {
			return err
		}
		if files[o.File] = struct{}{}; len(files) > MaxPublishFiles {
			return fmt.Errorf("%w: a publish to more than %d files", ErrQuota, MaxPublishFiles)
		}
	}
	if args.Credential == "" && (args.Wait != 0 || args.Request != "") {
		return fmt.Errorf("%w: a publish without a session cannot wait", ErrInvalidArgument)
	}
	if args.Credential != "" {
		if err := errors.Join(checkRequest(args.Request), checkWait(args.Wait)); err != nil {
			return err
		}
	}
	return errors.Join(args.If.check(), p.s.publishes())
}

// publishes is [ErrFeatureOff] before sections can be published in one call.
func (s *Store) publishes() error {
	if !s.features.on(featurePublish) {
		return fmt.Errorf("%w: sections are not published in one call before the feature %q is", ErrFeatureOff, featurePublish)
	}
	return nil
}

// begin tries the plain transaction, if the lock looks free. A lane's first publish is taken to
// have no note, and any other to have one: what is otherwise is resolved.
func (p *publishing) begin() {
	s, args := p.s, p.args
	since, vacant := s.mirror.vacant(args.Lock)
	if !vacant {
		p.look()
		return
	}
	if args.Born > s.seen.Highest() || !p.known() || s.roomForBytes(p.bytes) != nil {
		p.resolve()
		return
	}
	fresh := s.freshNoted
	if args.Number == 1 {
		fresh = s.freshUnnoted
	}
	t := commit.Txn{
		If: fresh(args.Lock, p.args.PublishID), Then: p.puts(), Caller: callerOf(p.ctx),
		Shares:   s.keys.lock(args.Lock),
		SharedIf: []*pb.Compare{op.Absent(s.keys.lock(args.Lock)), op.ModifiedBy(s.keys.waited(args.Lock), since)},
		Refuse: func() error {
			if _, vacant := s.mirror.vacant(args.Lock); !vacant {
				return errTaken
			}
			return nil
		},
	}
	t.If = append(append(t.If, p.slotFree()), p.lives()...)
	p.putLatest(&t)
	s.engine.Submit(t, func(resp *pb.TxnResponse, err error) {
		s.hadRoomForBytes(p.bytes)
		if errors.Is(err, errTaken) {
			p.look()
			return
		}
		switch outcomeOf(resp, err) {
		case plainDone:
			p.told(p.published(resp.Header.Revision), nil)
		case plainFailed:
			p.leave(!commit.NotSent(err))
			p.told(Publication{}, notPublished(err))
		case plainUnclear:
			p.resolve()
		}
	})
}

// putLatest has a publish's transaction put latest/L: along with others, unless it has a condition,
// which compares what others put.
func (p *publishing) putLatest(t *commit.Txn) {
	key := p.s.keys.latest(p.args.Lock)
	if p.state == nil {
		t.Touch = key
		return
	}
	t.If, t.Then = append(t.If, op.ModifiedAt(key, p.state.latest)), append(t.Then, op.Put(key, ""))
}

// known reports whether the publish's condition holds by what this store knows.
func (p *publishing) known() bool {
	if p.args.If.empty() {
		return true
	}
	if st := p.s.lockStates.get(p.args.Lock); st.knows(p.args.If) && st.meets(p.args.If) {
		p.state = st
	}
	return p.state != nil
}

// notPublished is the error of a publish whose transaction failed. It is not made up of two: what
// was tried before it has certainly come to nothing.
func notPublished(err error) error {
	if commit.NotSent(err) {
		err = changedNothing{err}
	}
	return fmt.Errorf("publish: %w", err)
}

// look only reads what became of the publish, and who holds the lock, if that looks held or waited
// for. It writes nothing, so that any number of them share a batch.
func (p *publishing) look() {
	s, args := p.s, p.args
	p.leave(false)
	read := commit.Txn{
		Then:   append(s.lookAtLane(args.Lock, args.Lane), op.Get(s.keys.lock(args.Lock)), op.Range(op.Any(s.keys.queue(args.Lock)))),
		Caller: callerOf(p.ctx),
	}
	if p.turn != nil {
		read.Then = append(append(read.Then, p.lookAtSession()...), op.GetKey(s.keys.waiter(p.turn.acquisition)))
	}
	s.engine.Submit(read, func(resp *pb.TxnResponse, err error) {
		if err != nil { // of what only reads
			p.told(Publication{}, fmt.Errorf("publish: %w", changedNothing{err}))
			return
		}
		said, err := s.laneSays(args.PublishID, op.First(resp, 0), op.First(resp, 1))
		holder := op.First(resp, 2)
		free := holder == nil && op.First(resp, 3) == nil
		p.notes(op.First(resp, 0))
		switch {
		case err != nil:
			p.told(Publication{}, err)
		case said != nil:
			p.told(*said, nil)
		case p.turn != nil && op.First(resp, 4) == nil:
			p.told(Publication{}, ErrSessionExpired)
		case p.turn != nil && holder != nil && holds(holder, p.turn.acquisition): // it is its turn, by an earlier delivery
			p.finish(holder.ModRevision)
		case free && (!p.mayWait() || p.turn.tries == 0): // after all
			resolve(p.ctx, s, p.resolved, p.settle)
		case !p.mayWait() || holder != nil && heldBy(holder, p.turn.session): // who holds the lock does not wait behind itself
			p.told(Publication{Outcome: Occupied, Holder: holderOf(holder)}, nil)
		case op.First(resp, 5) != nil:
			p.await(resp.Header.Revision)
		case op.First(resp, 0) == nil && op.First(resp, 1) == nil:
			p.remember(resp.Header.Revision)
		default:
			p.place()
		}
	})
}

// leave gives the publish's slot back, if it has one. used: there may be something in it.
func (p *publishing) leave(used bool) {
	if p.slot >= 0 {
		p.s.bundles.leave(p.args.Lock, p.slot, used)
	}
	p.slot = -1
}

// puts is what the publish puts: the bundle, and the lane's note.
func (p *publishing) puts() []*pb.RequestOp {
	p.key = p.s.keys.bundle(p.args.Lock, p.s.bundles.server, p.slot)
	note := laneNote{number: p.args.Number, N: slotN(p.slot), At: millis(time.Now())}
	return []*pb.RequestOp{
		op.Put(p.s.keys.applied(p.args.Lock, p.args.Lane), note.encode()),
		op.Put(p.key, encodeBundle(p.args.Operations)),
	}
}

// slotFree holds while there is no bundle in the publish's slot, which would be lost. There is one
// if this store has been told nothing of a publish that it made.
func (p *publishing) slotFree() *pb.Compare { return op.Absent(p.key) }

// published notes that the publish has published its section.
func (p *publishing) published(rev int64) Publication {
	s, lock := p.s, p.args.Lock
	many := s.bundles.put(lock, p.key, ownBundle{rev, p.slot, p.args.Operations, p.bytes})
	s.publish(lock, rev, rev, p.bytes)
	if many {
		s.folds.add(lock)
	}
	s.mirror.feed.wink(lock)
	if p.state != nil {
		s.lockStates.set(lock, p.state.after(p.args.Operations, Version{rev, slotN(p.slot)}))
	}
	return Publication{Outcome: Published, Version: Version{rev, slotN(p.slot)}}
}

// resolve makes the publish anew, as a repeat, with transactions that deal with whatever they find.
func (p *publishing) resolve() {
	p.leave(false)
	resolve(p.ctx, p.s, p.resolved, p.settle)
}

func (p *publishing) resolved(ctx context.Context) (Publication, error) {
	s, args := p.s, p.args
	if err := s.reached(ctx, args.Born); err != nil {
		return Publication{}, err
	}
	for {
		if err := s.roomForBytes(p.bytes); err != nil {
			return s.publishedBefore(ctx, args.Lock, args.PublishID, err)
		}
		out, again, err := p.attempt(ctx)
		s.hadRoomForBytes(p.bytes)
		if errors.Is(err, ErrNoSpace) {
			return s.publishedBefore(ctx, args.Lock, args.PublishID, err)
		}
		if err != nil || !again {
			return out, err
		}
	}
}

// attempt makes the publish, or finds out why it is not to be made. again: neither, but the next
// one will.
func (p *publishing) attempt(ctx context.Context) (out Publication, again bool, err error) {
	s, args := p.s, p.args
	if p.state = nil; !args.If.empty() {
		var told *Publication
		p.state, told, err = p.evaluate(ctx)
		if err != nil {
			return Publication{}, false, err
		}
		if told != nil {
			return *told, false, nil
		}
	}
	p.slot = s.bundles.take(args.Lock)
	puts, lock, latest := commit.Txn{Then: p.puts()}, s.keys.lock(args.Lock), s.keys.latest(args.Lock)
	puts.If = []*pb.Compare{p.slotFree()}
	p.putLatest(&puts)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:    append(p.lives(), op.Absent(lock), op.Empty(s.keys.queue(args.Lock))),
		Then:  append(s.ifFresh(args.Lock, args.PublishID, puts.If, puts.Then), op.GetKey(latest)),
		Else:  append(append([]*pb.RequestOp{op.Get(lock)}, s.lookAtLane(args.Lock, args.Lane)...), p.lookAtSession()...),
		Touch: puts.Touch, Shares: lock,
	})
	switch {
	case err != nil:
		p.leave(!commit.NotSent(err))
		return Publication{}, false, notPublished(err)
	case resp.Succeeded && wasFresh(resp):
		return p.published(resp.Header.Revision), false, nil
	}
	said, err := s.laneSaid(ctx, args.PublishID, resp, 1)
	moved := resp.Succeeded && p.state != nil && modifiedAt(op.First(resp, 3)) != p.state.latest
	taken := err == nil && said == nil && resp.Succeeded && op.First(resp, 2) != nil && !moved // its slot is
	p.leave(taken)
	switch {
	case err != nil:
		return Publication{}, false, err
	case said != nil:
		return *said, false, nil
	case !resp.Succeeded && p.turn != nil && op.First(resp, 3) == nil:
		return Publication{}, false, ErrSessionExpired
	case !resp.Succeeded:
		return Publication{Outcome: Occupied, Holder: holderOf(op.First(resp, 0))}, false, nil
	}
	return Publication{}, true, nil
}

// modifiedAt is the revision at which a key was put; 0: it is not there.
func modifiedAt(kv *mvccpb.KeyValue) int64 {
	if kv == nil {
		return 0
	}
	return kv.ModRevision
}

// publishedBefore is the refusal of a publish, unless it was made or ruled out before.
func (s *Store) publishedBefore(ctx context.Context, lock string, id PublishID, refusal error) (Publication, error) {
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: s.lookAtLane(lock, id.Lane)})
	if err != nil {
		return Publication{}, err
	}
	said, err := s.laneSays(id, op.First(resp, 0), op.First(resp, 1))
	switch {
	case err != nil: // nobody can tell: the refusal would say that it was not made
		return Publication{}, err
	case said == nil:
		return Publication{}, refusal
	}
	return *said, nil
}

// Withdraw rules a publish out, or finds out that it was made. It returns by Outcome
//
//   - [Published]: it came too late.
//   - [Withdrawn]: it is not published, and never will be.
//
// and otherwise the errors of [Store.Publish]. It may be repeated, through any store.
func (s *Store) Withdraw(ctx context.Context, lock string, id PublishID) (Publication, error) {
	ctx = urgent(ctx)
	if err := errors.Join(CheckLock(lock), id.check(), s.publishes()); err != nil {
		return Publication{}, err
	}
	if err := s.reached(ctx, id.Born); err != nil {
		return Publication{}, err
	}
	if id.Born == 0 {
		id.Born = s.seen.Highest()
	}
	note := laneNote{number: id.Number, Withdrawn: true, At: millis(time.Now())}
	put := []*pb.RequestOp{op.Put(s.keys.applied(lock, id.Lane), note.encode())}
	for {
		resp, err := s.engine.Commit(ctx, commit.Txn{Then: s.ifFresh(lock, id, nil, put)})
		switch {
		case errors.Is(err, ErrNoSpace):
			return s.publishedBefore(ctx, lock, id, err)
		case err != nil:
			return Publication{}, fmt.Errorf("withdraw: %w", err)
		case wasFresh(resp):
			return Publication{Outcome: Withdrawn}, nil
		}
		said, err := s.laneSaid(ctx, id, resp, 1)
		if err != nil {
			return Publication{}, err
		}
		if said != nil {
			return *said, nil
		}
	}
}
