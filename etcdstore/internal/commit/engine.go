package commit

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Env is what an engine is given.
type Env struct {
	// Apply makes one call of etcd, by which a transaction takes effect whole or not at all.
	Apply func(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error)
	// Near reports whether etcd is in this process.
	Near bool
	// Start runs a function in a goroutine that somebody waits for. It reports whether it does; it
	// does not once Closed.
	Start func(func()) bool
	// Closed reports whether the engine is being closed.
	Closed func() bool
	// Panicked is told of a caller that panicked over its answer.
	Panicked func(what any, stack []byte)
	// Health is whether etcd can commit.
	Health *Health
	// Seen is what etcd has shown so far; nil: nothing.
	Seen *Seen
	// Caller says for whom a call is made. nil: all are one client's, and not urgent.
	Caller func(context.Context) Caller
	// Committed is told of each batch that was put to etcd: how many transactions were in it, how
	// long the answer took, and the error instead of one. nil: nobody is.
	Committed func(transactions int, took time.Duration, err error)
}

// Engine commits transactions. It is safe for concurrent use.
type Engine struct {
	env   Env
	queue queue

	calls, longReads, urgentCalls *gate // of etcd, one by one
}

// New makes an engine, which commits nothing before Run.
func New(env Env) *Engine {
	if env.Seen == nil {
		env.Seen = NewSeen()
	}
	if env.Caller == nil {
		env.Caller = func(context.Context) Caller { return Caller{} }
	}
	return &Engine{
		env: env, queue: newQueue(),
		calls: newGate(callsAtOnce), longReads: newGate(longAtOnce(env.Near)), urgentCalls: newGate(callsAtOnce),
	}
}

// Run commits one batch after another, until ctx ends. Then it answers all that is pending, and all
// that comes later, with [ErrClosed].
func (e *Engine) Run(ctx context.Context) {
	defer func() {
		for _, m := range e.queue.close() {
			m.tell(nil, notSent{ErrClosed})
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil { // what is left when it ends is not tried any more, however much it is
		due, wait := e.queue.due()
		if due {
			if b := e.queue.fill(); b.size > 0 {
				e.commit(ctx, b)
			}
			continue
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-e.queue.arrived:
		case <-timer.C:
		}
	}
}

// Commit runs a transaction: together with others if it writes, and else by itself, when its turn
// has come. ctx says for whom. If ctx ends first, or etcd becomes unavailable, the transaction is
// not run if it is not on its way yet; else what becomes of it is not known.
func (e *Engine) Commit(ctx context.Context, t Txn) (*pb.TxnResponse, error) {
	if !e.serving() { // known, so that no client waits to hear it
		return nil, notSent{e.Unserved()}
	}
	f := t.footprint()
	t.Caller = e.env.Caller(ctx)
	if f.empty() {
		return e.read(ctx, t)
	}
	type outcome struct {
		resp *pb.TxnResponse
		err  error
	}
	answered := make(chan outcome, 1)
	m := &member{Txn: t, Footprint: f, answer: func(resp *pb.TxnResponse, err error) {
		answered <- outcome{resp, err}
	}}
	e.add(m)
	defer m.abandoned.Store(true) // if it is not on its way yet, it need not be
	select {
	case o := <-answered:
		return o.resp, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-e.env.Health.Down():
		return nil, e.Unserved()
	}
}

// Alone runs a transaction by itself: what is in no hurry, and would make a batch large.
func (e *Engine) Alone(ctx context.Context, t Txn) (*pb.TxnResponse, error) {
	if !e.serving() {
		return nil, e.Unserved()
	}
	ctx, cancel := e.env.Health.Bound(ctx)
	defer cancel()
	return e.apply(ctx, t)
}

// read is Alone for what only reads, when its turn has come.
func (e *Engine) read(ctx context.Context, t Txn) (resp *pb.TxnResponse, err error) {
	ctx, cancel := e.env.Health.Bound(ctx)
	defer cancel()
	g := e.calls
	if t.Client != "" && t.long() { // not what the store itself reads, to fold
		g = e.longReads
	}
	leave, err := e.enter(ctx, g, t.Caller)
	if err != nil {
		return nil, err
	}
	defer leave()
	return e.apply(ctx, t)
}

func (e *Engine) apply(ctx context.Context, t Txn) (*pb.TxnResponse, error) {
	before, caller := e.env.Seen.Highest(), e.env.Caller(ctx)
	asked, done := ctx, func(int64, error) {}
	if caller.Follower != nil {
		asked, done = followed(ctx, 1, []Follower{caller.Follower})
	}
	resp, err := e.env.Apply(asked, t.Request())
	done(resp.GetHeader().GetRevision(), err)
	if err != nil {
		return nil, e.explain(ctx, err)
	}
	if serializable(t) {
		e.env.Seen.Raise(resp.Header.Revision)
	} else if err := e.env.Seen.Answered(before, resp.Header.Revision); err != nil {
		return nil, err
	}
	caller.Receipt.Raise(resp.Header.Revision)
	return resp, nil
}

// enter waits for a call's turn at a gate; what is urgent has one of its own.
func (e *Engine) enter(ctx context.Context, g *gate, caller Caller) (leave func(), err error) {
	if caller.Urgent {
		g = e.urgentCalls
	}
	if err := g.enter(ctx, caller.Client); err != nil {
		return nil, notSent{e.explain(ctx, err)}
	}
	return g.leave, nil
}

// Call makes another call of etcd, when its turn has come, within the same bounds and with the same
// errors. It passes over a refusal of calls while etcd is unavailable only by being one.
func (e *Engine) Call(ctx context.Context, call func(context.Context) error) error {
	return e.CallNow(ctx, func(ctx context.Context) error {
		leave, err := e.enter(ctx, e.calls, e.env.Caller(ctx))
		if err != nil {
			return err
		}
		defer leave()
		return call(ctx)
	})
}

// CallNow is [Engine.Call] without the wait for a turn.
func (e *Engine) CallNow(ctx context.Context, call func(context.Context) error) error {
	if !e.serving() {
		return e.Unserved()
	}
	ctx, cancel := e.env.Health.Bound(ctx)
	defer cancel()
	if err := call(ctx); err != nil {
		return e.explain(ctx, err)
	}
	return nil
}

// Submit is [Engine.Commit] without the wait, for a transaction that may share a batch even if it
// only reads: answer is told, from whichever goroutine.
func (e *Engine) Submit(t Txn, answer Answer) {
	if !e.serving() {
		answer(nil, notSent{e.Unserved()})
		return
	}
	e.add(&member{Txn: t, Footprint: t.footprint(), answer: answer})
}

// SubmitLater is [Engine.Submit] for a transaction that is made when its turn has come, if more is
// pending than the next batch takes: what waits is then small. writes is what it will write. It is
// [Txn.Patient].
func (e *Engine) SubmitLater(caller Caller, writes func() Footprint, build func() Txn, answer Answer) {
	if !e.serving() || e.queue.len() < batchMembers {
		t := build()
		t.Caller = caller
		e.Submit(t, answer)
		return
	}
	m := &member{Footprint: writes(), build: build, answer: answer}
	m.Patient, m.Caller = true, caller
	e.add(m)
}

func (e *Engine) add(m *member) {
	m.since, m.engine = time.Now(), e
	m.owner, m.patient = lineOwner{m.Client, m.Urgent}, m.Patient
	if !e.queue.put(m) {
		m.tell(nil, notSent{ErrClosed})
	}
}

// serving reports whether etcd can commit, and is to.
func (e *Engine) serving() bool { return e.env.Seen.Err() == nil && e.env.Health.Up() }

// Unserved is why nothing can be committed, when nothing can.
func (e *Engine) Unserved() error {
	if e.env.Closed() {
		return ErrClosed
	}
	if err := e.env.Seen.Err(); err != nil {
		return err
	}
	return ErrNoQuorum
}

// Pending is how many transactions wait for the batch that is being committed.
func (e *Engine) Pending() int { return e.queue.len() }

// rescue takes in a caller's panic.
func (e *Engine) rescue() {
	if p := recover(); p != nil {
		e.env.Panicked(p, debug.Stack())
	}
}

// commit runs a batch, and has those go again that failed for the company they were in.
func (e *Engine) commit(ctx context.Context, b *batch) {
	asked, done := ctx, func(int64, error) {}
	if len(b.followers) > 0 {
		asked, done = followed(ctx, b.size, b.followers)
	}
	began := time.Now()
	resp, err := e.Alone(asked, b.txn())
	if e.env.Committed != nil {
		e.env.Committed(b.size, time.Since(began), err)
	}
	done(resp.GetHeader().GetRevision(), err)
	if err != nil && b.size > 1 && !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrWentBack) {
		e.refused(ctx, b, err)
		return
	}
	if err == nil {
		e.queue.putBack(b.failed(resp))
	}
	if !e.queue.hurried() || !e.env.Start(func() { b.tell(resp, err) }) { // the next batch need not wait for it
		b.tell(resp, err)
	}
}

// refused deals with a batch of several that etcd has refused as a whole, for what one or some of
// it are: see the package's comment.
func (e *Engine) refused(ctx context.Context, b *batch, err error) {
	members := b.members()
	if errors.Is(err, ErrNoSpace) {
		rest := slices.DeleteFunc(members, func(m *member) bool {
			m.doubted()
			puts := m.puts()
			if puts {
				m.tell(nil, err)
			}
			return puts
		})
		if len(rest) == b.size {
			b.tell(nil, err)
		} else if len(rest) > 0 {
			e.commit(ctx, batchOf(rest))
		}
		return
	}
	var again []*member
	for _, m := range members {
		if errors.Is(err, ErrSessionExpired) && !m.apart {
			m.apart = true
			again = append(again, m)
		} else {
			if !errors.Is(err, ErrSessionExpired) {
				m.doubted()
			}
			e.commit(ctx, batchOf([]*member{m}))
		}
	}
	e.queue.putBack(again)
}
